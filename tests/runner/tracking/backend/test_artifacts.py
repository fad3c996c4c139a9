"""An artifact is a plain file of its own run, of a limited size; nothing else is opened."""

import os
import socket
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, RunData, RunInfo

from runner.system.errors import RecordError, StoreError
from runner.tracking import Store, open_store
from runner.tracking.backend.address import Address
from runner.tracking.backend.artifacts import read_artifact, read_file
from tests.runner.tracking.hostile_server import HostileServer

RUN_ID = "0123456789abcdef" * 2
NAME = "config.yaml"
ADDRESS = Address("sqlite:////nowhere.db")


def run_at(uri: object) -> Run:
    """A run that says where its artifacts are."""
    info = RunInfo(RUN_ID, "1", "ada", "FINISHED", 0, 1, "active", artifact_uri=str(uri))
    return Run(info, RunData())


def read(uri: object, limit: int = 100, address: Address = ADDRESS) -> bytes:
    client = None  # a folder is read without one
    return read_artifact(client, address, run_at(uri), NAME, limit)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run's artifacts."""
    made = tmp_path / "artifacts" / "1" / RUN_ID / "artifacts"
    made.mkdir(parents=True)
    return made


def test_a_plain_file_is_read_whole(folder: Path) -> None:
    (folder / NAME).write_bytes(b"x" * 100)
    assert read(folder) == read(f"file://{folder}") == b"x" * 100


def test_a_store_that_was_moved_has_its_artifacts_beside_it(folder: Path, tmp_path: Path) -> None:
    (folder / NAME).write_bytes(b"here")
    address = Address("", database=tmp_path / "mlflow.db")
    assert read(f"/gone/artifacts/1/{RUN_ID}/artifacts", address=address) == b"here"


def test_what_a_moved_store_lacks_is_missing_beside_it(tmp_path: Path) -> None:
    address = Address("", database=tmp_path / "mlflow.db")
    place = tmp_path / "artifacts" / "1" / RUN_ID / "artifacts"
    with pytest.raises(RecordError, match=f"is missing; it should be at {place}"):
        read(f"/gone/artifacts/1/{RUN_ID}/artifacts", address=address)


def test_a_run_that_was_not_moved_with_its_store_is_read_where_it_is(
    folder: Path, tmp_path: Path
) -> None:
    (folder / NAME).write_bytes(b"left behind")
    (tmp_path / "moved" / "artifacts" / "1").mkdir(parents=True)
    address = Address("", database=tmp_path / "moved" / "mlflow.db")
    assert read(folder, address=address) == b"left behind"


def test_a_file_that_is_too_large_is_refused(folder: Path) -> None:
    with (folder / NAME).open("wb") as file:
        os.truncate(file.fileno(), 1 << 40)
    with pytest.raises(RecordError, match=r"at most 100 bytes, got 1,099,511,627,776"):
        read(folder)


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / NAME).symlink_to(tmp_path / "secret")
    with pytest.raises(RecordError, match="must be a plain file, got a link"):
        read(folder)


@pytest.mark.parametrize("depth", [0, 1])
def test_a_folder_that_is_a_link_is_not_followed(depth: int, folder: Path, tmp_path: Path) -> None:
    (folder / NAME).write_text("secret")
    link = [folder, folder.parent][depth]
    link.rename(tmp_path / "elsewhere")
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordError, match="must be in a folder of the run, got a link"):
        read(folder)


def test_a_folder_between_that_is_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "plan.jsonl").write_text("secret")
    (folder / "plan").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordError, match=r"plan: must be a plain folder, got a link"):
        read_file(folder, "plan/plan.jsonl", 100)


def test_a_link_above_the_run_is_a_persons_own(folder: Path, tmp_path: Path) -> None:
    (folder / NAME).write_bytes(b"on another disk")
    (tmp_path / "link").symlink_to(tmp_path / "artifacts")
    assert read(tmp_path / "link" / "1" / RUN_ID / "artifacts") == b"on another disk"


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / NAME)
    with pytest.raises(RecordError, match="must be a plain file, got something else"):
        read(folder)


def test_a_folder_is_no_file(folder: Path) -> None:
    (folder / NAME).mkdir()
    with pytest.raises(RecordError, match=r"config.yaml: "):
        read(folder)


def test_a_socket_is_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # its path may have 100 letters
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(NAME)
        with pytest.raises(RecordError, match=r"config.yaml: cannot be read"):
            read(folder)


