"""Data made ready for training: read, split, encoded, scaled, and checked against the experiment.

Whatever can be wrong with the data is said here, before any run exists.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from runner.config.data import FileData
from runner.system.errors import ConfigError, DataError, nearest, shorten
from runner.system.formatting import count
from runner.training.data import Dataset, load
from runner.training.data.dataset import memory_bytes
from runner.training.data.splits import Split, split_rows
from runner.training.data.uninformative import uninformative
from runner.training.outcome import PARTS
from runner.training.preprocessing import Preprocessing
from runner.training.tasks import TASKS, Target, class_number
from softnet import (
    INITIALIZERS,
    NUMBER_EMBEDDINGS,
    Embedding,
    Examples,
    LayerSettings,
    NetworkSettings,
    RunSettings,
    Scale,
    StackSettings,
    mlp,
    steps_per_epoch,
)

if TYPE_CHECKING:
    from runner.config.data import SplitConfig
    from runner.config.schema import Experiment
    from runner.training.data.files import Described

# The batches of `training.batch_size=auto`, where there are as many training rows.
_ROWS_OF_A_BATCH = 32

# Arrays of the size of all parameters that a run needs at most: values, gradients, scratch, two
# of Adam's and its column arithmetic while training; then those that are kept as the result.
_COPIES_OF_PARAMETERS = 10
# More than the example in a model has.
_FIRST_ROWS = 16
# Text columns of more words than these can be embedded; few are better off one-hot.
_FEW_WORDS = 8


# Data of as many origins are kept: to encode a large table takes seconds, and as much memory again.
_KEPT_ENCODINGS = 4


class Learned(Protocol):
    """What a run has learned of its data: how to encode and scale them."""

    @property
    def preprocessing(self) -> Preprocessing:
        """Fitted on its training rows."""

    @property
    def target(self) -> Target:
        """What its outputs stand for."""


@dataclass(frozen=True)
class Prepared:
    """Data ready for training."""

    dataset: Dataset  # as it was read
    split: Split  # row indices
    preprocessing: Preprocessing  # fitted on the training rows
    # Of shape (n_samples, n_features). All rows, encoded and scaled, in float64.
    X: NDArray[np.float64]
    # The settings of a person's file, in which nothing is left open: reading by them finds the
    # same.
    data: FileData | None = None
    # The columns of a file that say nothing, each with the reason.
    left_out: Mapping[str, str] = field(default_factory=dict)
    # Those by which the rows were split, where they are others than were asked for.
    split_settings: SplitConfig | None = None
    # What the outputs stood for in the run that this one goes on from.
    target_before: Target | None = None
    # What `encoded_by` has made last, and by what: jobs of a sweep share it.
    _encoded: deque[tuple[tuple[Preprocessing, Target], Prepared]] = field(
        init=False, repr=False, default_factory=lambda: deque(maxlen=_KEPT_ENCODINGS)
    )

    @cached_property
    def target(self) -> Target:
        """What the outputs of a network stand for."""
        y, reading = self.dataset.y[self.split.train], self.dataset.reading
        target, before = (
            TASKS[self.dataset.task].target(y, self.dataset.class_names),
            self.target_before,
        )
        if before is not None and before.names == target.names:
            target = replace(target, shift=before.shift, scale=before.scale)
        return target if reading is None else replace(target, words=reading.label_words)

    def encoded_by(self, other: Learned) -> Prepared:
        """Return the same rows, encoded and scaled by what another run has learned of its own.

        So is the target, where it is the same.
        """
        learned = other.preprocessing, other.target
        if learned == (self.preprocessing, self.target):
            return self
        for before, encoded in self._encoded:
            if before == learned:
                return encoded
        preprocessing = self.preprocessing.with_fit_of(other.preprocessing)
        X = preprocessing.transform(self.dataset.X)
        encoded = replace(self, preprocessing=preprocessing, X=X, target_before=other.target)
        self._encoded.append((learned, encoded))
        return encoded

    @property
    def n_given(self) -> dict[str, int]:
        """How many rows validate and test because they stand in files or arrays of their own."""
        part = self.dataset.roles.get("part")
        if part is None or self.data is None or self.data.split_column is not None:
            return {}
        counts = {name: int((part == PARTS.index(name)).sum()) for name in ("val", "test")}
        return {name: n for name, n in counts.items() if n}

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of each raw column that is a feature: ``number``, ``words`` or ``date``."""
        if self.dataset.reading is None:
            return dict.fromkeys(self.dataset.feature_names, "number")
        left_out = () if self.data is None else self.data.left_out
        return {n: kind for n, kind in self.dataset.reading.kinds.items() if n not in left_out}

    @property
    def learned(self) -> str:
        """What is learned, in a line, and how many rows have no target."""
        dataset = self.dataset
        n_without = 0 if dataset.reading is None else dataset.reading.n_without_target
        left_out = f"; {count(n_without, 'row')} without a target left out" if n_without else ""
        return TASKS[dataset.task].describe(dataset.y, dataset.class_names) + left_out

    @cached_property
    def summary(self) -> str:
        """What is trained on, in a line, for people.

        ``333 rows, 4 numbers + 2 words, 3 classes (44 % Adelie); 199 train, 67 val, 67 test``
        """
        dataset, kinds = self.dataset, [*self.kinds.values()]
        columns = " + ".join(
            count(kinds.count(kind), kind.removesuffix("s"))
            for kind in ("number", "words", "date")
            if kind in kinds
        )
        n_outputs = len(dataset.class_names)
        if dataset.y.ndim == 2:
            learned = count(n_outputs, "label")
        elif dataset.y.dtype.kind == "f":
            learned = f"the quantity {dataset.class_names[0]}"
        else:
            counts = np.bincount(dataset.y, minlength=n_outputs)
            largest = int(counts.argmax())
            share = f"{100 * counts[largest] / len(dataset.y):.0f} % {dataset.class_names[largest]}"
            learned = f"{n_outputs:,} classes ({share})"
        parts = ", ".join(f"{len(getattr(self.split, part)):,} {part}" for part in self.parts)
        return f"{count(len(dataset.y), 'row')}, {columns}, {learned}; {parts}"

    def examples(
        self, part: str, class_weight: Literal["balanced"] | Mapping[str, float] | None = None
    ) -> Examples:
        """Return the rows of ``train``, ``val`` or ``test``, with weights for their classes."""
        rows = getattr(self.split, part)
        y = self.dataset.y[rows]
        weights = None if class_weight is None else self._weights(y, class_weight)
        if "weight" not in self.dataset.roles:
            return Examples(self.X[rows], y, weights)
        shares = self.dataset.roles["weight"][rows]
        if not shares.any():
            rule = f"a column that is above 0 in some of the {part} rows"
            raise ConfigError("data.weight", rule, self.data and self.data.weight)
        shares = shares / shares.mean()
        weights = shares if weights is None else weights * shares / (weights * shares).mean()
        return Examples(self.X[rows], y, weights, shares)

    def _weights(
        self, y: NDArray[np.intp], class_weight: Literal["balanced"] | Mapping[str, float]
    ) -> NDArray[np.float64]:
        """Return the weight of each row by its class, 1 on average."""
        names = self.dataset.class_names
        if self.dataset.task != "classification":
            rule = f"null for task={self.dataset.task}"
            raise ConfigError("training.class_weight", rule, class_weight)
        if class_weight == "balanced":
            of_classes = 1 / np.maximum(np.bincount(y, minlength=len(names)), 1)
        else:
            of_classes = np.ones(len(names))
            for name, weight in class_weight.items():
                number = class_number(name, names)
                if number is None:
                    rule = "balanced, or weights of classes of the data"
                    raise ConfigError("training.class_weight", rule, name, nearest(name, names))
                of_classes[number] = weight
        weights = of_classes[y]
        normalized: NDArray[np.float64] = weights / weights.mean()
        return normalized

    @property
    def parts(self) -> tuple[str, ...]:
        """The splits that have rows."""
        return tuple(p for p in PARTS if len(getattr(self.split, p)))

    @property
    def n_rows(self) -> dict[str, int]:
        """How many rows each of the splits has."""
        return {part: len(getattr(self.split, part)) for part in self.parts}


