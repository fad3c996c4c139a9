"""Where a process runs, as Linux tells it, and what of two such places is the same machine."""

import time
from pathlib import Path

import pytest

from runner.tracking.backend.machines import Origin, started_ns

CARD = "02:00:00:00:00:01"


def system(
    root: Path, boot: str = "b-1", machine: str = "m1", card: str | None = CARD, number: int = 0
) -> Origin:
    """Lay out what Linux says of itself, and read it."""
    files = {"proc/sys/kernel/random/boot_id": boot, "etc/machine-id": machine}
    files["sys/class/net/veth0/address"] = "02:00:00:00:00:ff"
    if card is not None:
        files |= {"sys/class/net/eth0/address": card, "sys/class/net/eth0/device": ""}
    top = root / f"{boot} {machine} {card} {number}"
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(f"{text}\n", "utf-8")
    (top / "proc/self/ns").mkdir(parents=True)
    (top / "proc/self/ns/pid").touch()
    return Origin.here(top)


def test_where_this_process_runs_is_one_place_however_often_it_is_read() -> None:
    assert Origin.here() == Origin.here()


def test_a_name_reads_back_as_what_it_names(tmp_path: Path) -> None:
    for origin in (Origin.here(), system(tmp_path), Origin.here(tmp_path / "no system")):
        assert Origin.named(origin.host, origin.name) == origin


@pytest.mark.parametrize("name", ["", "a", "a_b", "a_b_c_d"])
def test_what_is_no_name_is_none(name: str) -> None:
    assert Origin.named("host", name) is None


def test_containers_of_one_machine_do_not_share_numbers(tmp_path: Path) -> None:
    one, other = system(tmp_path), system(tmp_path, number=1)  # each with a file of its own
    assert one.boot == other.boot
    assert not one.shares_numbers(other)
    assert not one.has_restarted_since(other)
    assert one.shares_numbers(one)


def test_a_machine_is_known_again_after_a_restart(tmp_path: Path) -> None:
    assert system(tmp_path, boot="b-2").has_restarted_since(system(tmp_path))


@pytest.mark.parametrize(
    "other",
    [
        {"boot": "b-1", "machine": "m2"},
        {"boot": "b-1", "card": "02:00:00:00:00:02"},
        {"boot": "b-1", "card": None},
        {"boot": "b-1", "machine": ""},
        {"boot": ""},
        {"boot": "b-2", "number": 1},
    ],
    ids=["other id", "copied disk", "container", "no id", "no start", "same start"],
)
def test_another_machine_is_not_taken_for_an_earlier_start(
    tmp_path: Path, other: dict[str, str]
) -> None:
    assert not system(tmp_path, boot="b-2").has_restarted_since(system(tmp_path, **other))


def test_containers_without_a_card_are_no_machine_that_restarted(tmp_path: Path) -> None:
    now, then = (system(tmp_path, boot=boot, card=None) for boot in ("b-2", "b-1"))
    assert not now.has_restarted_since(then)


def test_the_id_of_the_machine_is_not_shown(tmp_path: Path) -> None:
    assert "confidential" not in system(tmp_path, machine="confidential").name


def test_a_machine_was_started_before_now() -> None:
    assert 0 < started_ns() < time.time_ns()
