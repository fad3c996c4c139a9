"""The typed schema of an experiment, and the rules that concern several of its settings."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, ValidationError, model_validator

from runner.config.data import DataConfig, SplitConfig
from runner.config.registries import NamedSettings, SettingsSection, name_in, schema_of, section_of
from runner.config.rules import Count, CountOrNull, Section, Seed, explain_validation, holds
from softnet import (
    ACTIVATIONS,
    INITIALIZERS,
    METRICS,
    NORMALIZATIONS,
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
    ActivationName = str
    InitializerName = str
    NormalizationName = str
    SamplingName = str
    OptimizerConfig = NamedSettings[OptimizerSettings]
    ScheduleConfig = NamedSettings[Schedule]
    EarlyStoppingConfig = SettingsSection[EarlyStopping]
else:
    ActivationName = name_in(sorted(ACTIVATIONS))
    InitializerName = name_in(INITIALIZERS)
    NormalizationName = name_in(NORMALIZATIONS)
    SamplingName = name_in(SAMPLINGS)
    OptimizerConfig = section_of(OPTIMIZERS)
    ScheduleConfig = section_of(SCHEDULES)
    EarlyStoppingConfig = schema_of(EarlyStopping, metric=name_in(_WATCHED))


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


class TrainingConfig(Section):
    """How long to train, on which batches, and how often to evaluate."""

    steps: CountOrNull = None
    epochs: CountOrNull = None
    batch_size: Count
    sampling: SamplingName = "shuffled"
    evaluate_every: Count = 1
    early_stopping: EarlyStoppingConfig | None = None
    averaging: Annotated[float, Field(gt=0, lt=1)] | None = None

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
    """Where runs are recorded, and what a run alone has besides; `tracking` says which URIs do."""

    uri: Annotated[
        str | None,
        Field(
            description=(
                "a tracking URI, such as http://127.0.0.1:5000 or sqlite:///mlflow.db, or null"
            )
        ),
    ] = None
    experiment: TextOrNull = None
    figures: bool = True
    model: bool = True
    # Whether files and rows of a run in a SQLite file are on the disk before it is FINISHED.
    durability: Literal["full", "fast"] = "full"


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
    data: DataConfig
    split: SplitConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    training: TrainingConfig
    tracking: TrackingConfig = TrackingConfig()
    sweep: SweepConfig = SweepConfig()
    # Where a job runs is no part of it: whatever is made or recorded of a config leaves it out.
    executor: ExecutorConfig = Field(default=LocalExecutor(), exclude=True)

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
            raise explain_validation(error, cls) from None

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