class Trained(NamedTuple):
    """A network that was trained: on what, its weights by name, and what it is made from."""

    prepared: Prepared
    weights: Mapping[str, NDArray[Any]]
    network: NetworkSettings

    def with_few_rows(self) -> Trained:
        """Return it with those rows alone that say what is in the columns.

        They are the first, and for each column one in which it is no whole number, and one in which
        it is missing.
        """
        data = self.prepared.dataset
        no_whole, missing = (
            (np.floor(data.X) != data.X).argmax(axis=0),
            np.isnan(data.X).argmax(axis=0),
        )
        rows = np.unique(
            np.concatenate([np.arange(min(len(data.X), _FIRST_ROWS)), no_whole, missing])
        )
        few = replace(self.prepared, dataset=replace(data, X=data.X[rows]), X=self.prepared.X[:0])
        return self._replace(prepared=few)


def prepare(experiment: Experiment) -> Prepared:
    """Read, split, encode and scale the data of an experiment.

    Raises `DataError` if the data cannot be used. Raises `ConfigError` if the split does not fit
    the data.
    """
    return prepare_dataset(experiment, load(experiment.data, experiment.task))


def prepare_dataset(experiment: Experiment, dataset: Dataset) -> Prepared:
    """Split, encode and scale data that have been read; see `prepare`."""
    data = experiment.data
    has_classes = TASKS[dataset.task].stratifies
    by = experiment.split if has_classes else _without_classes(experiment.split)
    names = dataset.class_names if has_classes else ()
    try:
        split = split_rows(by, dataset.y, names, dataset.roles)
    except DataError as error:
        from runner.training.data.tables import header_hint

        settings = dataset.reading.settings if dataset.reading else {}
        hint = header_hint(settings, data) if isinstance(data, FileData) else ""
        raise DataError(f"{error}{hint}") from None
    if not isinstance(data, FileData):
        preprocessing = Preprocessing.fit(dataset, split.train, data.scaling)
        return Prepared(dataset, split, preprocessing, preprocessing.transform(dataset.X))
    left_out = _left_out(data, dataset, split.train)
    dataset = dataset.without(left_out)
    if not dataset.feature_names:
        raise DataError(
            f"{dataset.source}: must have a feature that says anything, got "
            f"{', '.join(f'{shorten(name, 40)} ({why})' for name, why in left_out.items())}. "
            "data.features takes columns as they are."
        )
    preprocessing = Preprocessing.fit(
        dataset, split.train, data.scaling, data.max_categories, fills=data.missing == "fill"
    )
    X = preprocessing.transform(dataset.X)
    return Prepared(
        dataset, split, preprocessing, X, _as_read(data, dataset, left_out), left_out, by
    )


