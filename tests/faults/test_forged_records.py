"""Whatever a tag or a column of a run holds, it costs that run alone, and the rest is shown."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import connect

import pytest

from runner.config import compose
from tests.faults.conftest import Survive
from tests.runner.cli.sweeping import BARE, of_kind, recorded
from tests.runner.conftest import Command

FORGED: dict[str, object] = {
    "huge": 10**18,
    "negative": -1,
    "quote": "a'b\"c`",
    "escape": "\x1b[2J\x1b]0;owned\x07\n\u202e",
    "unknown": "val/f1",
    "empty": "",
}
COLUMNS = ("run_uuid", "name", "status", "start_time", "end_time", "artifact_uri", "user_id")
COLUMNS += ("lifecycle_stage", "experiment_id")
SWEEP = ["-m", "sweep.name=spoiled", "training.steps=20", "optimizer.learning_rate=0.1,0.2"]
SWEEP += ["seed=0,1", "sweep.n_workers=1", "training.evaluate_every=10", *BARE]
KINDS = ("sweep", "group", "run", "rerun")


@dataclass(frozen=True)
class Store:
    """A store with a run of each kind, and a sweep that nobody touches."""

    command: Command
    whole: Path
    ids: dict[str, str]
    tags: dict[str, list[str]]

    def spoil(self, kind: str, column: str, value: object) -> None:
        """Put a value into a column or a tag of the run of a kind, in a fresh copy."""
        database = self.command.store / "mlflow.db"
        for suffix in ("-wal", "-shm"):
            Path(f"{database}{suffix}").unlink(missing_ok=True)
        shutil.copyfile(self.whole, database)
        with closing(connect(database)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute("PRAGMA synchronous = OFF")
            if column == "run_uuid":
                for table in ("tags", "params", "metrics", "latest_metrics"):
                    where = f"UPDATE {table} SET run_uuid = ? WHERE run_uuid = ?"  # noqa: S608  (words of ours)
                    connection.execute(where, (value, self.ids[kind]))
            if column in COLUMNS:
                where = f"UPDATE runs SET {column} = ? WHERE run_uuid = ?"  # noqa: S608  (as above)
                connection.execute(where, (value, self.ids[kind]))
            else:
                where = "UPDATE tags SET value = ? WHERE key = ? AND run_uuid = ?"
                connection.execute(where, (value, column, self.ids[kind]))


@pytest.fixture(scope="module", autouse=True)
def _composed_once() -> Iterator[None]:
    """Compose a command line once for all stores: that takes longer than all that follows."""
    composed: dict[tuple[str, ...], object] = {}
    carry_out = compose.compose

    def compose_once(arguments: Sequence[str], *more: object) -> object:
        words = tuple(arguments)
        if words not in composed:
            composed[words] = carry_out(arguments, *more)
        return composed[words]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "compose", compose_once)
        yield


@pytest.fixture(scope="module")
def store(shared: Command) -> Store:
    """Leave two sweeps and a rerun of one."""
    for name in ("spoiled", "untouched"):
        assert shared(*[word.replace("spoiled", name) for word in SWEEP]).returncode == 0
    (spoiled, _) = of_kind("sweep", recorded(shared))
    assert shared("rerun", spoiled.run_id, "--sample", "2").returncode == 0
    runs = recorded(shared)
    chosen = {
        "sweep": spoiled,
        "rerun": next(run for run in runs if run.kind == "rerun"),
        "group": next(r for r in runs if r.kind == "group" and r.parent == spoiled.run_id),
        "run": next(r for r in runs if r.is_job and r.tags.get("runner.sweep") == spoiled.run_id),
    }
    with closing(connect(shared.store / "mlflow.db")) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    whole = Path(shutil.copyfile(shared.store / "mlflow.db", shared.folder / "whole.db"))
    ids = {kind: run.run_id for kind, run in chosen.items()}
    return Store(shared, whole, ids, {kind: sorted(run.tags) for kind, run in chosen.items()})


def cases(store: Store, words: list[str]) -> list[tuple[str, str]]:
    # What takes longer looks at runs of these kinds alone.
    kinds = KINDS if words[0] in {"sweeps", "show"} else ("sweep", "run")
    return [(kind, key) for kind in kinds for key in (*COLUMNS, *store.tags[kind])]


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize(
    "words",
    [["sweeps"], ["show", "spoiled"], ["show", "spoiled", "--csv"], ["rerun"], SWEEP],
    ids=["sweeps", "show", "csv", "rerun", "sweep"],
)
def test_a_forged_value_costs_its_own_run_alone(
    words: list[str], name: str, store: Store, survive: Survive
) -> None:
    survive("forged records", len(cases(store, words)))
    failures = []
    for kind, column in cases(store, words):
        store.spoil(kind, column, FORGED[name])
        asked = [*words, store.ids["run"], "--check"] if words == ["rerun"] else words
        problem = _problem(lambda asked=asked: store.command(*asked), words)
        if problem:
            failures.append(f"{kind} {column}: {problem}")
    assert not failures, "\n".join(failures)


def _problem(carry_out: Callable[[], object], words: list[str]) -> str:
    try:
        ended = carry_out()
    except Exception as error:  # noqa: BLE001  (each is a traceback to a person)
        return f"{type(error).__name__}: {error}"
    said = f"{ended.stdout}{ended.stderr}"
    if ended.returncode not in {0, 1, 2, 5}:
        return f"exit {ended.returncode}: {said}"
    if not said.replace("\n", "").isprintable() or len(said) > 6000:
        return f"said {said!r}"
    if words == ["sweeps"] and (ended.returncode or "untouched" not in ended.stdout):
        return f"the rest is not shown: {said}"
    return ""


@pytest.mark.parametrize(
    "words",
    [
        ["show", "none"],
        ["show", "SWEEP"],
        ["compare", "SWEEP"],
        ["clean", "SWEEP", "--keep", "9", "--yes"],
        ["predict", "SWEEP"],
        ["export", "SWEEP", "exported"],
        ["ensemble", "SWEEP"],
        ["report", "SWEEP"],
    ],
    ids=" ".join,
)
def test_a_long_name_is_cut_wherever_it_is_said(
    words: list[str], store: Store, survive: Survive
) -> None:
    survive("forged records")
    for column in ("name", "mlflow.runName"):
        store.spoil("sweep", column, "z" * 10_000)
        ended = store.command(*(store.ids["sweep"] if w == "SWEEP" else w for w in words))
        shutil.rmtree(store.command.folder / "exported", ignore_errors=True)
        said = f"{ended.stdout}{ended.stderr}"
        assert ended.returncode in {0, 2}, said
        assert max(map(len, said.splitlines())) < 500
