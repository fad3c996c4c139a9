"""What a record says makes nothing happen: no import, no process, no connection, no file opened.

One process repeats an honest record, then every hostile one, while Python reports what it does.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.training.run_files import CONFIG, ENVIRONMENT, MODEL, RECORD, WEIGHTS
from tests.runner.conftest import CHECKOUT
from tests.runner.tracking.hostile_server import HostileServer
from tests.runner.tracking.records.conftest import honest
from tests.runner.tracking.records.edited_folder import EditedFolder

__all__ = ["honest"]  # pytest finds fixtures by their names here

ESCAPE = "\x1b[2J\x1b]0;owned\x07\u202e"
PRIVATE = "a,label\n1,top\n2,secret\n"
CANARY = "canary"

Spoil = Callable[[EditedFolder], None]


def config(text: str | bytes) -> Spoil:
    """Put a text in place of the config."""
    content = text.encode() if isinstance(text, str) else text
    return lambda folder: folder.write(CONFIG, content)


def settings(**sections: object) -> Spoil:
    return lambda folder: folder.change(**sections)


def data(path: str) -> Spoil:
    return settings(data={"name": "file", "target": "label", "scaling": "none", "path": path})


def no_result(folder: EditedFolder) -> None:
    folder.tell(status="KILLED", failure=ESCAPE)
    folder.untag(RECORD)


def linked(name: str) -> Spoil:
    """Put a link to another folder's file in place of a file."""

    def spoil(folder: EditedFolder) -> None:
        (folder.path / name).rename(folder.path.with_name(f"{folder.path.name}-{name}"))
        (folder.path / name).symlink_to(f"../{folder.path.name}-{name}")

    return spoil


def class_names(folder: EditedFolder) -> None:
    model = json.loads((folder.path / MODEL).read_bytes())
    folder.write(MODEL, json.dumps(model | {"class_names": [ESCAPE, "=1"]}).encode())


def failure(folder: EditedFolder) -> None:
    folder.tell(status="FAILED", failure=ESCAPE)
    folder.match()


# What is refused, and words of the refusal; each is the record of somebody who knows how digests
# are taken.
REFUSED: dict[str, tuple[Spoil, str]] = {
    "YAML": (config("seed: !!python/object/apply:os.system ['touch canary']"), "must be JSON"),
    "alias bomb": (config("a0: &a0 [x, x]\na1: &a1 [*a0, *a0]"), "must be JSON"),
    "pickle": (config(b"\x80\x04\x95\x0b\x00\x00\x00."), "must be JSON"),
    "UTF-16": (config("{}".encode("utf-16")), "must be JSON"),
    "nothing": (config(""), "must be JSON"),
    "open bracket": (config('{"seed": [1'), "must be JSON"),
    "key twice": (config('{"seed": 1, "seed": 2}'), "the key 'seed' again"),
    "NaN": (config('{"seed": NaN}'), "the number NaN"),
    "300 lists": (config(f'{{"a": {"[" * 300}{"]" * 300}}}'), "at most 16 levels"),
    "a million lists": (config('{"a": ' + "[" * 1_000_000), "must "),
    "5,000 digits": (config(f'{{"seed": {"9" * 5000}}}'), "must be JSON"),
    "2**70": (config(f'{{"seed": {2**70}}}'), "seed: must be a plain value"),
    "1e999": (config('{"seed": 1e999}'), "seed: must be a plain value"),
    "list": (config('["seed", 1]'), "must hold settings"),
    "null character": (config('{"name": "a\\u0000b"}'), "name: must be a plain value"),
    "half a character": (config('{"name": "\\ud800"}'), "name: must be a plain value"),
    "environment variable": (settings(name="${oc.env:HOME}"), "name: must be a plain value"),
    "decode": (settings(data={"path": ["${oc.decode:x}"]}), "data.path[0]: must be a plain"),
    "hydra's own": (settings(name="${hydra:runtime.cwd}"), "name: must be a plain value"),
    "other key": (settings(name="${seed}"), "name: must be a plain value"),
    "_target_": (settings(model={"_target_": "os.system"}), "model._target_"),
    "_target_ at the top": (settings(_target_="os.system", _args_=["touch canary"]), "_target_"),
    "_partial_": (settings(optimizer={"_partial_": True}), "optimizer._partial_"),
    "defaults": (settings(defaults=[{"model": "small"}, "/etc/passwd"]), "defaults"),
    "hydra settings": (settings(hydra={"run": {"dir": CANARY}}), "hydra"),
    "object as a name": (settings(optimizer={"name": "os.system"}), "optimizer.name"),
    "escape in a name": (settings(name="\x1b[31mred"), "name: must be printable"),
    "escape in a key": (settings(**{"\x1b[2J\n\n\n\nall well": 1}), "must be a setting"),
    "long key": (settings(**{"k" * 100_000: 1}), "must be a setting"),
    "long word in place of a number": (settings(seed="k" * 8000), "seed: must be"),
    "list in place of a group": (settings(model=[1]), "model: must be a group"),
    "endless": (settings(training={"steps": 10**18}), "training.steps: must be at"),
    "size": (settings(model={"hidden_layer_sizes": [10**9, 10**9]}), ""),
    "no result": (no_result, "left no result"),
    "archive": (lambda folder: folder.write(WEIGHTS, b"PK\5\6" + bytes(18)), "must hold"),
    **{f"link {name}": (linked(name), "a link") for name in (CONFIG, WEIGHTS)},
}
# Where a path leads out of the folders that may be read.
OUTSIDE = [
    *("{outside}/secret.csv", "../outside/secret.csv", "~/secret.csv", "link.csv"),
    *("link/secret.csv", "link/../outside/secret.csv", "circle.csv", "/dev/zero", "/etc/passwd"),
    *("/proc/self/environ", "~root/secret.csv"),
]
# No files, or of other content. Whatever else they may look like, as paths they lead no further.
INSIDE = ["table.csv", "pipe.csv", "folder.csv", "gone.csv"]
INSIDE += ["{address}/x.csv", "s3://bucket/x.csv", "~nobody-of-that-name/x.csv"]
# Text that is shown, and whether it is.
SHOWN: dict[str, tuple[Spoil, bool]] = {
    "environment": (
        lambda folder: folder.write(
            ENVIRONMENT, json.dumps({"decisive": {"numpy": ESCAPE}}).encode()
        ),
        True,
    ),
    "class names": (class_names, False),
    "name": (lambda folder: folder.tell(name=ESCAPE, run_id=ESCAPE), True),
    "failure": (failure, True),
}


