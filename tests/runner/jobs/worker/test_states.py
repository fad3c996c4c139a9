"""Saved states: in a folder and in a store alike, and read with care."""

from pathlib import Path

import numpy as np
import pytest

from runner.jobs.worker.states import SavedStack, States, open_states
from runner.system.errors import RunnerError
from runner.tracking import open_store


@pytest.fixture(params=["folder", pytest.param("server", marks=pytest.mark.process)])
def states(request: pytest.FixtureRequest, tmp_path: Path) -> States:
    """Give an empty place, in a folder or among the artifacts of a run on a server."""
    if request.param == "folder":
        found = open_states(str(tmp_path / "states"), None)
    else:
        store = open_store(request.getfixturevalue("server"), None, "states")
        run = store.start_run("sweep", {}, {})
        found = open_states(run.run_id, store)
    assert found is not None
    return found


def test_what_is_saved_is_found_and_read_and_forgotten(states: States) -> None:
    assert states.saved() == []
    weights = np.arange(5.0)
    name = states.save(["1", "2"], 5, {"training": {"weights": weights}})
    other = states.save(["3"], 7, {"training": {}})
    found = [SavedStack(name, 5, ("1", "2")), SavedStack(other, 7, ("3",))]
    assert sorted(states.saved()) == sorted(found)
    assert states.load(name)["training"]["weights"].tobytes() == weights.tobytes()
    states.forget_others({other})
    assert states.saved() == [found[1]]
    states.forget(other)
    states.forget_others()
    assert states.saved() == []
    with pytest.raises(RunnerError):
        states.load(name)


def test_each_step_of_a_stack_has_a_name_of_its_own(states: States) -> None:
    names = [states.save(["1"], step, {"training": {}}) for step in (20, 5)]
    assert sorted(states.saved()) == sorted(
        SavedStack(name, step, ("1",)) for name, step in zip(names, (20, 5), strict=True)
    )


@pytest.mark.parametrize("content", ["", "{}", "[3]", "[[]]"])
def test_a_state_of_no_use_is_left_out(content: str, tmp_path: Path) -> None:
    states = open_states(str(tmp_path), None)
    assert states is not None
    good = states.save(["1"], 3, {})
    for name in ("0123456789abcdef-4", "odd", "../0123456789abcdef-4"):
        (tmp_path / name).with_suffix(".npz").write_bytes(b"PK")
        (tmp_path / name).with_suffix(".json").write_text(content)
    (tmp_path / "0123456789abcdef-5.npz").write_bytes(b"PK")  # its keys were never written
    assert states.saved() == [SavedStack(good, 3, ("1",))]
    states.forget_others()
    assert list(tmp_path.iterdir()) == []
