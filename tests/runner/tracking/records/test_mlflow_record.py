"""A run of the past is found by its id alone; a store's word is checked before it is used."""

from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from runner.system.errors import CommandError, RecordError, RunnerError, StoreError
from runner.tracking import Store, open_store
from runner.tracking.backend.rows import is_run_id
from runner.tracking.records import ExportedRun, Record, StoredRun, write_folder
from runner.tracking.records.mlflow_record import find_run, members_of
from runner.training.run_files import record_digests
from tests.runner.jobs.planned import outcomes, plan, work
from tests.runner.tracking.hostile_server import Answer, HostileServer, run, serving

RUN_ID = "0123456789abcdef" * 2
OTHER = "f" * 32

pytestmark = pytest.mark.usefixtures("few_tries")

NO_NAMES = ["", " ", "\x1b[2J", "x" * 100_000, RUN_ID + "\n", "\n" + RUN_ID]
NO_IDS = ["../../x", "x' OR '1'='1", "~nobody-of-that-name", RUN_ID[:-1], RUN_ID + "0"]
NO_IDS += [RUN_ID.upper(), RUN_ID[:-1] + "g", RUN_ID[:-2] + "..", "'" * 32, "0" * 31 + "%"]
NO_IDS += ["\N{ARABIC-INDIC DIGIT ZERO}" * 32, "?run_id=" + RUN_ID[:24], RUN_ID[:3], "%", "_" * 32]


@pytest.mark.parametrize("text", NO_IDS, ids=range(len(NO_IDS)))
def test_what_is_no_id_finds_none(text: str, embedded: Store) -> None:
    made(embedded, kind="run")
    assert not is_run_id(text)
    with pytest.raises(CommandError, match="RUN: must be a run or a sweep of the store") as caught:
        found(embedded, text)
    assert str(caught.value).isprintable()


def test_a_run_is_found_by_how_its_id_begins_and_a_sweep_by_its_name(embedded: Store) -> None:
    ids = [made(embedded, kind="run") for _ in range(40)]
    assert {found(embedded, run_id[:12]).run_id for run_id in ids} == set(ids)
    older, newer = (embedded.start_run("mine", {}, {"runner.kind": "sweep"}) for _ in range(2))
    for sweep in (older, newer):
        sweep.finish()
    assert found(embedded, "mine").run_id in {older.run_id, newer.run_id}
    assert found(embedded, "mi").run_id == found(embedded, "mine").run_id
    embedded.start_run("mild", {}, {"runner.kind": "sweep"}).finish()
    with pytest.raises(CommandError, match=r"must be one run, got 'mi', with which 2 begin \(mi"):
        found(embedded, "mi")


@pytest.mark.parametrize("text", NO_NAMES, ids=range(len(NO_NAMES)))
def test_what_is_no_id_is_asked_of_nobody(text: str, tmp_path: Path) -> None:
    assert not is_run_id(text)
    with HostileServer() as server:
        for uri in (server.address, f"sqlite:///{tmp_path}/mlflow.db"):
            with pytest.raises(CommandError, match=r"RUN: must be a run.s id") as caught:
                find_run(uri, text)
            assert len(str(caught.value)) < 300
            assert str(caught.value).isprintable()
        assert server.is_untouched
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"RUN: must be a run or a sweep of the store"):
        find_run(f"sqlite:///{tmp_path}/mlflow.db", RUN_ID)
    assert list(tmp_path.iterdir()) == []


def made(store: Store, **tags: str) -> str:
    run = store.client.create_run(
        store.experiment_id, tags={f"runner.{name}": value for name, value in tags.items()}
    )
    store.client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def found(store: Store, run_id: str) -> StoredRun:
    return find_run(store.address.uri, run_id)


def test_an_unknown_id_names_the_store(embedded: Store) -> None:
    with pytest.raises(CommandError, match=f"got '{RUN_ID}'. Another store is named with --uri"):
        found(embedded, RUN_ID)


def test_a_deleted_run_says_how_it_comes_back(embedded: Store) -> None:
    run_id = made(embedded)
    embedded.client.delete_run(run_id)
    with pytest.raises(RecordError, match=f"run {run_id}: was deleted") as caught:
        found(embedded, run_id)
    assert f"mlflow runs restore --run-id {run_id}" in str(caught.value)


def test_every_value_of_a_metric_counts_once(embedded: Store) -> None:
    run_id = made(embedded)
    for value in (1.0, 2.0, 1.0, float("nan"), float("nan"), 0.0, -0.0):
        embedded.client.log_metric(run_id, "train/loss", value, step=3)
    ((at, values),) = found(embedded, run_id).metrics.items()
    assert at == ("train/loss", 3)
    # SQLite may drop the sign of zero.
    assert sorted({repr(value).lstrip("-") for value in values}) == ["0.0", "1.0", "2.0", "nan"]
    assert len(values) == len(set(map(repr, values)))