@dataclass
class Audit:
    """What came of all records, by name."""

    here: Path
    folders: dict[str, Path] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    was_asked: bool = True


@pytest.fixture(scope="module")
def audit(honest: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    top = tmp_path_factory.mktemp("audit")
    here, outside = top / "here", top / "outside"
    for folder in (here, outside):
        folder.mkdir()
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
        spoils: dict[str, Spoil] = {"honest": lambda _: None}
        for path in (*INSIDE, *OUTSIDE):
            spoils[path] = data(path.format(outside=outside, address=server.address))
        spoils |= {name: spoil for name, (spoil, _) in (REFUSED | SHOWN).items()}
        spoils["tracking"] = settings(
            tracking={"uri": server.address}, sweep={"name": "x", "restart": True}
        )
        for number, (name, spoil) in enumerate(spoils.items()):
            found.folders[name] = Path(shutil.copytree(honest, top / f"record{number:03}"))
            spoil(EditedFolder(found.folders[name]))
        done = subprocess.run(
            [sys.executable, "-m", "tests.runner.cli.audited", *found.folders.values()],
            cwd=here,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT), "HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=120,  # as long as any command of these tests may take
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found.results = dict(zip(spoils, json.loads(done.stdout), strict=True))
        found.was_asked = not server.is_untouched
    yield found
    (home / "secret.csv").unlink()


def test_the_honest_record_is_identical(audit: Audit) -> None:
    result = audit.results["honest"]
    assert (result["code"], "IDENTICAL" in result["said"]) == (0, True), result["said"]
    assert any(event.startswith("open FOLDER/config.json") for event in result["events"])


def test_nothing_happens_beyond_what_an_honest_record_causes(audit: Audit) -> None:
    # To read a file of one's own takes other modules than data that the program brings along.
    allowed = {event for name in ("honest", "table.csv") for event in audit.results[name]["events"]}
    more = {
        name: [event for event in result["events"] if event not in allowed]
        for name, result in audit.results.items()
        # The folder in which a file should be is looked through for one of a similar name.
        if name != "gone.csv"
    }
    assert {name: events for name, events in more.items() if events} == {}


def test_nothing_was_made_or_asked(audit: Audit) -> None:
    left = {path.name for path in audit.here.iterdir()}
    assert left == {"link.csv", "link", "circle.csv", "folder.csv", "pipe.csv", "table.csv"}
    assert not list(audit.here.parent.rglob(CANARY))
    assert not audit.was_asked


@pytest.mark.parametrize("name", [*REFUSED, *OUTSIDE, *INSIDE])
def test_a_hostile_record_is_refused_by_name(name: str, audit: Audit) -> None:
    result = audit.results[name]
    said = result["said"]
    assert result["code"] == 2, said
    assert len(said) < 3000
    assert 1 <= len(said.splitlines()) <= 3
    assert all(line.isprintable() for line in said.splitlines())
    assert "secret" not in said.replace("secret.csv", "")
    if name in REFUSED:
        assert REFUSED[name][1] in said
    if name in OUTSIDE:
        assert said.startswith("data.path: must lead into ")
        assert "name it with --data" in said


@pytest.mark.parametrize("name", SHOWN)
def test_text_of_a_record_is_printed_as_text(name: str, audit: Audit) -> None:
    said = audit.results[name]["said"]
    assert all(line.isprintable() for line in said.splitlines())
    assert ("\\x1b[2J" in said) == SHOWN[name][1], said


def test_where_a_record_was_tracked_changes_nothing(audit: Audit) -> None:
    assert audit.results["tracking"]["code"] == 0
