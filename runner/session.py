"""One command at work: every job trained, recorded and, at the end, reported.

Here the data's way comes together: a plain dict from `compose` becomes an experiment, an
experiment becomes a recorded run, a run becomes a line on the screen. It must not know Hydra,
MLflow or matplotlib themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from runner.config import Experiment
from runner.execute import Prepared, prepare, require_fit
from runner.record import run_job
from runner.report import Outcome, print_outcomes

if TYPE_CHECKING:
    from types import TracebackType

    from runner.tracking import Store


class Session:
    """The jobs of one command, and what became of them.

    Parameters
    ----------
    single : bool
        Whether the command is one run, which then gets figures and a loadable model too.

    Attributes
    ----------
    outcomes : list of Outcome
        One per job that was begun.
    """

    def __init__(self, *, single: bool) -> None:
        self.single = single
        self.outcomes: list[Outcome] = []
        self._metric = ""
        self._stores: dict[tuple[str | None, str | None, str], Store] = {}
        self._prepared: dict[str, Prepared] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.outcomes:
            places = [store.where for store in self._stores.values()]
            print_outcomes(self.outcomes, self._metric, places[-1])

    @property
    def exit_code(self) -> int:
        """0 if every job finished, 1 if some failed."""
        return int(any(outcome.status != "FINISHED" for outcome in self.outcomes))

    def run(self, config: Mapping[str, Any], overrides: Sequence[str]) -> None:
        """Train and record one job.

        Parameters
        ----------
        config : mapping
            The composed and resolved config.
        overrides : sequence of str
            What the command line changed, ``key=value``.

        Raises
        ------
        RunnerError
            If there is no run to speak of: a wrong setting, unusable data, no store.
        """
        experiment = Experiment.from_dict(config)
        self._metric = experiment.ranking_metric
        prepared = self._prepare(experiment)
        store = self._store(experiment)
        varied = dict(override.lstrip("+").split("=", 1) for override in overrides)
        self.outcomes.append(run_job(store, experiment, prepared, varied, single=self.single))

    def _prepare(self, experiment: Experiment) -> Prepared:
        """Prepare the data of an experiment once for all jobs that share it."""
        key = experiment.model_dump_json(include={"data", "split"})
        if key not in self._prepared:
            self._prepared = {key: prepare(experiment)}
        require_fit(experiment, self._prepared[key])
        return self._prepared[key]

    def _store(self, experiment: Experiment) -> Store:
        from runner.tracking import open_store

        tracking = experiment.tracking
        key = (tracking.uri, tracking.experiment, experiment.name)
        if key not in self._stores:
            self._stores[key] = open_store(*key)
        return self._stores[key]
