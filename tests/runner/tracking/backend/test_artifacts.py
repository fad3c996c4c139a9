"""Artifacts are sent where they may go, and read as plain files of a limited size."""

import gzip
import os
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from runner.system.errors import RecordError, StoreError
from runner.tracking import Store, open_store
from runner.tracking.backend.address import Address
from runner.tracking.backend.artifacts import (
    ArtifactGuard,
    local_folder,
    read_artifact,
    read_file,
    write_files,
)
from runner.tracking.backend.client_store import ClientStore
from runner.tracking.backend.rows import Run
from runner.tracking.records.mlflow_record import find_run
from tests.runner.tracking.hostile_server import Answer, HostileServer, run, serving

RUN_ID = "0123456789abcdef" * 2
NAME = "config.yaml"


pytestmark = pytest.mark.usefixtures("few_tries")


def run_at(uri: object) -> Run:
    """A run that says where its artifacts are."""
    return Run(RUN_ID, "1", "a run", "FINISHED", 0, 1, str(uri))


def read(uri: object, limit: int = 100) -> bytes:
    """Read a file of a run in a database, for which no client is needed."""
    address = Address("sqlite:////nowhere.db")
    return read_artifact(None, address, run_at(uri), NAME, limit)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run's artifacts."""
    made = tmp_path / "artifacts" / "1" / RUN_ID / "artifacts"
    made.mkdir(parents=True)
    return made


def test_a_plain_file_is_read_whole(folder: Path) -> None:
    (folder / NAME).write_bytes(b"x" * 100)
    assert read(folder) == read(f"file://{folder}") == b"x" * 100


def link_to_a_secret(path: Path) -> None:
    path.with_name("secret").write_text("secret")
    path.symlink_to(path.with_name("secret"))


def too_large(path: Path) -> None:
    with path.open("wb") as file:
        os.truncate(file.fileno(), 1 << 40)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.name)  # a path may have 100 letters


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "too large": (too_large, "must have at most 100 bytes, got 1,099,511,627,776"),
    "link": (link_to_a_secret, "must be a plain file, got a link"),
    "pipe": (os.mkfifo, "must be a plain file, got something else"),
    "folder": (Path.mkdir, "cannot be read at {}"),
    "socket": (a_socket, "cannot be read"),
    "missing": (lambda _: None, "is missing; it should be at {}"),
}


