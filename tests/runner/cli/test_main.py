"""The real command: what it prints, what it imports, how it ends."""

import gzip
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.runner.cli.sweeping import BARE, count, end, recorded, start, until
from tests.runner.conftest import Command
from tests.runner.processes import WITHIN_S
from tests.runner.terminals import Terminal

HEAVY = {"numpy", "pydantic", "mlflow", "pandas", "sklearn", "scipy", "matplotlib", "rich"}
ENDLESS = ["training.steps=1000000000", "training.evaluate_every=1000000", *BARE]


LOADED = """
import json, sys
from runner.cli.main import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["runner", *words]
    try:
        main()
    except SystemExit:
        names = sorted({name.partition(".")[0] for name in sys.modules})
        print(json.dumps(names), file=sys.__stderr__)
"""


def imported(command: Command, *lines: list[str], **variables: str) -> list[set[str]]:
    """Return the top-level packages that are loaded by the end of each of some command lines."""
    ended = subprocess.run(
        [sys.executable, "-c", LOADED, json.dumps(lines)],
        cwd=command.folder,
        env=command.environment | variables,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    found = [set(json.loads(line)) for line in ended.stderr.splitlines() if line.startswith("[")]
    assert len(found) == len(lines), ended.stderr
    return found


# Help and its like.


def test_the_version_is_its_own(command: Command):
    assert command("--version").stdout.startswith("softnet-runner ")


def test_help_teaches_on_one_screen(command: Command):
    ended = command("--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(ended.stdout.splitlines()) <= 50
    for piece in (
        "experiment=digits",
        "--multirun",
        "runner ui",
        "optimizer: adam, adam_digits, adamw, adamw_mnist, adamw_tables, rmsprop, sgd",
        "143",
    ):
        assert piece in ended.stdout


def test_help_is_the_same_page_by_way_of_hydra(command: Command):
    assert command("-h").stdout == command("--help", "seed=1").stdout


def test_nothing_but_hydra_is_loaded_and_by_help_not_even_that(command: Command):
    lines = [
        ["--help"],
        ["--help", "seed=1"],
        ["--hydra-help"],
        ["--cfg", "job", "--resolve"],
        ["--info", "defaults"],
        ["-sc", "install=bash"],
        ["-sc", "query=bash"],
        ["mdoel.activation=relu"],
        ["nonsense"],
    ]
    loaded = imported(command, *lines, COMP_LINE="runner mod", COMP_POINT="10")
    assert "hydra" not in loaded[0]
    assert [names & HEAVY for names in loaded] == [set()] * len(lines)


def test_show_and_sweeps_begin_with_no_library(command: Command):
    code = "import sys, runner.cli.show, runner.tracking; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code], env=command.environment, capture_output=True, check=True
    )
    loaded = {name.partition(".")[0] for name in ended.stdout.decode().split()}
    assert loaded & (HEAVY | {"hydra", "softnet"}) == set()


def test_wrong_setting_loads_neither_mlflow_nor_readers_of_data(command: Command):
    (loaded,) = imported(command, ["seed=-1"])
    assert loaded & (HEAVY - {"numpy", "pydantic", "rich"}) == set()


def test_cfg_job_shows_the_resolved_config(command: Command):
    ended = command("--cfg", "job", "--resolve", "seed=3", "split.seed=${seed}")
    assert ended.returncode == 0
    assert ended.stdout.startswith("name: tutorial\nseed: 3\ndtype: float64\ntask: auto\n")
    assert "${" not in ended.stdout
    assert command.left() == []


def test_info_shows_where_yaml_comes_from(command: Command):
    ended = command("--info", "searchpath", "--config-dir", ".")
    assert ended.returncode == 0
    assert str(command.folder) in ended.stdout


def test_alone_on_a_terminal_it_ends_with_what_to_try_next(sweeper: Command):
    with Terminal() as terminal:
        ended = subprocess.run(
            [sys.executable, "-m", "runner"],
            cwd=sweeper.folder,
            env=sweeper.environment,
            stdout=terminal.file,
            stderr=subprocess.PIPE,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr
    own, a_sweep = ended.stderr.splitlines()[-2:]
    assert own.startswith("  your own table:  runner experiment=own data.path=FILE.csv ")
    assert a_sweep.startswith("  a sweep:         runner -m experiment=iris ")


# How it ends.


def test_unknown_command_is_refused_with_those_that_exist(command: Command):
    ended = command("uii")
    assert ended.returncode == 2
    assert ended.stderr == (
        "uii: must be a command (clean, compare, data, ensemble, export, predict, report, rerun, "
        "runs, show, sweeps, sync, ui) or a "
        "setting (key=value), got 'uii'. Did you mean 'ui'? See runner --help.\n"
    )


def test_escapes_from_outside_are_printed_as_text(command: Command):
    ended = command("+\x1b[31mred=1")
    assert ended.returncode == 2
    assert "\x1b" not in ended.stderr


def test_unusable_store_is_three(command: Command):
    ended = command(MLFLOW_TRACKING_URI="sqlite:////proc/nowhere/mlflow.db")
    assert ended.returncode == 3
    assert "/proc/nowhere" in ended.stderr
    assert len(ended.stderr.splitlines()) <= 3


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_signal_closes_the_run_as_killed(number: signal.Signals, code: int, sweeper: Command):
    process = start(sweeper, *ENDLESS)
    until(process, lambda: count(sweeper, "RUNNING") == 1)
    os.killpg(process.pid, number)
    ended = end(process)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    assert [run.status for run in recorded(sweeper)] == ["KILLED"]


def test_signal_before_any_run_leaves_nothing(command: Command):
    # Hydra composes each choice of groups anew, 144 of them for many seconds: the signal comes in
    # the middle of it.
    choices = [
        "data=tutorial,moons,spirals,blobs",
        "model=linear,mlp",
        "optimizer=sgd,adam",
        "schedule=constant,step,cosine",
        "training=steps,epochs,early_stopping",
    ]
    process = start(command, "-m", *choices)
    until(process, lambda: list(command.scratch.iterdir()))
    process.send_signal(signal.SIGTERM)
    ended = end(process)
    assert (ended.returncode, ended.stderr) == (143, "")
    assert command.left() == []


def test_reader_that_goes_away_does_not_stop_a_sweep(sweeper: Command):
    process = start(sweeper, "-m", "training.steps=200", "seed=1,2", *BARE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    assert process.wait(WITHIN_S) == 0
    assert "Error" not in errors
    # With the sweep's own, and the one that sums up its seeds.
    assert [run.status for run in recorded(sweeper)] == ["FINISHED"] * 4
    process.stderr.close()


@pytest.mark.parametrize(("words", "n_runs"), [("", 1), ("-m seed=0,1", 4)])
def test_closed_streams_stop_nothing(words: str, n_runs: int, sweeper: Command):
    script = f'exec "$0" -m runner training.steps=200 {" ".join(BARE)} {words} <&- >&- 2>&-'
    ended = subprocess.run(
        ["/bin/sh", "-c", script, sys.executable],
        cwd=sweeper.folder,
        env=sweeper.environment,
        timeout=WITHIN_S,
        check=False,
    )
    assert ended.returncode == 0
    assert [run.status for run in recorded(sweeper)] == ["FINISHED"] * n_runs


@pytest.mark.slow
def test_mnist_trains_on_the_four_files_of_a_folder_and_tests_on_its_test_rows(command: Command):
    rng = np.random.default_rng(0)
    for part, n_rows in (("train", 60), ("t10k", 20)):
        for what, array in (
            ("images-idx3", rng.integers(256, size=(n_rows, 28, 28))),
            ("labels-idx1", np.arange(n_rows) % 10),
        ):
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            content = bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()
            (command.folder / f"{part}-{what}-ubyte.gz").write_bytes(gzip.compress(content))
    few = ("training.epochs=1", "training.batch_size=16", "tracking.model=false")
    ended = command("experiment=mnist", *few)
    assert ended.returncode == 0, ended.stderr
    assert "784 numbers, 10 classes" in ended.stdout
    assert "20 test" in ended.stdout


@pytest.mark.parametrize("of", ["name=é", "The working folder", "HOME", "MLFLOW_TRACKING_URI"])
def test_letters_that_the_locale_lacks_are_told_with_it(of: str, command: Command):
    folder = command.folder / "ü"
    folder.mkdir()
    place = {of: f"sqlite:///{folder}/x.db"} if of.isupper() else {}
    if of.startswith("The"):
        command = replace(command, folder=folder)
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"} | place
    ended = command.process(*([of] if "=" in of else []), **variables)
    assert ended.returncode == 2
    shown = of.replace("é", r"\xe9")
    assert ended.stderr == (
        f"{shown}: has letters that the locale (ascii) lacks; set LC_ALL=C.UTF-8.\n"
    )
