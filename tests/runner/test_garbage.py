"""When Python looks for garbage, in processes of their own: it is one switch for all of Python."""

import subprocess
import sys

import pytest

CYCLE = """\
import gc, sys, weakref
from runner import garbage

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
    script = (
        "import gc\nfrom runner import garbage\ngarbage.skip_last()\nprint(len(gc.get_objects()))"
    )
    assert int(printed(script)) < 100


def test_a_command_that_trains_collects_its_garbage(store: object) -> None:
    script = """\
import gc, sys
from runner.cli import main
sys.argv = ["runner", "training.steps=10", "training.evaluate_every=10"]
try:
    main()
finally:
    print(gc.isenabled())"""
    assert printed(script).splitlines()[-1] == "True"


def printed(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
