"""How the record of a run is changed behind everybody's back, and a table of such changes."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner.training.run_files import sha256
from tests.runner.cli.rerunning import artifacts, execute
from tests.runner.cli.sweeping import Recorded
from tests.runner.conftest import Command

WAS_CHANGED = "was changed after the run (its digest differs from the recorded one)"


@dataclass(frozen=True)
class Job:
    """A job whose record is changed."""

    store: Command
    run: Recorded

    def file(self, name: str) -> Path:
        return artifacts(self.store, self.run) / name

    def replace(self, name: str, old: str, new: str) -> None:
        text = self.file(name).read_text(encoding="utf-8")
        assert old in text
        self.file(name).write_text(text.replace(old, new), encoding="utf-8")

    def set(self, table: str, key: str, value: object, step: int | None = None) -> None:
        at = "" if step is None else f" AND step = {step}"
        statement = f"UPDATE {table} SET value = ? WHERE run_uuid = ? AND key = ?{at}"  # noqa: S608  (our own words)
        assert execute(self.store, statement, value, self.run.run_id, key) == 1

    def match_digests(self, *names: str) -> None:
        """Let the recorded digests be those of the changed files."""
        digests = json.loads(self.run.tags["runner.files_sha256"])
        digests |= {name: sha256(self.file(name).read_bytes()) for name in names}
        self.set("tags", "runner.files_sha256", json.dumps(digests))


Phrases = list[str]
Change = Callable[[Job], Phrases]
Changes = dict[str, tuple[int, Change]]


def adding_to(table: Changes) -> Callable[[int], Callable[[Change], Change]]:
    """Return a decorator that adds a change, which returns what the command has to say."""

    def change(exit_code: int) -> Callable[[Change], Change]:
        def add(function: Change) -> Change:
            table[function.__name__.replace("_", " ")] = exit_code, function  # type: ignore[attr-defined]  # all are functions
            return function

        return add

    return change
