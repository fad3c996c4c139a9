"""One job: trained, and recorded as it goes, with an honest end whatever happens.

The run exists in the store before training starts, and is FINISHED only when its config, metrics
and weights are stored.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from runner.checkpoint import disk_error
from runner.config import fingerprint, to_plain, to_yaml
from runner.environment import code_digest, environment, environment_digest
from runner.errors import RunnerError, StoreError
from runner.execute import Prepared, Result, require_fit, train
from runner.progress import progress
from runner.report import Outcome
from runner.signals import held
from softnet import Network

if TYPE_CHECKING:
    from runner.config import Experiment
    from runner.tracking import RecordedRun, Store
    from softnet import Record


def run_job(
    store: Store,
    experiment: Experiment,
    prepared: Prepared,
    name: str,
    varied: Mapping[str, str],
    *,
    single: bool,
) -> Outcome:
    """Train one experiment and record it.

    Parameters
    ----------
    store : Store
        Where the run is recorded.
    experiment : Experiment
        What to run.
    prepared : Prepared
        Its data.
    name : str
        What the run is called.
    varied : mapping of str to str
        Settings by which it differs from the others of its command.
    single : bool
        Whether to add figures and a loadable model.

    Returns
    -------
    Outcome
        FINISHED, or FAILED where the loss stopped being finite.

    Raises
    ------
    StoreError
        If the store fails.
    """
    started = time.perf_counter()
    tags = {
        "runner.kind": "run",
        "runner.key": fingerprint(experiment, prepared.dataset.digest),
        "runner.varied": json.dumps(dict(varied)),
        "runner.data_digest": prepared.dataset.digest,
        "runner.split_digest": prepared.split.digest,
        "runner.environment": environment_digest(),
        "runner.code": code_digest(),
    }
    run = None
    try:
        with held():  # a run that nobody knows of could not be closed
            run = store.start_run(name, to_plain(experiment), tags)
        result = _train_aloud(experiment, prepared, run, name)
        _store_result(run, store, experiment, prepared, result, name, single=single)
    except BaseException as error:
        if run is not None:
            # Where the store itself is what failed, the next start closes the run.
            with suppress(StoreError):
                _close(run, error)
        raise
    return Outcome(
        name=name,
        run_id=run.run_id,
        status="FAILED" if result.failure else "FINISHED",
        varied=varied,
        metrics=result.final,
        failure=result.failure,
        duration_s=time.perf_counter() - started,
        n_steps=result.n_steps,
    )


def _close(run: RecordedRun, error: BaseException) -> None:
    """End a run as what ended it says: FAILED by an error, KILLED by a signal."""
    if isinstance(error, RunnerError):
        run.fail(str(error))
    elif isinstance(error, Exception):
        run.fail(f"{type(error).__name__}: {error}")
    else:
        run.kill()


def _train_aloud(experiment: Experiment, prepared: Prepared, run: RecordedRun, name: str) -> Result:
    """Train, with metrics going to the run and a bar to the terminal."""
    n_steps = require_fit(experiment, prepared).n_steps
    done = 0
    with progress(n_steps, name) as advance:

        def on_record(record: Record) -> None:
            nonlocal done
            metrics = {key: float(values[0]) for key, values in record.metrics.items()}
            if metrics:
                run.log_metrics(record.step, metrics)
            advance(record.step - done, loss=metrics.get("train/loss"))
            done = record.step

        (result,) = train(prepared, [experiment], on_record)
    return result


def _store_result(
    run: RecordedRun,
    store: Store,
    experiment: Experiment,
    prepared: Prepared,
    result: Result,
    name: str,
    *,
    single: bool,
) -> None:
    """Store all that a run leaves, and its end last of all."""
    for kind, step in (("test/", result.n_steps), ("best/", result.best_step or 0)):
        kept = {name: value for name, value in result.final.items() if name.startswith(kind)}
        run.log_metrics(step, kept)
    run.set_tags({"runner.weights_sha256": result.weights_sha256})
    run.log_datasets(prepared.dataset, prepared.split)
    with _scratch_folder() as folder:
        (folder / "config.yaml").write_text(to_yaml(experiment), encoding="utf-8")
        (folder / "environment.json").write_text(
            json.dumps(environment(), indent=2), encoding="utf-8"
        )
        np.savez(folder / "weights.npz", allow_pickle=False, **result.weights)
        if single and not result.failure:
            from runner.figures import draw

            network = Network.from_weights(result.weights, experiment.model.activation)
            draw(prepared, result, lambda X: network.predict_proba(X)[0], folder / "figures", name)
        run.log_folder(folder)
        if single and not result.failure:
            store.log_model(run, prepared, result.weights, experiment.model.activation)
    if result.failure:
        run.fail(result.failure)
    else:
        run.finish()


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """Make a folder for what is on its way to the store; say in words where there is no room."""
    try:
        with TemporaryDirectory(prefix="runner-") as scratch:
            yield Path(scratch)
    except OSError as error:
        raise disk_error(Path(tempfile.gettempdir(), "runner"), error) from error
