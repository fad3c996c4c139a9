"""Records that were changed after the run: each change is found, named, and decides the exit code.

Every job of one sweep is changed in a way of its own, and repeated by its id.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.runner.cli.odd_rows import ODD_ROWS
from tests.runner.cli.rerunning import moved, sweep, verdict
from tests.runner.cli.sweeping import Recorded
from tests.runner.cli.tampered_results import RESULTS
from tests.runner.cli.tampered_settings import SETTINGS
from tests.runner.cli.tampering import Job, Phrases
from tests.runner.conftest import Command

CHANGES = RESULTS | SETTINGS | ODD_ROWS
SWEEP = [
    *("data=moons", "split=shuffled", "model.hidden_layer_sizes=[6]", "training.steps=40"),
    *("training.evaluate_every=20", "optimizer.learning_rate=0.04", "sweep.n_workers=1"),
]


@dataclass(frozen=True)
class Tampered:
    """A store with a sweep whose jobs were changed, but for the last two."""

    command: Command
    parent: Recorded
    jobs: dict[str, Recorded]
    phrases: dict[str, Phrases]

    def rerun(self, name: str, *arguments: str) -> tuple[str, int, str]:
        ended = self.command("rerun", self.jobs[name].run_id, "--check", *arguments, COLUMNS="250")
        return verdict(ended), ended.returncode, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def tampered(shared: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tampered]:
    parent, jobs = sweep(shared, *SWEEP, f"seed=range(0,{len(CHANGES) + 2})")
    command = moved(shared, tmp_path_factory.mktemp("moved") / "store")
    shared.store.rename(shared.store.with_name("gone"))
    by_name = dict(zip([*CHANGES, "nothing", "nothing else"], jobs, strict=True))
    phrases = {name: make(Job(command, by_name[name])) for name, (_, make) in CHANGES.items()}
    yield Tampered(command, parent, by_name, phrases)
    shared.store.with_name("gone").rename(shared.store)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found_and_named(name: str, tampered: Tampered):
    said, exit_code, text = tampered.rerun(name)
    assert exit_code == CHANGES[name][0], text
    assert said != "IDENTICAL"
    assert "Traceback" not in text
    for phrase in tampered.phrases[name]:
        assert phrase in text


def test_what_nobody_changed_is_identical(tampered: Tampered):
    assert tampered.rerun("nothing")[:2] == ("IDENTICAL", 0)


@pytest.mark.parametrize(
    "name",
    [
        "a weight by one unit in the last place",
        "a metric",
        "a metric deleted",
        "the end",
        "the tag of the split",
    ],
)
def test_no_tolerance_admits_a_changed_record(name: str, tampered: Tampered):
    assert tampered.rerun(name, "--tolerance", "1e9")[:2] == ("DIFFERENT", 5)


def test_tolerance_admits_what_may_have_come_out_so(tampered: Tampered):
    """One unit in the last place, with no digest that speaks against it."""
    assert tampered.rerun("a weight and every digest", "--tolerance", "1e-9")[:2] == (
        "DIFFERENT",
        0,
    )


def test_rerun_of_the_sweep_tells_them_apart(tampered: Tampered):
    ended = tampered.command("rerun", tampered.parent.run_id, "--check", COLUMNS="250")
    assert ended.returncode == 5, ended.stderr
    codes = [exit_code for exit_code, _ in CHANGES.values()]
    n_different, n_unfit = codes.count(5), codes.count(2)
    expected = f"2 of {len(tampered.jobs)} identical, {n_different} different, "
    assert f"{expected}{n_unfit} not comparable" in ended.stdout
    # Environments that are not those of their tags are looked at too.
    assert "Nothing differs" not in ended.stdout
    assert "environment   not on record" in ended.stdout
    assert "BLAS threads  2 " in ended.stdout