@pytest.mark.parametrize(("make", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_anything_but_a_plain_file_is_refused(
    make: Callable[[Path], object], message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    make(folder / NAME)
    with pytest.raises(RecordError) as caught:
        read(folder)
    assert str(caught.value).startswith(f"{NAME}: {message.format(folder)}")


@pytest.mark.parametrize("device", ["zero", "null", "tty"])
def test_a_device_is_not_read(device: str) -> None:
    with pytest.raises(RecordError, match=rf"^{device}: "):
        read_file(Path("/dev"), device, 100)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_only_a_link_above_the_run_is_a_persons_own(
    depth: int, folder: Path, tmp_path: Path
) -> None:
    (folder / NAME).write_bytes(b"on another disk")
    link = [folder, folder.parent, folder.parent.parent][depth]
    link.rename(tmp_path / "elsewhere")
    link.symlink_to(tmp_path / "elsewhere")
    if depth == 2:
        assert read(folder) == b"on another disk"
        return
    with pytest.raises(RecordError, match="must be in a folder of the run, got a link"):
        read(folder)


def test_a_folder_inside_that_is_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "plan.jsonl").write_text("secret")
    (folder / "plan").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordError, match=r"plan: must be a plain folder, got a link"):
        read_file(folder, "plan/plan.jsonl", 100)


OTHER_LOCATIONS = [
    *("file:///etc", "/etc", "../../x", "", "None", "/x/{id}/other", "/x/{id}/artifacts/.."),
    *("../{id}/artifacts", "{id}/artifacts", "/x/../{id}/artifacts", "/x\0y/{id}/artifacts"),
    *("file:///x/%2e%2e/{id}/artifacts", "file:///x%00/{id}/artifacts", "runs:/{id}/artifacts"),
    *("file://elsewhere/x/{id}/artifacts", "//elsewhere/x/{id}/artifacts?\x1b[2J\n\n\n"),
    *("s3://bucket/{id}/artifacts", "mlflow-artifacts:/1/{id}/artifacts", "dbfs:/{id}/artifacts"),
    *("http://[::1/{id}/artifacts", "ftp://user:secret@host/{id}/artifacts"),
    f"/x/{'f' * 32}/artifacts",
]


@pytest.mark.parametrize("uri", OTHER_LOCATIONS)
def test_a_location_that_is_no_folder_of_the_run_is_refused(uri: str) -> None:
    with pytest.raises(RecordError, match=r"^artifacts: must be in a folder") as caught:
        read(uri.format(id=RUN_ID))
    assert str(caught.value).isprintable()
    assert "secret" not in str(caught.value)


def test_a_location_on_another_server_is_not_asked() -> None:
    with HostileServer() as elsewhere:
        with pytest.raises(RecordError, match="must be in a folder"):
            read(f"{elsewhere.address}/{RUN_ID}/artifacts")
        assert elsewhere.is_untouched


def read_through(server: HostileServer, limit: int = 1000) -> bytes:
    return read_artifact(
        ClientStore(server.address), Address(server.address), run_at("x"), NAME, limit
    )


def test_a_redirect_is_not_followed() -> None:
    with HostileServer() as elsewhere, HostileServer(status=302) as server:
        server.headers["Location"] = f"{elsewhere.address}/secret"
        with pytest.raises(StoreError, match=r"answered 302 when asked for config.yaml"):
            read_through(server)
        assert elsewhere.is_untouched
        assert len(server.asked) == 1


def test_endless_bytes_end_at_the_limit() -> None:
    with HostileServer(endless=True) as server:
        with pytest.raises(RecordError, match=r"config.yaml: must have at most 1,000 bytes"):
            read_through(server)
        server.stop()
        assert server.n_sent < 1 << 25  # what the system's buffers hold, and no more


def test_compressed_bytes_are_not_inflated() -> None:
    with HostileServer(body=gzip.compress(bytes(1 << 24))) as server:
        server.headers["Content-Encoding"] = "gzip"
        assert read_through(server, 1 << 16)[:2] == b"\x1f\x8b"


@pytest.mark.parametrize(
    ("status", "error"), [(500, StoreError), (401, StoreError), (404, RecordError)]
)
def test_an_error_of_the_server_is_told(status: int, error: type[Exception]) -> None:
    with HostileServer(status=status, body=b"\x1b[2J") as server, pytest.raises(error) as caught:
        read_through(server)
    assert str(caught.value).isprintable()


def test_files_are_written_into_folders_of_a_location(embedded: Store, tmp_path: Path) -> None:
    # Also one that a server names, `--default-artifact-root`.
    write_files(embedded.backend, tmp_path.joinpath("run").as_uri(), {"a": b"1", "b/c/d": b"2"})
    written = [tmp_path.joinpath("run", name).read_bytes() for name in ("a", "b/c/d")]
    assert written == [b"1", b"2"]


def test_a_real_server_gives_a_file_and_says_what_it_lacks(server: str, tmp_path: Path) -> None:
    store: Store = open_store(server, None, "artifacts")
    made = store.client.create_run(store.experiment_id)
    (tmp_path / NAME).write_bytes(b"a: 1\n" * 1000)
    store.client.log_artifact(made.info.run_id, str(tmp_path / NAME))
    run = store.backend.run(made.info.run_id)
    assert run is not None
    assert read_artifact(store.backend, store.address, run, NAME, 5000) == b"a: 1\n" * 1000
    for name, message in ((NAME, "at most 4,999 bytes"), ("weights.npz", "weights.npz: is miss")):
        with pytest.raises(RecordError, match=message):
            read_artifact(store.backend, store.address, run, name, 4999)


@pytest.mark.parametrize("uri", ["/a b/c", "file:///a%20b/c", "file:/a%20b/c", "FILE:///a%20b/c"])
def test_a_folder_is_named_by_path_or_uri(uri: str) -> None:
    assert local_folder(uri) == Path("/a b/c")


FORBIDDEN = [
    *("s3://bucket/x", "ftp://127.0.0.1:1/x", "hdfs://host/x", "dbfs:/x", "runs:/x"),
    *("mlflow-artifacts:/x", "mlflow-artifacts://127.0.0.1:1/x", "file://elsewhere/x"),
    "http://127.0.0.1:1/api/2.0/mlflow-artifacts/artifacts/x",
    *("file:///x?y", "file:///x#y", "http://[::1", "x/y", "", "/x/../y", "file:///x/%2e%2e/y"),
    *("/x\0y", "/", "s3://ada:secret@bucket/\x1b[2J"),
]


def execute(store: Store, statement: str, *values: object) -> None:
    """Change the database of a store behind MLflow's back."""
    assert store.address.database is not None
    with closing(connect(store.address.database)) as connection:
        connection.execute(statement, values)
        connection.commit()


def relocate(store: Store, location: object) -> None:
    """Let a store name another location for the artifacts of its experiment."""
    statement = "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?"
    execute(store, statement, str(location), store.experiment_id)


def looked_up(store: Store) -> Store:
    """The store as a rerun opens it, which does not trust it."""
    run = store.client.create_run(store.experiment_id)
    store.client.set_terminated(run.info.run_id)
    return find_run(store.address.uri, run.info.run_id).store


def send(store: Store, folder: Path) -> str:
    """Record a run with one file, and return its id."""
    run = store.start_run("x", {}, {})
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    run.log_folder(folder)
    run.finish()
    return run.run_id


@pytest.mark.parametrize("location", FORBIDDEN)
def test_a_database_cannot_send_artifacts_elsewhere(location: str, embedded: Store) -> None:
    store = looked_up(embedded)
    relocate(embedded, location)
    with pytest.raises(RecordError, match="experiment 'test': its artifacts must go") as caught:
        store.settle()
    first, second = str(caught.value).splitlines()
    assert first.isprintable()
    assert "secret" not in first
    assert second == "--check compares, and records nothing."


def test_a_persons_own_store_may_send_them_anywhere(embedded: Store, tmp_path: Path) -> None:
    relocate(embedded, "s3://bucket/x")
    store = open_store(embedded.address.uri, None, "test")
    run = store.start_run("x", {}, {})
    run.finish()
    assert store.client.get_run(run.run_id).info.artifact_uri.startswith("s3://bucket/x/")
    relocate(embedded, tmp_path / "disk" / "x")
    run_id = send(open_store(embedded.address.uri, None, "test"), tmp_path / "sent")
    assert (tmp_path / "disk" / "x" / run_id / "artifacts" / "a.txt").is_file()


def test_a_rerun_goes_beside_the_database(embedded: Store, tmp_path: Path) -> None:
    run_id = send(looked_up(embedded), tmp_path / "sent")
    assert (tmp_path / "artifacts" / "test" / run_id / "artifacts" / "a.txt").is_file()


@pytest.mark.parametrize("is_link", [False, True])
def test_a_rerun_goes_to_no_other_disk(
    is_link: bool, embedded: Store, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    disk = tmp_path_factory.mktemp("disk")
    (tmp_path / "link").symlink_to(disk)
    relocate(embedded, (tmp_path / "link" if is_link else disk) / "x")
    with pytest.raises(RecordError, match=f"must go below {tmp_path} or"):
        looked_up(embedded).start_run("x", {}, {})
    assert list(disk.iterdir()) == []


def test_a_rerun_may_go_where_mlflow_puts_its_own(embedded: Store) -> None:
    relocate(embedded, Path.cwd() / "mlruns" / "1")
    looked_up(embedded).settle()


@pytest.mark.parametrize(
    ("place", "uri", "is_allowed"),
    [
        ("file:///mnt/runs", "file:///mnt/runs/x/1/artifacts", True),
        ("file:///mnt/runs", "file:///mnt/other/1/artifacts", False),
        ("s3://bucket/runs", "s3://bucket/runs/x/1/artifacts", True),
        ("s3://bucket/runs", "s3://bucket/runs/../x", False),
        ("s3://bucket/runs", "s3://bucket/runs-of-another/x", False),
        (None, "file:///mnt/runs/x/1/artifacts", False),
    ],
)
def test_a_database_server_sends_a_rerun_where_the_person_says(
    place: str | None, uri: str, is_allowed: bool, embedded: Store
) -> None:
    address = Address("postgresql://host/runs", place=place)
    guard = ArtifactGuard(embedded.backend, address, "test", is_trusted=False)
    if is_allowed:
        assert guard.allowed(uri) == uri
    else:
        with pytest.raises(RecordError, match=r"tracking\.artifacts=PLACE"):
            guard.allowed(uri)


def change_at_creation(store: Store, table: str, column: str) -> None:
    change = f"UPDATE {table} SET {column} = 's3://bucket/x'"  # noqa: S608  (our own words)
    execute(store, f"CREATE TRIGGER t AFTER INSERT ON {table} BEGIN {change}; END")


def test_a_database_that_changes_the_location_of_a_run_is_not_followed(
    embedded: Store, tmp_path: Path
) -> None:
    store = looked_up(embedded)
    change_at_creation(embedded, "runs", "artifact_uri")
    run_id = send(store, tmp_path / "sent")
    assert (tmp_path / "artifacts" / "test" / run_id / "artifacts" / "a.txt").is_file()
    with pytest.raises(RecordError, match=r"its artifacts must go below .*, got 's3://bucket/x'"):
        store.reopen_run(run_id)
    assert store.client.get_run(run_id).info.status == "FINISHED"


def test_a_database_that_changes_the_location_of_a_model_is_refused(embedded: Store) -> None:
    store = looked_up(embedded)
    change_at_creation(embedded, "logged_models", "artifact_location")
    run = store.start_run("x", {}, {})
    with pytest.raises(RecordError, match=r"its artifacts must go below .*, got 's3://bucket/x'"):
        store.log_model(run)


def answering(location: str, created: str) -> Callable[[str], Answer]:
    """A tracking server with one run, that names these locations for artifacts."""
    found, new = {"run": run(RUN_ID)}, {"run": run(RUN_ID, created)}
    return serving({"runs/get": found, "runs/create": new, "": {}}, location)


THROUGH = "must go through its server"


@pytest.mark.parametrize("when", ["before", "at the creation"])
@pytest.mark.parametrize("scheme", ["http", "mlflow-artifacts"])
def test_a_server_cannot_send_a_rerun_to_another(scheme: str, when: str) -> None:
    with HostileServer() as other:
        place = other.address.replace("http", scheme) + "/x"
        answer = answering(*([place] * 2 if when == "before" else ["mlflow-artifacts:/x", place]))
        with HostileServer(answer=answer) as server:
            store = find_run(server.address, RUN_ID).store
            with pytest.raises(RecordError, match=THROUGH):
                store.start_run("x", {}, {})
        assert other.is_untouched


@pytest.mark.parametrize("uri", ["/srv/x", "file:///srv/x", "s3://bucket/x", "http://[::1", ""])
def test_a_server_cannot_have_a_rerun_write_anywhere_else(uri: str) -> None:
    with HostileServer(answer=answering(uri, uri)) as server:
        store = find_run(server.address, RUN_ID).store
        with pytest.raises(RecordError, match=THROUGH):
            store.settle()


def test_a_server_takes_the_artifacts_of_a_rerun_itself(server: str, tmp_path: Path) -> None:
    first = send(open_store(server, None, "artifacts of reruns"), tmp_path / "first")
    store = find_run(server, first).store
    again = send(store, tmp_path / "again")
    assert [file.path for file in store.client.list_artifacts(again)] == ["a.txt"]
