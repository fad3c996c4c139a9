"""What a process sets before it works: one BLAS thread, no search for garbage while it loads."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from runner.system.process import n_physical_cores
from tests.runner.processes import printed


def test_physical_cores_are_at_least_one_and_no_more_than_the_process_may_use() -> None:
    assert 1 <= n_physical_cores() <= len(os.sched_getaffinity(0))


LOSE_A_CYCLE = """\
import gc, weakref
from runner.system.process import *
class Node: pass
node = Node()
node.itself = node
{before}
lost = weakref.ref(node)
del node
many = [[] for _ in range(100_000)]
print(lost() is None)
{after}
many += [[] for _ in range(100_000)]
print(lost() is None, gc.get_freeze_count() > 0)
"""


def test_garbage_is_searched_for_except_while_it_is_postponed() -> None:
    postponed = {"before": "postpone_garbage_collection()", "after": "libraries_are_loaded()"}
    assert printed(LOSE_A_CYCLE.format(before="", after="")) == "True\nTrue False"
    # What has been made meanwhile is left alone.
    assert printed(LOSE_A_CYCLE.format(**postponed)) == "False\nFalse True"
    # A program that opens many stores keeps its objects as they are.
    allowed = LOSE_A_CYCLE.format(before="libraries_are_loaded()", after="")
    assert printed(allowed) == "True\nTrue False"


def test_the_exit_searches_nothing_of_what_is_left() -> None:
    script = "skip_last_garbage_collection()\nprint(len(gc.get_objects()))"
    assert int(printed(f"import gc\nfrom runner.system.process import *\n{script}")) < 100


COMMANDS = """\
import gc, io, sys
from contextlib import redirect_stdout
from runner.cli.main import carry_out
from runner.system.process import postpone_garbage_collection
for words in {commands}:
    postpone_garbage_collection()
    with redirect_stdout(io.StringIO()):
        carry_out(words)
    print(gc.isenabled())
"""


def test_every_command_searches_for_garbage_once_it_has_its_store(
    store: Path, tmp_path: Path
) -> None:
    folder, rows = str(tmp_path / "folder"), str(tmp_path / "rows.csv")
    Path(rows).write_text("feature_1,feature_2,feature_3,feature_4\n1,2,3,4\n", "utf-8")
    uri = f"sqlite:///{store}"
    training = ["training.steps=10", "training.evaluate_every=10", f"tracking.uri={uri}"]
    printed(COMMANDS.format(commands=[training]))
    with closing(sqlite3.connect(store)) as connection:
        ((run_id,),) = connection.execute("SELECT run_uuid FROM runs").fetchall()
    commands = [
        training,
        ["-m", "seed=0,1", *training],
        ["export", run_id, folder, "--uri", uri],
        ["predict", run_id, rows, "--uri", uri],
        ["predict", folder, rows],
        ["rerun", run_id, "--uri", uri],
        ["rerun", folder],
        ["sweeps", "--uri", uri],
    ]
    assert printed(COMMANDS.format(commands=commands)).split() == ["True"] * len(commands)
