"""The typed schema of an experiment, and the rules that concern several of its settings."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from warnings import catch_warnings, simplefilter

from pydantic import BeforeValidator, Discriminator, Field, ValidationError, model_validator

from runner.config.data import DataConfig, SplitConfig, class_text
from runner.config.plain import to_plain
from runner.config.plugins import added, plugins
from runner.config.registries import NamedSettings, SettingsSection, name_in, schema_of, section_of
from runner.config.rules import Count, CountOrNull, Section, Seed, explain_validation, holds
from runner.config.search import GridSearch, SearchConfig
from runner.system.text import without_passwords
from softnet import (
    ACTIVATIONS,
    INITIALIZERS,
    LABEL_METRICS,
    METRICS,
    NORMALIZATIONS,
    NUMBER_EMBEDDINGS,
    OPTIMIZERS,
    SAMPLINGS,
    SCHEDULES,
    EarlyStopping,
    OptimizerSettings,
    Schedule,
    SettingError,
    is_metric,
)

plugins()  # what they add to the registries is in the schemas below
_MOST_LAYERS = 1000
_MOST_MEMBERS = 1000
_MOST_IN_VECTOR = 1000
# The kinds of tasks; training has a class for each.
TASK_NAMES = ("classification", "regression", "multilabel")
_FEW = [f"{part}/{metric}" for part in ("train", "val") for metric in ("loss", "accuracy")]
_FURTHER = ", ".join(
    [*(kind for kind in METRICS if kind not in ("loss", "accuracy"))]
    + [f"{kind}_CLASS" for kind in LABEL_METRICS]
)

if TYPE_CHECKING:
    # The registries are filled at run time; these are the common types of their entries.
    ActivationName = str
    InitializerName = str
    NormalizationName = str
    NumberEmbeddingName = str
    SamplingName = str
    OptimizerConfig = NamedSettings[OptimizerSettings]
    ScheduleConfig = NamedSettings[Schedule]
    EarlyStoppingConfig = SettingsSection[EarlyStopping]
    TaskName = str
    LossName = str
else:
    ActivationName = name_in(sorted(ACTIVATIONS))
    InitializerName = name_in(INITIALIZERS)
    NormalizationName = name_in(NORMALIZATIONS)
    NumberEmbeddingName = name_in(NUMBER_EMBEDDINGS)
    SamplingName = name_in(SAMPLINGS)
    OptimizerConfig = section_of(OPTIMIZERS)
    ScheduleConfig = section_of(SCHEDULES)
    EarlyStoppingConfig = schema_of(
        EarlyStopping,
        metric=Annotated[
            str,
            holds(is_metric),
            Field(description=f"one of {', '.join(_FEW)}, or with another metric: {_FURTHER}"),
        ],
    )
    TaskName = name_in(("auto", *TASK_NAMES))
    # Those of quantities; each other task that ships has one loss alone.
    LossName = name_in(("squared", "absolute", "huber", *added("loss")))


# Not strict: a list, which is what YAML has, becomes a tuple.
LayerSizes = Annotated[
    tuple[Count, ...],
    Field(
        strict=False,
        max_length=_MOST_LAYERS,
        description=(
            f"a list of at most {_MOST_LAYERS:,} layer sizes, such as [64, 32] or [] "
            "(a linear model)"
        ),
    ),
]
_TEXT = "printable text of 1 to 250 characters"
Text = Annotated[
    str,
    holds(lambda text: text.isprintable() and bool(text.strip())),
    Field(max_length=250, description=_TEXT),
]
TextOrNull = Annotated[Text | None, Field(description=f"{_TEXT}, or null")]


class ModelConfig(Section):
    """The network."""

    hidden_layer_sizes: LayerSizes
    activation: ActivationName = "relu"
    initializer: InitializerName = "he"
    initializer_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    normalization: NormalizationName = "none"
    residual: bool = False
    number_embedding: NumberEmbeddingName = "none"
    word_embedding: Annotated[int | None, Field(ge=1, le=_MOST_IN_VECTOR)] = None
    input_scale: bool = False
    n_members: Annotated[int, Field(ge=1, le=_MOST_MEMBERS)] = 1
    share: Literal["none", "tabm"] = "none"

    @property
    def shares_weights(self) -> bool:
        """Whether there are members and hidden layers, and the members share these."""
        return self.share == "tabm" and self.n_members > 1 and bool(self.hidden_layer_sizes)


Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TrainingConfig(Section):
    """How long to train, on which batches, and how often to evaluate."""

    steps: CountOrNull = None
    epochs: CountOrNull = None
    batch_size: Annotated[
        Count | Literal["auto"], Field(description="a whole number, 1 or above, or auto")
    ]
    sampling: SamplingName = "shuffled"
    evaluate_every: Count = 1
    early_stopping: EarlyStoppingConfig | None = None
    averaging: Annotated[float, Field(gt=0, lt=1)] | None = None
    loss: LossName | None = None
    class_weight: Annotated[
        Literal["balanced"] | dict[Annotated[str, BeforeValidator(class_text)], Weight] | None,
        Field(description="balanced, a weight above 0 by class such as {yes: 3}, or null"),
    ] = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    init_from: TextOrNull = None
    # Not to be set: the digest of these weights, which a run records.
    init_sha256: TextOrNull = None
    # Not to be set: the step at which a search has stopped the run, whose budget stays as it was.
    pruned_at_step: CountOrNull = Field(default=None, exclude_if=lambda step: step is None)

    @property
    def budget(self) -> int:
        """The number of epochs or steps, whichever is given."""
        return self.epochs or self.steps or 0  # exactly one of them is given, and not 0

    @model_validator(mode="after")
    def _check_budget(self) -> Self:
        if self.steps is None and self.epochs is None:
            raise SettingError("epochs", "given where training.steps is null", None)
        if self.steps is not None and self.epochs is not None:
            rule = f"null where training.steps is given (it is {self.steps})"
            raise SettingError("epochs", rule, self.epochs)
        if self.init_sha256 is not None and self.init_from is None:
            raise SettingError(
                "init_sha256", "null: runs with init_from record it", self.init_sha256
            )
        return self


def _is_place(text: str) -> bool:
    """Tell whether a text names a place for files, and says no password."""
    is_uri = re.fullmatch(r"/[^\0]*|[a-z][a-z0-9+.-]*:/[^\s\0]+", text) is not None
    return is_uri and without_passwords(text) == text


RegisteredName = Annotated[
    str, holds(lambda text: bool(re.fullmatch(r"[\w.-]{1,250}", text, re.ASCII)))
]


with catch_warnings():
    # That `register` is a method of every class, which pydantic says, harms nobody.
    simplefilter("ignore", UserWarning)

    class TrackingConfig(Section):
        """Where runs are recorded, and whether a single run or a sweep gets figures and a model."""

        uri: Annotated[
            str | None,
            Field(
                description=(
                    "a tracking URI, such as http://127.0.0.1:5000 or sqlite:///mlflow.db, or null"
                )
            ),
        ] = None
        experiment: TextOrNull = None
        # Where files of runs go whose store is a database that is no file: it has no place for
        # them.
        artifacts: Annotated[
            str | None,
            holds(lambda place: place is None or _is_place(place)),
            Field(
                description="the absolute path of a folder, a URI such as s3://BUCKET/PATH, or null"
            ),
        ] = None
        figures: bool = True
        model: bool = True
        # The registered model whose champion the model becomes.
        register: Annotated[
            RegisteredName | None,
            Field(description="a name of at most 250 letters, digits, ., _ and -, or null"),
        ] = None
        # Whether files and rows of a run in a SQLite file are on the disk before it is FINISHED.
        durability: Literal["full", "fast"] = "full"

        @model_validator(mode="after")
        def _check_register(self) -> Self:
            if self.register is not None and not self.model:
                raise SettingError("register", "null where tracking.model is false", self.register)
            return self


class LocalExecutor(Section):
    """Processes of this machine, `sweep.n_workers` of them."""

    name: Literal["local"] = "local"


_ADDRESS = "tcp://HOST:PORT, tls://HOST:PORT, or the path of a scheduler file"


class DaskExecutor(Section):
    """The workers of a Dask scheduler."""

    name: Literal["dask"]
    address: Annotated[
        str,
        holds(lambda text: bool(re.fullmatch(r"(tcp|tls)://[^\s:/]+:\d+|[^\s:]+", text))),
        Field(description=_ADDRESS),
    ]
    n_workers: CountOrNull = None
    retries: Annotated[int, Field(ge=0)] = 2
    wait_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0


ExecutorConfig = Annotated[LocalExecutor | DaskExecutor, Discriminator("name")]


class SweepConfig(Section):
    """How the jobs of one command are run and ranked; none of it changes their results."""

    name: TextOrNull = None
    metric: Annotated[str, Field(description="the name of a metric")] = "val/loss"
    n_workers: CountOrNull = None
    fail_fast: bool = False
    retry_failed: bool = True
    restart: bool = False
    dry_run: bool = False


class Experiment(Section):
    """One run: all that decides its result, and where it is recorded.

    Examples
    --------
    >>> experiment = Experiment.from_dict(
    ...     {
    ...         "name": "flowers",
    ...         "data": {"name": "iris", "scaling": "standardize"},
    ...         "split": {"name": "stratified", "train": 0.6, "val": 0.2, "test": 0.2},
    ...         "model": {"hidden_layer_sizes": [8]},
    ...         "optimizer": {"name": "adam", "learning_rate": 0.01},
    ...         "schedule": {"name": "cosine"},
    ...         "training": {"epochs": 20, "batch_size": 32},
    ...     }
    ... )
    >>> experiment.optimizer.settings().beta1
    0.9
    """

    name: Text
    seed: Seed = 0
    dtype: Literal["float32", "float64"] = "float64"
    task: TaskName = "auto"
    data: DataConfig
    split: SplitConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    training: TrainingConfig
    tracking: TrackingConfig = TrackingConfig()
    sweep: SweepConfig = SweepConfig()
    # Excluded from all that is recorded: a job is the same wherever it runs.
    executor: ExecutorConfig = Field(default=LocalExecutor(), exclude=True)
    search: SearchConfig = Field(default=GridSearch(), exclude=True)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Check plain values, as they come from YAML.

        Raises `ConfigError` with a line for each of the first three settings that are wrong.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise explain_validation(error, cls) from None

    def __reduce__(self) -> tuple[object, ...]:
        """Be pickled as plain values: the classes of sections are made when the program runs."""
        return Experiment.from_dict, (to_plain(self),)

    @property
    def ranking_metric(self) -> str:
        """The metric by which runs are ranked.

        It is `sweep.metric`; the default of that, ``val/loss``, means ``train/loss`` where there
        are no validation rows, so that one can do without them by setting ``split.val=0`` alone.
        """
        default = SweepConfig().metric
        missing = self.sweep.metric == default and "val" not in self._parts
        return "train/loss" if missing else self.sweep.metric

    @property
    def _parts(self) -> list[str]:
        """The parts of the rows that metrics are of."""
        has_val = bool(self.split.val) and self.split.train_too is None
        has_test = self.split.name == "kfold" or bool(self.split.test)
        return [
            "train",
            *["val"] * has_val,
            *["test"] * (has_test and self.split.train_too != "all"),
        ]

    @model_validator(mode="before")
    @classmethod
    def _settle_task(cls, values: object) -> object:
        """Know the task of all data but a person's own, which have classes."""
        if not isinstance(values, dict) or not isinstance(values.get("data"), dict):
            return values
        name, task = values["data"].get("name"), values.get("task", "auto")
        if name == "file" or task not in ("auto", *TASK_NAMES):
            return values
        if task not in ("auto", "classification"):
            raise SettingError("task", f"auto or classification for data={name}", task)
        return {**values, "task": "classification"}

    @model_validator(mode="after")
    def _check_metrics(self) -> Self:
        stopping, watched = self.training.early_stopping, [p for p in self._parts if p != "test"]
        if stopping is not None:
            metric = stopping.settings().metric
            _require_metric("training.early_stopping.metric", metric, watched)
        best = [f"best/{part}" for part in watched if stopping is not None]
        _require_metric("sweep.metric", self.ranking_metric, [*self._parts, *best])
        if self.search.name != "grid" and not re.match("(best/)?val/", self.ranking_metric):
            rule = f"a metric of validation rows, by which search={self.search.name} chooses"
            raise SettingError("sweep.metric", rule, self.ranking_metric)
        return self


def _require_metric(key: str, metric: str, parts: Collection[str]) -> None:
    part, _, kind = metric.rpartition("/")
    if part not in parts or not is_metric(kind):
        few = ", ".join(f"{part}/{kind}" for part in parts for kind in ("loss", "accuracy"))
        rule = f"a metric of this experiment ({few}; or with another metric: {_FURTHER})"
        raise SettingError(key, rule, metric)
