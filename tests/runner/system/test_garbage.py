"""When Python looks for garbage, in processes of their own: it is one switch for all of Python."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

CYCLE = """\
import gc, sys, weakref
from runner.system import garbage

class Node: pass

def lose_a_cycle():
    node = Node()
    node.itself = node
    return weakref.ref(node)
"""
MANY = "many = [[] for _ in range(100_000)]\n"


@pytest.mark.parametrize(
    ("steps", "collected"),
    [
        (f"lost = lose_a_cycle()\n{MANY}", True),
        (f"garbage.postpone()\nlost = lose_a_cycle()\n{MANY}", False),
        (f"garbage.postpone()\ngarbage.allow()\nlost = lose_a_cycle()\n{MANY}", True),
    ],
    ids=["by default", "postponed", "allowed again"],
)
def test_garbage_is_looked_for_except_while_it_is_postponed(steps: str, collected: bool) -> None:
    assert printed(f"{CYCLE}{steps}print(lost() is None)") == str(collected)


def test_the_exit_searches_nothing_of_what_is_left() -> None:
    script = "import gc\nfrom runner.system import garbage\ngarbage.skip_last()\nprint(len(gc.get_objects()))"
    assert int(printed(script)) < 100


# Whether it is looked for when a command has come to its end.
COMMAND = """\
import gc, sys
from runner.cli.main import main
sys.argv = ["runner", *{words}]
try:
    main()
finally:
    print(gc.isenabled())"""
TRAINING = ["training.steps=10", "training.evaluate_every=10"]


def test_every_command_collects_its_garbage_once_it_has_its_store(tmp_path: Path) -> None:
    store, folder, rows = (str(tmp_path / name) for name in ("mlflow.db", "folder", "rows.csv"))
    Path(rows).write_text("feature_1,feature_2,feature_3,feature_4\n1,2,3,4\n", "utf-8")
    uri = f"sqlite:///{store}"
    collects(*TRAINING, f"tracking.uri={uri}")
    with closing(sqlite3.connect(store)) as connection:
        ((run_id,),) = connection.execute("SELECT run_uuid FROM runs").fetchall()
    collects("-m", "seed=0,1", *TRAINING, f"tracking.uri={uri}")
    collects("export", run_id, folder, "--uri", uri)
    collects("predict", run_id, rows, "--uri", uri)
    collects("predict", folder, rows)
    collects("rerun", run_id, "--uri", uri)
    collects("rerun", folder)
    collects("sweeps", "--uri", uri)


def collects(*words: str) -> None:
    assert printed(COMMAND.format(words=list(words))).splitlines()[-1] == "True", words


def test_who_opens_many_stores_freezes_nothing() -> None:
    script = "import gc\nfrom runner.system import garbage\ngarbage.allow()\nprint(gc.get_freeze_count())"
    assert printed(script) == "0"


def printed(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
