"""The folder that a store names is told from anything else, and found again after a move."""

from pathlib import Path

import pytest

from runner.tracking.backend.address import Address
from runner.tracking.backend.locations import is_folder, local_folder, settled


@pytest.mark.parametrize("uri", ["/a b/c", "file:///a%20b/c", "file:/a%20b/c", "FILE:///a%20b/c"])
def test_a_folder_is_named_by_path_or_uri(uri: str) -> None:
    assert local_folder(uri) == Path("/a b/c")


@pytest.mark.parametrize(
    "uri", ["", "a/b", "None", "s3://b/k", "file://host/a", "/a/../b", "file:///a#b", "http://[::1"]
)
def test_anything_else_is_no_folder(uri: str) -> None:
    assert local_folder(uri) is None


def test_a_store_that_stays_has_its_artifacts_where_it_says(tmp_path: Path) -> None:
    address = Address("", database=tmp_path / "mlflow.db")
    for name in ("artifacts/test", "mlruns/1", "mine"):
        assert settled(address, tmp_path / name) == tmp_path / name


@pytest.mark.parametrize("layout", ["artifacts", "mlruns"])
def test_a_store_that_was_moved_took_its_artifacts_along(layout: str, tmp_path: Path) -> None:
    address = Address("", database=tmp_path / "mlflow.db")
    assert settled(address, Path("/gone", layout, "test")) == tmp_path / layout / "test"


def test_a_copy_of_a_store_has_artifacts_of_its_own(tmp_path: Path) -> None:
    first, copy = tmp_path / "first" / "artifacts" / "x", tmp_path / "copy" / "artifacts" / "x"
    first.mkdir(parents=True)
    address = Address("", database=tmp_path / "copy" / "mlflow.db")
    assert settled(address, first) == first
    copy.mkdir(parents=True)
    assert settled(address, first) == copy


def test_a_place_of_a_persons_own_is_left_as_it_is(tmp_path: Path) -> None:
    address = Address("", database=tmp_path / "store" / "mlflow.db")
    for place in (tmp_path / "disk" / "runs", tmp_path / "artifacts" / "x"):
        assert settled(address, place) == place


def test_a_server_has_no_folders(tmp_path: Path) -> None:
    place = tmp_path / "artifacts" / "x"
    assert settled(Address("http://127.0.0.1:1"), place) == place


def test_a_name_longer_than_any_is_no_folder() -> None:
    assert not is_folder(Path("/", "x" * 5000))