def describe(experiment: Experiment) -> Described:
    """Describe a person's table as `prepare` makes it ready, and say why if it cannot.

    It is then described by all its rows instead of those that train.
    """
    from runner.training.data.files import describe_file, load_file

    data = experiment.data
    assert isinstance(data, FileData)  # noqa: S101  (for mypy)
    try:
        prepared = prepare(experiment)
    except (DataError, ConfigError) as error:
        problem = "" if data.target is None else str(error)
    else:
        return describe_file(data, prepared.data or data, prepared.left_out, prepared.learned)
    dataset = load_file(data, learns=False)
    if not len(dataset.y):
        raise DataError(f"{dataset.source}: must hold rows, got none.")
    left_out = _left_out(data, dataset, np.arange(len(dataset.y)))
    settings = _as_read(data, dataset.without(left_out), left_out)
    return describe_file(data, settings, left_out, problem)


def _left_out(data: FileData, dataset: Dataset, rows: NDArray[np.intp]) -> dict[str, str]:
    """Return the columns that some rows say nothing by, each with the reason."""
    from runner.training.data.tables import chosen_columns

    return uninformative(dataset, rows, chosen_columns(data, dataset.feature_names))


def _without_classes(split: SplitConfig) -> SplitConfig:
    """Return a split that gives no part its share of every class, where there are none."""
    if split.name == "kfold":
        return split.model_copy(update={"stratified": False})
    name = "shuffled" if split.name == "stratified" else split.name
    return split.model_copy(update={"name": name})


