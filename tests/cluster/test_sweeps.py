"""Sweeps whose stacks run on a Dask cluster and are recorded through a tracking server."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from benchmarks.sweeps.cluster import Cluster, Serving, free_port
from runner.tracking.backend.address import ANSWER_WITHIN_S
from tests.cluster.conftest import wait_until
from tests.runner.cli.instants import PREAMBLE, at_call
from tests.runner.conftest import CHECKOUT, Command
from tests.runner.processes import WITHIN_S

# Short, and evaluated often, so that there is always something to be interrupted.
POINTS = ["-m", "training.steps=200", "training.evaluate_every=50"]
MAIN = "from runner.cli.main import main; main()"
# As a machine of its own: of another name, so that nobody here looks at its processes, and with
# files of its own beside the store.
ELSEWHERE = (
    *("unshare", "--uts", "--mount", "sh", "-c"),
    'hostname elsewhere && mkdir -p "$0" && mount -t tmpfs none "$0" && exec "$@"',
    str(CHECKOUT / "outputs"),
)
# Shown at once and saved soon; and whoever has died is given up after seconds instead of a minute.
QUICK = """
from runner.jobs.worker import stack_run
from runner.tracking.backend import lease
stack_run._SHOWN_AFTER_S, stack_run._SAVED_EVERY_S = 0.0, 1.0
lease.EXPIRES_AFTER_S, lease._SIGN_EVERY_S = 4.0, 0.5
lease._COUNTS_FOR_S, lease._WAITED_FOR_S = 0.5, 1.0
"""
# Where a run is given its end, which is then written; the worker has just asked whether it may.
SET_END = "tracking.run_writer.RunWriter.set_end"
# Stacks that train for longer than any test waits for them.
LONG = ["-m", "training.steps=4000000", "training.evaluate_every=1000", "seed=0,1"]


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """An experiment of its own for each test."""
    return re.sub(r"\W+", "-", request.node.name)[:80]


@pytest.fixture
def runs(server: str, name: str) -> Callable[[str], list[Run]]:
    """List the runs of a kind in the test's experiment."""
    client = MlflowClient(server)

    def listed(kind: str = "run") -> list[Run]:
        experiment = client.get_experiment_by_name(name)
        ids = [experiment.experiment_id] if experiment else []
        return list(client.search_runs(ids, f"tags.`runner.kind` = '{kind}'")) if ids else []

    return listed


@pytest.fixture
def words(server: str, name: str, cluster: Cluster) -> list[str]:
    return [
        *(f"name={name}", f"tracking.uri={server}", "executor=dask"),
        *(f"executor.address={cluster.address}", "executor.n_workers=2", "executor.wait_s=30"),
    ]