@pytest.mark.parametrize("column", ["start_time", "user_id", "status", "experiment_id"])
def test_a_row_without_what_every_run_has_is_a_bad_record(column: str, embedded: Store) -> None:
    run_id = made(embedded)
    assert embedded.address.database is not None
    with closing(connect(embedded.address.database)) as connection:
        statement = f"UPDATE runs SET {column} = NULL WHERE run_uuid = ?"  # noqa: S608  (our own words)
        connection.execute(statement, (run_id,))
        connection.commit()
    with pytest.raises(RecordError, match=f"run {run_id}: (is no sound|must be in)") as caught:
        found(embedded, run_id)
    assert len(str(caught.value).splitlines()) == 1


def test_the_jobs_of_a_sweep_are_those_that_name_it(embedded: Store) -> None:
    sweep = made(embedded, kind="sweep")
    first = made(embedded, kind="run", sweep=sweep, key="a")
    made(embedded, kind="run", sweep=OTHER, key="b")
    made(embedded, kind="group", sweep=sweep, key="c")
    assert [run.run_id for run in members_of(found(embedded, sweep)) or ()] == [first]
    assert members_of(found(embedded, first)) is None
    assert members_of(found(embedded, made(embedded, kind="\x1b[2J"))) is None


@pytest.mark.parametrize("got", [OTHER, "../../x", "", RUN_ID.upper(), "\x1b[2J"])
def test_a_server_that_gives_another_run_is_not_believed(got: str) -> None:
    with HostileServer(answer=serving({"runs/get": {"run": run(got)}})) as server:
        with pytest.raises(RunnerError) as caught:
            find_run(server.address, RUN_ID)
        assert not [path for path in server.asked if "artifact" in path]
    assert str(caught.value).isprintable()


ANSWERS = [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"<html>", b"[" * 100_000, b'{"run": {}}']


@pytest.mark.parametrize("content", ANSWERS, ids=range(len(ANSWERS)))
def test_an_answer_of_another_form_is_told_in_a_line(content: bytes) -> None:
    answer = serving({"runs/get": content})
    with HostileServer(answer=answer) as server, pytest.raises(RunnerError) as caught:
        find_run(server.address, RUN_ID)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("job_id", ["../../x", "", "x' OR '1'='1", RUN_ID.upper()])
def test_jobs_with_ids_that_are_none_are_left_out_by_name(job_id: str) -> None:
    answers = {
        "runs/get": {"run": run(RUN_ID, kind="sweep")},
        "runs/search": {"runs": [run(job_id, kind="run")]},
    }
    with HostileServer(answer=serving(answers)) as server:
        sweep = find_run(server.address, RUN_ID)
        assert members_of(sweep) == []
        (reason,) = sweep.store.backend.unfit.values()
    assert "its id must be 32 hexadecimal digits" in reason


def test_a_redirect_of_a_question_is_not_followed() -> None:
    fine = serving({})

    def answer(path: str) -> Answer:
        return (307, b"") if "/runs/" in path else fine(path)

    with HostileServer() as elsewhere, HostileServer(answer=answer) as server:
        server.headers["Location"] = f"{elsewhere.address}/secret"
        with pytest.raises(StoreError, match="307"):
            find_run(server.address, RUN_ID)
        assert elsewhere.is_untouched


def test_a_run_is_read_whole_from_a_real_server(server: str, tmp_path: Path) -> None:
    store = open_store(server, None, "originals")
    (outcome,) = outcomes(work(store, plan({}), (0,), is_alone=True)).values()
    record = Record.read(find_run(server, outcome.run_id))
    weights = record.weights(record.model().network(record.experiment).weight_shapes)
    assert sum(array.size for array in weights.values()) == 27
    assert record.metrics()["train/loss", 60] == (outcome.metrics["train/loss"],)
    assert record.environment()
    assert record.edits == ()
    write_folder(record, tmp_path / "out")
    assert Record.read(ExportedRun(tmp_path / "out")).metrics() == record.metrics()


def test_a_run_of_a_real_server_without_files_says_what_is_missing(server: str) -> None:
    store = open_store(server, None, "originals")
    as_if_all_files_were_there = record_digests({}, {}, None)
    run_id = made(store, kind="run", key="x", schema="1", record=as_if_all_files_were_there)
    with pytest.raises(RecordError, match=r"config\.json: is missing; the server has none"):
        Record.read(find_run(server, run_id))
    with pytest.raises(CommandError, match="must be a run or a sweep of the store"):
        find_run(server, RUN_ID)