@pytest.mark.parametrize("device", ["zero", "null", "tty"])
def test_a_device_is_not_read(device: str) -> None:
    with pytest.raises(RecordError, match=rf"^{device}: "):
        read_file(Path("/dev"), device, 100)


def test_a_missing_file_is_named_with_its_place(folder: Path) -> None:
    with pytest.raises(RecordError, match=rf"config.yaml: is missing; it should be at {folder}"):
        read(folder)


PLACES = [
    "file:///etc",
    "/etc",
    "../../x",
    "",
    "None",
    f"../{RUN_ID}/artifacts",
    f"{RUN_ID}/artifacts",
    f"/x/../{RUN_ID}/artifacts",
    f"file:///x/%2e%2e/{RUN_ID}/artifacts",
    f"/x/{'f' * 32}/artifacts",
    f"/x/{RUN_ID}/artifacts/..",
    f"/x/{RUN_ID}/other",
    f"file:///x%00/{RUN_ID}/artifacts",
    f"/x\0/{RUN_ID}/artifacts",
    f"file://elsewhere/x/{RUN_ID}/artifacts",
    f"//elsewhere/x/{RUN_ID}/artifacts?\x1b[2J\n\n\n",
    f"s3://bucket/{RUN_ID}/artifacts",
    f"mlflow-artifacts:/1/{RUN_ID}/artifacts",
    f"dbfs:/{RUN_ID}/artifacts",
    f"http://[::1/{RUN_ID}/artifacts",
    f"ftp://user:secret@host/{RUN_ID}/artifacts",
    f"runs:/{RUN_ID}/artifacts",
]


@pytest.mark.parametrize("place", PLACES)
def test_a_place_of_anything_else_is_refused(place: str) -> None:
    with pytest.raises(RecordError, match=r"^artifacts: must be in a folder") as caught:
        read(place)
    assert str(caught.value).isprintable()
    assert "secret" not in str(caught.value)


def test_a_place_that_is_another_server_is_not_asked() -> None:
    with HostileServer() as elsewhere:
        with pytest.raises(RecordError, match="must be in a folder"):
            read(f"{elsewhere.address}/{RUN_ID}/artifacts")
        assert elsewhere.is_untouched


def through(server: HostileServer, limit: int = 1000) -> bytes:
    address = Address(server.address)
    run = run_at("mlflow-artifacts:/x")
    return read_artifact(MlflowClient(server.address), address, run, NAME, limit)


@pytest.fixture(autouse=True)
def _few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def test_a_redirect_is_not_followed() -> None:
    with HostileServer() as elsewhere, HostileServer(status=302) as server:
        server.headers["Location"] = f"{elsewhere.address}/secret"
        with pytest.raises(StoreError, match=r"answered 302 when asked for config.yaml"):
            through(server)
        assert elsewhere.is_untouched
        assert len(server.asked) == 1


def test_endless_bytes_end_at_the_limit() -> None:
    with HostileServer(endless=True) as server:
        with pytest.raises(RecordError, match=r"config.yaml: must have at most 1,000 bytes"):
            through(server)
        server.stop()
        assert server.n_sent < 1 << 25  # what the system's buffers hold, and no more


def test_compressed_bytes_are_not_inflated() -> None:
    import gzip

    with HostileServer(body=gzip.compress(bytes(1 << 24))) as server:
        server.headers["Content-Encoding"] = "gzip"
        assert through(server, 1 << 16)[:2] == b"\x1f\x8b"


@pytest.mark.parametrize(("status", "error"), [(500, StoreError), (401, StoreError),
                                               (404, RecordError)])  # fmt: skip
def test_an_error_of_the_server_is_told(status: int, error: type[Exception]) -> None:
    with HostileServer(status=status, body=b"\x1b[2J") as server, pytest.raises(error) as caught:
        through(server)
    assert str(caught.value).isprintable()


def test_a_real_server_gives_a_file_and_says_what_it_lacks(server: str, tmp_path: Path) -> None:
    store: Store = open_store(server, None, "artifacts")
    made = store.client.create_run(store.experiment_id)
    (tmp_path / NAME).write_bytes(b"a: 1\n" * 1000)
    store.client.log_artifact(made.info.run_id, str(tmp_path / NAME))
    run = store.client.get_run(made.info.run_id)
    assert read_artifact(store.client, store.address, run, NAME, 5000) == b"a: 1\n" * 1000
    with pytest.raises(RecordError, match="at most 4,999 bytes"):
        read_artifact(store.client, store.address, run, NAME, 4999)
    with pytest.raises(RecordError, match=r"weights.npz: is missing"):
        read_artifact(store.client, store.address, run, "weights.npz", 5000)