@pytest.fixture
def begin(command: Command) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command as a process that a test interrupts."""
    started: list[subprocess.Popen[str]] = []

    def run(*words: str, before: str = "", within: Sequence[str] = ()) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*within, sys.executable, "-c", f"{before}\n{MAIN}", *words],
            cwd=command.folder,
            env=command.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def finished_once(runs: list[Run], n_jobs: int) -> None:
    """Every key is FINISHED exactly once, and no run is left open."""
    keys = Counter(r.data.tags["runner.key"] for r in runs if r.info.status == "FINISHED")
    assert len(keys) == n_jobs
    assert set(keys.values()) == {1}
    assert not [run for run in runs if run.info.status == "RUNNING"]


def weights(runs: list[Run]) -> dict[str, str]:
    return {run.data.tags["runner.key"]: run.data.tags["runner.weights_sha256"] for run in runs}


def test_a_sweep_has_the_bits_that_it_has_locally_and_its_rerun_too(
    command: Command,
    words: list[str],
    runs: Callable[..., list[Run]],
    server: str,
    name: str,
    cluster: Cluster,
) -> None:
    points = [*POINTS, "seed=range(0,3)", "optimizer.learning_rate=0.01,0.04"]
    done = command(*words, *points)
    assert done.returncode == 0, done.stderr
    assert re.search(r"2 workers; dashboard: http://127\.0\.0\.1:\d+/status\n", done.stderr)
    finished_once(runs(), 6)
    assert {r.info.status for r in [*runs("sweep"), *runs("group")]} == {"FINISHED"}
    (sweep,) = runs("sweep")
    remote = weights(runs())
    local = command(f"name={name}", f"tracking.uri={server}", *points, "sweep.restart=true")
    assert local.returncode == 0, local.stderr
    here = [r for r in runs() if r.data.tags["runner.sweep"] != sweep.info.run_id]
    assert weights(here) == remote
    # Where a job ran is no part of its record.
    params = [key for run in runs() for key in run.data.params if key.startswith("executor")]
    assert params == []
    again = command(
        "rerun", sweep.info.run_id, "--uri", server, "--in-place", "executor=dask",
        f"executor.address={cluster.address}", "executor.wait_s=30",
    )  # fmt: skip
    assert again.returncode == 0, again.stdout + again.stderr
    assert "6 of 6" in again.stdout
    assert "learning_rate=0.04 seed=2: FINISHED" in cluster.log("one") + cluster.log("two")


def test_a_command_with_nothing_to_run_leaves_the_scheduler(
    command: Command, words: list[str], cluster: Cluster
) -> None:
    for _ in range(2):
        done = command(*words, *POINTS, "seed=0")
        assert done.returncode == 0, done.stderr
    assert "is complete" in done.stderr
    from distributed import Client

    with Client(cluster.address, set_as_default=False) as client:
        names = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.clients))
    assert not [name for name in names if name.startswith("Client-runner-")]


def test_a_worker_that_is_killed_costs_its_stack_alone(
    begin: Callable[..., subprocess.Popen[str]],
    words: list[str],
    cluster: Cluster,
    runs: Callable[..., list[Run]],
) -> None:
    process = begin(*words, *POINTS, "seed=range(0,12)")
    wait_until(lambda: len(runs()) >= 3, "no run was recorded")
    cluster.send("one", signal.SIGKILL)
    _, said = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, said
    finished_once(runs(), 12)


def test_a_job_that_costs_three_workers_fails_and_the_others_finish(
    begin: Callable[..., subprocess.Popen[str]],
    words: list[str],
    cluster: Cluster,
    runs: Callable[..., list[Run]],
) -> None:
    points = ["training.steps=200,4000000", "training.evaluate_every=100000", "seed=0"]
    process = begin(*words, "-m", *points)
    for number in range(3):
        # The long job is shown while it trains; whoever trains it dies, as if the job killed it.
        wait_until(lambda: _at_work(runs()), "the long job is not shown")
        os.kill(_at_work(runs())[0], signal.SIGKILL)
        cluster.start_worker(f"another-{number}")
        wait_until(lambda: not _at_work(runs()) or process.poll() is not None, "it goes on")
    _, said = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 1, said
    failures = [r.data.tags.get("runner.failure") for r in runs() if r.info.status == "FAILED"]
    assert len(failures) == 1
    assert re.fullmatch(r"the worker tcp://\S+ died or was lost", failures[0])
    finished_once(runs(), 1)


def _at_work(runs: list[Run]) -> list[int]:
    """Return the numbers of the processes that have the run of a long job open."""
    long = [run for run in runs if "steps=4000000" in run.info.run_name]
    names = [r.data.tags["runner.process"] for r in long if r.info.status == "RUNNING"]
    return [int(name.split("-")[-2]) for name in names]


def test_a_scheduler_that_does_not_answer_is_named_with_its_setting(
    command: Command, server: str
) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    done = command(
        f"tracking.uri={server}", "executor=dask", f"executor.address={address}",
        "executor.wait_s=0.5", *POINTS, "seed=0,1",
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"executor.address: no Dask scheduler answers at {address}")
    assert "executor.wait_s=0.5" in done.stderr


def test_a_scheduler_that_is_lost_is_said_and_the_same_command_goes_on(
    begin: Callable[..., subprocess.Popen[str]],
    command: Command,
    words: list[str],
    cluster: Cluster,
    runs: Callable[..., list[Run]],
) -> None:
    process = begin(*words, *POINTS, "seed=range(0,12)")
    wait_until(runs, "no run was recorded")
    cluster.send("scheduler", signal.SIGKILL)
    _, said = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 3, said
    assert "the scheduler is lost" in said
    assert "Traceback" not in said
    cluster.end()
    cluster.start_scheduler()
    cluster.start_worker("three")
    cluster.start_worker("four")
    done = command(*words, *POINTS, "seed=range(0,12)")
    assert done.returncode == 0, done.stderr
    finished_once(runs(), 12)


def test_ctrl_c_leaves_idle_workers_and_no_open_run(
    begin: Callable[..., subprocess.Popen[str]],
    words: list[str],
    cluster: Cluster,
    runs: Callable[..., list[Run]],
) -> None:
    process = begin(*words, *LONG)
    wait_until(lambda: len(runs()) == 2, "the runs are not shown")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WITHIN_S)
    assert process.returncode == 130
    assert {run.info.status for run in [*runs(), *runs("sweep")]} == {"KILLED"}
    from distributed import Client

    with Client(cluster.address, set_as_default=False) as client:
        wait_until(lambda: not any(client.processing().values()), "workers are busy", 2)


def test_a_driver_that_is_killed_leaves_no_worker_at_work(
    begin: Callable[..., subprocess.Popen[str]], words: list[str], runs: Callable[..., list[Run]]
) -> None:
    process = begin(*words, *LONG)
    wait_until(lambda: len(runs()) == 2, "the runs are not shown")
    process.kill()
    wait_until(lambda: {r.info.status for r in runs()} == {"KILLED"}, "workers go on")


def _finish_beside(
    worker: str, begin: Callable[..., subprocess.Popen[str]], words: list[str], cluster: Cluster
) -> None:
    """Run a sweep of twelve to its end beside a worker that stops on the way, as a text has it."""
    cluster.start_worker("stopping", DASK_DISTRIBUTED__WORKER__PRELOAD=PREAMBLE + worker)
    words = [word.replace("n_workers=2", "n_workers=3") for word in words]
    process = begin(*words, *POINTS, "seed=range(0,12)")
    _, said = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, said


def _wake(cluster: Cluster) -> None:
    """Have the worker that stopped go on, and wait until it has ended."""
    cluster.send("stopping", signal.SIGCONT)
    wait_until(lambda: cluster.processes["stopping"].poll() is not None, "it goes on")


@pytest.mark.parametrize("instant", ["tracking.store.Store.start_run", SET_END])
def test_a_worker_that_was_stopped_for_too_long_records_nothing_twice(
    instant: str,
    begin: Callable[..., subprocess.Popen[str]],
    words: list[str],
    cluster: Cluster,
    runs: Callable[..., list[Run]],
) -> None:
    _finish_beside(at_call(f"runner.{instant}", 2, signal.SIGSTOP), begin, words, cluster)
    finished_once(runs(), 12)
    _wake(cluster)
    finished_once(runs(), 12)
    # It had begun one more run.
    assert Counter(run.info.status for run in runs())["KILLED"] == 1


def test_a_run_that_a_stopped_worker_ended_before_it_died_is_closed_by_the_next_start(
    begin: Callable[..., subprocess.Popen[str]],
    command: Command,
    words: list[str],
    cluster: Cluster,
    runs: Callable[..., list[Run]],
) -> None:
    # It goes on by ending its run, and dies before it looks whether another has ended it meanwhile.
    look = "runner.jobs.worker.stack_run.close_again"
    dying = at_call(f"runner.{SET_END}", 2, signal.SIGSTOP) + at_call(look, 1, signal.SIGKILL)
    _finish_beside(dying, begin, words, cluster)
    _wake(cluster)
    assert Counter(run.info.status for run in runs()) == {"FINISHED": 13}
    done = command(*words, *POINTS, "seed=range(0,12)")
    assert done.returncode == 0, done.stderr
    finished_once(runs(), 12)


def test_a_rerun_whose_worker_died_keeps_what_is_identical(
    command: Command,
    words: list[str],
    runs: Callable[..., list[Run]],
    server: str,
    cluster: Cluster,
) -> None:
    done = command(*words, *POINTS, "seed=range(0,6)")
    assert done.returncode == 0, done.stderr
    (sweep,), originals = runs("sweep"), {run.info.run_id for run in runs()}
    dying = PREAMBLE + at_call(f"runner.{SET_END}", 2, signal.SIGKILL)
    cluster.start_worker("dying", DASK_DISTRIBUTED__WORKER__PRELOAD=dying)
    executor = [w.replace("n_workers=2", "n_workers=3") for w in words if w.startswith("executor")]
    again = command("rerun", sweep.info.run_id, "--uri", server, "--in-place", *executor)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "6 of 6" in again.stdout
    reruns = [run for run in runs() if run.info.run_id not in originals]
    assert len(reruns) > 6  # one was begun by the worker that died
    finished_once(reruns, 6)


def test_a_machine_that_was_suspended_leaves_alone_what_another_has_taken_over(
    begin: Callable[..., subprocess.Popen[str]],
    server: str,
    name: str,
    runs: Callable[..., list[Run]],
) -> None:
    words = [f"name={name}", f"tracking.uri={server}", *POINTS, "optimizer.learning_rate=0.1,0.2"]
    words += ["seed=range(0,3)", "sweep.n_workers=1"]
    suspended = QUICK + PREAMBLE + at_call(f"runner.{SET_END}", 2, signal.SIGSTOP, all_of_it=True)
    first = begin(*words, before=suspended, within=ELSEWHERE)
    wait_until(lambda: len(runs()) >= 2 and _is_stopped(first.pid), "it is not suspended")
    second = begin(*words, before=QUICK)
    _, said = second.communicate(timeout=WITHIN_S)
    assert second.returncode == 0, said
    finished_once(runs(), 6)
    os.killpg(first.pid, signal.SIGCONT)
    _, said = first.communicate(timeout=WITHIN_S)
    assert first.returncode == 3, said
    assert "another runs this sweep now" in said
    assert "Traceback" not in said
    finished_once(runs(), 6)
    assert {run.info.status for run in runs()} == {"FINISHED", "KILLED"}
    assert {r.info.status for r in [*runs("sweep"), *runs("group")]} == {"FINISHED"}
    assert len(runs("group")) == 2


def _is_stopped(number: int) -> bool:
    state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"


def test_two_machines_with_the_same_sweep_take_turns(
    begin: Callable[..., subprocess.Popen[str]],
    server: str,
    name: str,
    runs: Callable[..., list[Run]],
) -> None:
    words = [f"name={name}", f"tracking.uri={server}", *POINTS, "seed=range(0,12)"]
    both = [begin(*words, before=QUICK, within=within) for within in ((), ELSEWHERE)]
    said = [process.communicate(timeout=WITHIN_S)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("is running" in text for text in said) == 1, said
    assert len(runs("sweep")) == 1
    finished_once(runs(), 12)


def test_a_sweep_of_a_machine_that_died_goes_on_on_another_from_what_was_saved(
    begin: Callable[..., subprocess.Popen[str]],
    server: str,
    name: str,
    runs: Callable[..., list[Run]],
) -> None:
    words = [f"name={name}", f"tracking.uri={server}", "-m", "seed=0,1", "sweep.n_workers=1"]
    words += ["training.steps=300000", "training.evaluate_every=10000"]
    client = MlflowClient(server)

    def saved() -> list[str]:
        sweeps = (sweep.info.run_id for sweep in runs("sweep"))
        return [file.path for one in sweeps for file in client.list_artifacts(one, "states")]

    died = begin(*words, before=QUICK, within=ELSEWHERE)
    wait_until(lambda: len(runs()) == 2 and saved(), "nothing is saved")
    os.killpg(died.pid, signal.SIGKILL)
    assert {run.info.status for run in [*runs(), *runs("sweep")]} == {"RUNNING"}
    process = begin(*words, before=QUICK)
    printed, said = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, said
    assert re.search(r"Training goes on from step [\d,]+\b", said), printed + said
    finished_once(runs(), 2)
    assert sorted(r.info.status for r in runs()) == ["FINISHED", "FINISHED", "KILLED", "KILLED"]
    assert not saved()


@pytest.mark.parametrize("setting", ["code", "numpy"])
def test_a_worker_of_another_kind_is_named_before_the_first_run(
    setting: str,
    command: Command,
    words: list[str],
    cluster: Cluster,
    tmp_path: Path,
    runs: Callable[..., list[Run]],
) -> None:
    other = tmp_path / "other"
    for package in ("runner", "softnet", "conf", "hydra_plugins"):
        shutil.copytree(CHECKOUT / package, other / package)
    if setting == "code":
        module = other / "softnet" / "metrics.py"
        module.write_text(module.read_text() + "\nOTHER = 1\n")
    else:
        module = other / "runner" / "__init__.py"
        module.write_text(module.read_text() + "\nimport numpy\nnumpy.__version__ = '1.0'\n")
    cluster.start_worker("other", PYTHONPATH=str(other))
    words = [w.replace("n_workers=2", "n_workers=3") for w in words]
    done = command(*words, *POINTS, "seed=0,1")
    assert done.returncode == 2
    label = {"code": "code is", "numpy": "NumPy is 1.0 there"}[setting]
    assert re.match(r"executor\.address: the worker tcp://\S+ has other results: ", done.stderr)
    assert label in done.stderr
    assert runs() == runs("sweep") == []


def test_a_data_file_that_a_worker_has_not_is_named_before_the_first_run(
    command: Command,
    words: list[str],
    cluster: Cluster,
    runs: Callable[..., list[Run]],
) -> None:
    for file in ("mine.csv", "other.csv"):
        rows = "".join(f"{number},{number % 2}\n" for number in range(40))
        (command.folder / file).write_text(f"a,y\n{rows}")
    # A disk of its own over the folder, which this worker alone sees, with another of the two.
    mount = "mount -t tmpfs none . && cd . && printf 'a,y\n9,0\n8,1\n' > other.csv; exec \"$@\""
    cluster.start_worker("elsewhere", within=("unshare", "--mount", "sh", "-c", mount, "sh"),
                         folder=command.folder)  # fmt: skip
    words = [word.replace("n_workers=2", "n_workers=3") for word in words]
    words += ["-m", "experiment=own_csv", "data.target=y", "training.epochs=2", "seed=0,1"]
    for file, reason in (
        ("mine.csv", "no such file"),
        ("other.csv", "must have the content that it has on this"),
    ):
        done = command(*words, "training.batch_size=8", f"data.path={file}")
        assert done.returncode == 2
        assert "the worker tcp://" in done.stderr
        assert reason in done.stderr.lower()
    assert runs() == runs("sweep") == []


def test_a_server_that_is_away_for_a_while_is_waited_for(
    begin: Callable[..., subprocess.Popen[str]],
    words: list[str],
    serving: Serving,
    runs: Callable[..., list[Run]],
) -> None:
    process = begin(*words, *POINTS, "seed=range(0,12)")
    wait_until(lambda: len(runs()) >= 2, "no run was recorded")
    group = serving.process.pid
    os.killpg(group, signal.SIGSTOP)
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.5 * ANSWER_WITHIN_S)
        assert process.poll() is None
    finally:
        os.killpg(group, signal.SIGCONT)
    _, said = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, said
    finished_once(runs(), 12)


def test_what_only_this_machine_reaches_is_refused_before_planning(
    command: Command, tmp_path: Path
) -> None:
    done = command(
        f"tracking.uri=sqlite:///{tmp_path}/mlflow.db", "executor=dask",
        "executor.address=tcp://127.0.0.1:9", *POINTS, "seed=range(0,1000)",
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("tracking.uri: must be a store that every worker reaches")
    assert not (tmp_path / "mlflow.db").exists()
