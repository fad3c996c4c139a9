"""What a record says makes nothing happen: no import, no process, no connection, no file opened.

One process repeats an honest record, then every hostile one, while Python reports what it does.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.training.run_files import CONFIG, ENVIRONMENT, MODEL
from tests.runner.conftest import CHECKOUT
from tests.runner.tracking.hostile_server import HostileServer
from tests.runner.tracking.records.conftest import honest
from tests.runner.tracking.records.faults_of_configs import CANARY, NO_CONFIGS, NO_SETTINGS
from tests.runner.tracking.records.spoiling import Record

__all__ = ["honest"]  # pytest finds fixtures by their names here

ESCAPE = "\x1b[2J\x1b]0;owned\x07\u202e"
PRIVATE = "a,label\n1,top\n2,secret\n"


@dataclass
class Audit:
    """What came of all records, by name."""

    here: Path
    records: dict[str, Path] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    was_asked: bool = True


def _spoil(name: str, record: Record, outside: Path, address: str) -> None:
    """Make one of the records that are not in a table of their own."""
    data = {"name": "file", "target": "label", "scaling": "none"}
    match name.split(" ", 1):
        case ["data", path]:
            record.change(data=data | {"path": path.format(outside=outside, address=address)})
        case ["tracking", _]:
            record.change(tracking={"uri": address}, sweep={"name": "x", "restart": True})
        case ["environment", _]:
            record.write(ENVIRONMENT, json.dumps({"decisive": {"numpy": ESCAPE}}).encode())
        case ["class", _]:
            model = json.loads((record.folder / MODEL).read_bytes())
            record.write(MODEL, json.dumps(model | {"class_names": [ESCAPE, "=1"]}).encode())
        case ["name", _]:
            record.tell(name=ESCAPE, run_id=ESCAPE)
        case ["failure", _]:
            record.tell(status="FAILED", failure=ESCAPE)
        case ["no result", _] | ["no", _]:
            record.tell(status="KILLED", failure=ESCAPE)
            tags = record.facts["tags"]
            record.tell(tags={k: v for k, v in tags.items() if k != "runner.files_sha256"})
        case ["size", _]:
            record.change(model={"hidden_layer_sizes": [10**9, 10**9]})
        case _:
            raise ValueError(name)


PATHS = [
    "data {outside}/secret.csv",
    "data ../outside/secret.csv",
    "data ~/secret.csv",
    "data link.csv",
    "data link/secret.csv",
    "data link/../outside/secret.csv",
    "data circle.csv",
    "data /dev/zero",
    "data /etc/passwd",
    "data /proc/self/environ",
    "data ~root/secret.csv",
]
# No files, or of other content. Whatever else they may look like, as paths they lead no further.
INSIDE = ["data table.csv", "data pipe.csv", "data folder.csv", "data gone.csv"]
INSIDE += ["data {address}/x.csv", "data s3://bucket/x.csv", "data ~nobody-of-that-name/x.csv"]
TALES = ["environment x", "class x", "name x", "failure x", "tracking x"]
REFUSED = ["no result", "size x"]


@pytest.fixture(scope="module")
def audit(honest: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    folder = tmp_path_factory.mktemp("audit")
    here, outside = folder / "here", folder / "outside"
    for place in (here, outside):
        place.mkdir()
    (outside / "secret.csv").write_text(PRIVATE)
    (home / "secret.csv").write_text(PRIVATE)
    (here / "link.csv").symlink_to(outside / "secret.csv")
    (here / "link").symlink_to(outside)
    (here / "circle.csv").symlink_to("circle.csv")
    (here / "folder.csv").mkdir()
    (here / "table.csv").write_text(PRIVATE)
    os.mkfifo(here / "pipe.csv")
    found = Audit(here)
    with HostileServer() as server:
        names = ["honest", *INSIDE, *PATHS, *TALES, *REFUSED]
        names += [fault.name for fault in (*NO_CONFIGS, *NO_SETTINGS)]
        faults = {fault.name: fault.content for fault in (*NO_CONFIGS, *NO_SETTINGS)}
        for number, name in enumerate(names):
            record = Record(Path(shutil.copytree(honest, folder / f"record{number:03}")))
            if name in faults:
                record.write(CONFIG, faults[name])
            elif name != "honest":
                _spoil(name, record, outside, server.address)
            found.records[name] = record.folder
        done = subprocess.run(
            [sys.executable, "-m", "tests.runner.cli.audited", *found.records.values()],
            cwd=here,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT), "HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=120,  # as long as any command of these tests may take
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found.results = dict(zip(names, json.loads(done.stdout), strict=True))
        found.was_asked = not server.is_untouched
    yield found
    (home / "secret.csv").unlink()


def test_the_honest_record_is_identical(audit: Audit) -> None:
    result = audit.results["honest"]
    assert (result["code"], "IDENTICAL" in result["said"]) == (0, True), result["said"]
    assert any(event.startswith("open FOLDER/config.yaml") for event in result["events"])


def test_nothing_happens_beyond_what_an_honest_record_causes(audit: Audit) -> None:
    # To read a file of one's own takes other modules than data that the program brings along.
    allowed = {e for name in ("honest", "data table.csv") for e in audit.results[name]["events"]}
    more = {
        name: [event for event in result["events"] if event not in allowed]
        for name, result in audit.results.items()
        # The folder in which a file should be is looked through for one of a similar name.
        if name != "data gone.csv"
    }
    assert {name: events for name, events in more.items() if events} == {}


def test_nothing_was_made_or_asked(audit: Audit) -> None:
    left = {path.name for path in audit.here.iterdir()}
    assert left == {"link.csv", "link", "circle.csv", "folder.csv", "pipe.csv", "table.csv"}
    assert not list(audit.here.parent.rglob(CANARY))
    assert not audit.was_asked


@pytest.mark.parametrize(
    "name", [*PATHS, *INSIDE, *REFUSED, *(f.name for f in (*NO_CONFIGS, *NO_SETTINGS))]
)
def test_a_refusal_is_two_in_three_lines(name: str, audit: Audit) -> None:
    result = audit.results[name]
    assert result["code"] == 2, result["said"]
    lines = result["said"].splitlines()
    assert 1 <= len(lines) <= 3
    assert all(line.isprintable() for line in lines)
    assert "secret" not in result["said"].replace("secret.csv", "")


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_leads_out_is_refused_by_name(path: str, audit: Audit) -> None:
    said = audit.results[path]["said"]
    assert said.startswith("data.path: must lead into ")
    assert "name it with --data" in said


@pytest.mark.parametrize("name", TALES)
def test_text_of_a_record_is_printed_as_text(name: str, audit: Audit) -> None:
    said = audit.results[name]["said"]
    assert all(line.isprintable() for line in said.splitlines())
    assert ("\\x1b[2J" in said) == (name in {"environment x", "name x", "failure x"})


def test_where_a_record_was_tracked_changes_nothing(audit: Audit) -> None:
    assert audit.results["tracking x"]["code"] == 0