def settled(experiment: Experiment, prepared: Prepared) -> Experiment:
    """Return an experiment in which nothing is left open that its data decide.

    It is what is trained and recorded: repeating it guesses nothing.
    """
    training, task = experiment.training, TASKS[prepared.dataset.task]
    changes: dict[str, object] = {}
    if training.batch_size == "auto":
        changes["batch_size"] = min(_ROWS_OF_A_BATCH, len(prepared.split.train))
    if training.loss is None and len(task.losses) > 1:
        changes["loss"] = next(iter(task.losses))
    update: dict[str, object] = {"task": prepared.dataset.task}
    if changes:
        update["training"] = training.model_copy(update=changes)
    if prepared.data is not None:
        update |= {"data": prepared.data, "split": prepared.split_settings or experiment.split}
    return experiment.model_copy(update=update)


def _as_read(data: FileData, dataset: Dataset, left_out: Mapping[str, str]) -> FileData:
    """Return the settings of a file with what was found out in reading it."""
    reading = dataset.reading
    if reading is None:
        return data
    kinds = {
        **reading.other_kinds,
        **dict.fromkeys(data.left_out, "out"),
        **{name: "out" if name in left_out else kind for name, kind in reading.kinds.items()},
    }
    columns = {
        kind: tuple(name for name in kinds if kinds[name] == kind)
        for kind in sorted({*kinds.values()})
    }
    formats = {name: form for name, form in reading.formats.items() if kinds[name] != "out"}
    return data.model_copy(update={**reading.settings, "columns": columns, "formats": formats})


# What this process prepared last, and from what. Forked processes inherit it.
_last: tuple[object, object, Prepared] | None = None


def prepare_cached(experiment: Experiment) -> Prepared:
    """Return the data of an experiment as `prepare` does; the last ones are kept.

    A file that somebody has written to since is read again.
    """
    global _last  # noqa: PLW0603  (one process trains on the same data again and again)
    asked, stamp = (experiment.data, experiment.split, experiment.task), _stamp(experiment)
    # A job that has been planned has settings in which nothing is left open.
    if _last is None or _last[1] != stamp or asked not in (_last[0], _settings(_last[2])):
        _last = asked, stamp, prepare(experiment)
    return _last[2]


def _settings(prepared: Prepared) -> object:
    """Return the settings by which the same data are prepared again."""
    return prepared.data, prepared.split_settings, prepared.dataset.task


def prepared_unchanged(
    experiment: Experiment, digest: str, learned: Callable[[], Learned]
) -> Prepared:
    """Return the data of a planned experiment, which have this digest, as its run sees them.

    If it goes on from another run, they are encoded and scaled by what `learned` returns: what
    that run has learned, or what the experiment's own run has recorded. Raises `DataError` if the
    data have changed since, or for what `prepare` raises it.
    """
    last = prepare_cached(experiment)
    dataset = last.dataset
    if dataset.digest != digest:
        raise DataError(
            f"{dataset.source}: must hold the data of the run, whose digest is {digest[:12]}, got "
            f"{dataset.digest[:12]}."
        )
    return last if experiment.training.init_from is None else last.encoded_by(learned())


def _stamp(experiment: Experiment) -> object:
    """Return what changes when somebody writes to the file that the data are read from."""
    if experiment.data.name != "file":
        return None
    from runner.training.data.files import files_of

    try:
        files = [path.stat() for path in files_of(experiment.data)]
    except (OSError, ValueError):  # ValueError: a null character; reading says what is wrong
        return None
    return [(file.st_mtime_ns, file.st_size, file.st_ino) for file in files]


