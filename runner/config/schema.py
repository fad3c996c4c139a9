"""The typed schema of an experiment, and what its parts must say about each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ValidationError, model_validator

from runner.config.data import DataConfig, SplitConfig
from runner.config.messages import explain
from runner.config.registries import NamedSettings, Settings, choice_of, schema_of
from runner.config.rules import Rule, Section, Seed, one_of, positive, whole
from runner.system.errors import shorten
from softnet import (
    ACTIVATIONS,
    INITIALIZERS,
    METRICS,
    OPTIMIZERS,
    SAMPLINGS,
    SCHEDULES,
    EarlyStopping,
    OptimizerSettings,
    Schedule,
    SettingError,
)

_MOST_LAYERS = 1000
_WATCHED = [f"{part}/{metric}" for part in ("train", "val") for metric in METRICS]

if TYPE_CHECKING:
    # What the registries hold is known when the program runs; this is what all of it has.
    OptimizerConfig = NamedSettings[OptimizerSettings]
    ScheduleConfig = NamedSettings[Schedule]
    EarlyStoppingConfig = Settings[EarlyStopping]
else:
    OptimizerConfig = choice_of({name: kind.Settings for name, kind in OPTIMIZERS.items()})
    ScheduleConfig = choice_of(SCHEDULES)
    EarlyStoppingConfig = schema_of(EarlyStopping, metric=Annotated[str, one_of(_WATCHED)])


def _as_list(value: object) -> str:
    """Guess the list that was meant by a bare number, or by a list in quotes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"Did you mean [{value}]?"
    if isinstance(value, str) and value.startswith("["):
        return f"Did you mean {shorten(value).strip(chr(39))}, without quotes?"
    return ""


LayerSizes = Annotated[
    tuple[Annotated[int, whole(1)], ...],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
    Rule(
        f"a list of at most {_MOST_LAYERS:,} layer sizes, such as [64, 32] or [] (a linear model)",
        lambda sizes: len(sizes) <= _MOST_LAYERS,
        _as_list,
    ),
]
_TEXT = "printable text of 1 to 250 characters"
Text = Annotated[
    str,
    Rule(
        _TEXT,
        lambda text: text.isprintable() and bool(text.strip()) and len(text) <= 250,
    ),
]
Budget = Annotated[
    int | None,
    Rule("a whole number, 1 or above, or null", lambda count: count is None or count >= 1),
]


class ModelConfig(Section):
    """The network."""

    hidden_layer_sizes: LayerSizes
    activation: Annotated[str, one_of(sorted(ACTIVATIONS))] = "relu"
    initializer: Annotated[str, one_of(INITIALIZERS)] = "he"
    initializer_scale: Annotated[float, positive()] = 1.0


class TrainingConfig(Section):
    """How long to train, on which batches, and what to look at on the way."""

    steps: Budget = None
    epochs: Budget = None
    batch_size: Annotated[int, whole(1)]
    sampling: Annotated[str, one_of(SAMPLINGS)] = "shuffled"
    evaluate_every: Annotated[int, whole(1)] = 1
    early_stopping: EarlyStoppingConfig | None = None

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
        return self


class TrackingConfig(Section):
    """Where runs are recorded. Which forms of URI can be used is the tracking room's to say."""

    uri: Annotated[
        str | None,
        Rule("a tracking URI, such as http://127.0.0.1:5000 or sqlite:///mlflow.db, or null"),
    ] = None
    experiment: Annotated[Text | None, Rule(f"{_TEXT}, or null")] = None


_TRUTH = Rule("true or false")


class SweepConfig(Section):
    """How the jobs of one command are run and ranked; none of it changes their results."""

    name: Annotated[Text | None, Rule(f"{_TEXT}, or null")] = None
    metric: Annotated[str, Rule("the name of a metric")] = "val/loss"
    n_workers: Annotated[
        int | None,
        Rule("a whole number, 1 or above, or null", lambda count: count is None or count >= 1),
    ] = None
    fail_fast: Annotated[bool, _TRUTH] = False
    retry_failed: Annotated[bool, _TRUTH] = True
    restart: Annotated[bool, _TRUTH] = False
    dry_run: Annotated[bool, _TRUTH] = False


class Experiment(Section):
    """One run, said completely: whatever decides its result, and where it is recorded.

    Examples
    --------
    >>> experiment = Experiment.from_dict(
    ...     {
    ...         "name": "flowers",
    ...         "seed": 0,
    ...         "data": {"name": "iris", "scaling": "standardize"},
    ...         "split": {"name": "stratified", "train": 0.6, "val": 0.2, "test": 0.2},
    ...         "model": {"hidden_layer_sizes": [8]},
    ...         "optimizer": {"name": "adam", "learning_rate": 0.01},
    ...         "schedule": {"name": "cosine"},
    ...         "training": {"epochs": 20, "batch_size": 32},
    ...     }
    ... )
    >>> experiment.optimizer.settings()
    Adam.Settings(learning_rate=0.01, weight_decay=0.0, clip_norm=None, beta1=0.9, beta2=0.999, \
epsilon=1e-08)
    """

    name: Text
    seed: Seed = 0
    dtype: Annotated[Literal["float32", "float64"], one_of(("float32", "float64"))] = "float64"
    data: DataConfig
    split: SplitConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    training: TrainingConfig
    tracking: TrackingConfig = TrackingConfig()
    sweep: SweepConfig = SweepConfig()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Check plain values, as they come from YAML.

        Raises
        ------
        ConfigError
            With a line for each of the first three settings that are wrong.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise explain(error, cls) from None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that a run of this experiment ends with, by which runs can be ranked."""
        watched = self._watched()
        tested = [f"test/{metric}" for metric in METRICS]
        best = [f"best/{metric}" for metric in watched] if self.training.early_stopping else []
        return (*watched, *(tested if self._has_test() else ()), *best)

    @property
    def ranking_metric(self) -> str:
        """The metric by which runs are ranked.

        It is `sweep.metric`; the default of that, ``val/loss``, means ``train/loss`` where there
        are no validation rows, so that one can do without them by setting ``split.val=0`` alone.
        """
        default = SweepConfig().metric
        missing = self.sweep.metric == default and default not in self.metrics
        return "train/loss" if missing else self.sweep.metric

    def _watched(self) -> list[str]:
        return [m for m in _WATCHED if self.split.val or not m.startswith("val/")]

    def _has_test(self) -> bool:
        return self.split.name == "kfold" or bool(self.split.test)

    @model_validator(mode="after")
    def _check_metrics(self) -> Self:
        stopping = self.training.early_stopping
        if stopping is not None:
            metric = stopping.settings().metric
            _require_metric("training.early_stopping.metric", metric, self._watched())
        _require_metric("sweep.metric", self.ranking_metric, self.metrics)
        return self


def _require_metric(key: str, metric: str, known: Collection[str]) -> None:
    if metric not in known:
        raise SettingError(key, f"a metric of this experiment ({', '.join(known)})", metric)