def require_fit(experiment: Experiment, prepared: Prepared) -> StackSettings:
    """Check what a settled experiment asks against its data, and return what its stack shares.

    A budget in epochs is turned into steps here, and so is the interval between evaluations, which
    counts in the unit of the budget. Raises `ConfigError` if a batch is larger than the training
    set, the warm-up longer than the training, the network larger than the memory, or if the task
    has no such metric or loss: said before anything is allocated.
    """
    training, n_train = experiment.training, len(prepared.split.train)
    batch_size = training.batch_size
    if batch_size == "auto" or batch_size > n_train:
        rule = f"at most {n_train}, the number of training rows"
        raise ConfigError("training.batch_size", rule, batch_size)
    unit = 1 if training.epochs is None else steps_per_epoch(n_train, batch_size)
    n_steps = training.budget * unit
    warmup_steps = experiment.schedule.settings().warmup_steps
    if warmup_steps >= n_steps:
        rule = f"below {n_steps:,}, the number of steps"
        raise ConfigError("schedule.warmup_steps", rule, warmup_steps)
    network = network_settings(experiment, prepared.preprocessing, prepared.target)
    n_parameters = network.n_parameters
    needed = n_parameters * _COPIES_OF_PARAMETERS * np.dtype(experiment.dtype).itemsize
    if needed > memory_bytes():
        raise ConfigError.plain(
            f"model.hidden_layer_sizes: {n_parameters:,} parameters need about "
            f"{_gigabytes(needed)} of memory, and this machine has {_gigabytes(memory_bytes())}."
        )
    return StackSettings(
        network=network,
        n_steps=n_steps,
        batch_size=batch_size,
        evaluate_every=training.evaluate_every * unit,
        optimizer=experiment.optimizer.name,
        sampling=training.sampling,
        dtype=experiment.dtype,
        averaging=training.averaging,
        metrics=_metrics(experiment, prepared),
        labels=prepared.target.labels,
    )


def _metrics(experiment: Experiment, prepared: Prepared) -> tuple[str, ...]:
    """Return what is measured at every evaluation, besides the loss."""
    training, allowed = experiment.training, prepared.target.metrics
    stopping = training.early_stopping
    watched = None if stopping is None else stopping.settings().metric
    for key, metric in (
        ("training.early_stopping.metric", watched),
        ("sweep.metric", experiment.sweep.metric),
    ):
        if metric is not None and metric.rpartition("/")[2] not in allowed:
            part = metric.rpartition("/")[0]
            rule = f"{part}/ and a metric of task={prepared.dataset.task} ({', '.join(allowed)})"
            raise ConfigError(key, rule, metric)
    if training.class_weight is not None:
        prepared.examples("train", training.class_weight)
    plain = prepared.target.loss()
    is_plain = prepared.target.loss(training.loss, training.label_smoothing) == plain
    metrics = [allowed[1], *([watched.rpartition("/")[2]] if watched else [])]
    if training.class_weight is not None or not is_plain:
        metrics.append("objective")
    return tuple(name for name in dict.fromkeys(metrics) if name != "loss")


def network_settings(
    experiment: Experiment, preprocessing: Preprocessing, target: Target
) -> NetworkSettings:
    """Return what the network of an experiment is made from, its loss included."""
    model, training = experiment.model, experiment.training
    inputs: list[LayerSettings] = []
    embedding, numbers = NUMBER_EMBEDDINGS[model.number_embedding], preprocessing.number_features
    if embedding is not None and numbers:
        inputs.append(embedding.Settings(numbers))
    groups = [(a, b) for a, b in preprocessing.word_features if b - a > _FEW_WORDS]
    if model.word_embedding is not None and groups:
        inputs.append(Embedding.Settings(tuple(groups), model.word_embedding))
    if model.input_scale:
        inputs.append(Scale.Settings())
    return mlp(
        (len(preprocessing.encoded_feature_names), *model.hidden_layer_sizes, len(target.names)),
        model.activation,
        dropout=None if model.dropout else 0.0,  # runs of a stack have each its own
        normalization=model.normalization,
        residual=model.residual,
        inputs=inputs,
        n_members=model.n_members,
        shares_weights=model.shares_weights,
        loss=target.loss(training.loss, training.label_smoothing),
    )


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB"


def run_settings(
    experiment: Experiment, initial: Mapping[str, NDArray[np.floating]] = MappingProxyType({})
) -> RunSettings:
    """Return what a run of a stack has for itself, with the weights that it does not draw."""
    model, stopping = experiment.model, experiment.training.early_stopping
    return RunSettings(
        seed=experiment.seed,
        optimizer=experiment.optimizer.settings(),
        schedule=experiment.schedule.settings(),
        initializer=INITIALIZERS[model.initializer](model.initializer_scale),
        early_stopping=None if stopping is None else stopping.settings(),
        dropout=model.dropout,
        initial=initial,
    )
