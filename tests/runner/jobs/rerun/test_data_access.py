"""A recorded path is followed inside a few folders alone; a person's word goes anywhere."""

from pathlib import Path

import pytest

from runner.config.schema import Experiment
from runner.jobs.rerun.data_access import allowed_folders, with_data_from
from runner.system.errors import CommandError, RecordError
from runner.system.paths import config_folder
from runner.training.data import load
from tests.runner.jobs.planned import experiment


def of_file(path: object) -> Experiment:
    return experiment(data={"name": "file", "path": str(path), "target": "y"})


def path_of(found: Experiment) -> str:
    return str(found.data.model_dump()["path"])


def test_a_path_inside_an_allowed_folder_is_followed(tmp_path: Path) -> None:
    recorded = of_file(tmp_path / "deep" / "rows.csv")
    assert with_data_from(recorded, None, [tmp_path.resolve()]) == recorded


def test_data_that_ship_with_the_program_are_followed_from_anywhere(tmp_path: Path) -> None:
    recorded = of_file(config_folder() / "data" / "penguins.csv")
    assert with_data_from(recorded, None, [tmp_path.resolve()]) == recorded


LEADING_OUT = ["/etc/passwd", "{inside}/../rows.csv", "relative.csv", "{inside}/link.csv"]


@pytest.mark.parametrize("path", LEADING_OUT)
def test_a_path_that_leads_elsewhere_is_refused_by_name(path: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.csv").symlink_to(tmp_path / "secret.csv")
    recorded = path.format(inside=inside)
    with pytest.raises(RecordError) as refused:
        with_data_from(of_file(recorded), None, [inside.resolve()])
    assert f"got {recorded!r}" in str(refused.value)
    assert "name it with --data" in str(refused.value)


@pytest.mark.parametrize("there", [0, 1, 2])
def test_a_relative_path_is_looked_for_in_each_folder(there: int, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("here", "checkout", "store")]
    for folder in folders:
        folder.mkdir()
    (folders[there] / "rows.csv").write_text("x,y\n1,a\n2,b\n")
    found = with_data_from(of_file("rows.csv"), None, folders)
    assert path_of(found) == str(folders[there] / "rows.csv")


def test_of_several_files_of_a_name_the_one_with_the_content_is_taken(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(4)]
    same = "x,y\n1,a\n2,b\n"
    for folder, content in zip(folders, ["", "x,y\n1,a\n3,b\n", same, same], strict=True):
        folder.mkdir()
        (folder / "rows.csv").write_text(content)
    digest = load(of_file(folders[2] / "rows.csv").data).digest
    found = with_data_from(of_file("rows.csv"), None, folders, digest=digest)
    assert path_of(found) == str(folders[2] / "rows.csv")
    found = with_data_from(of_file("rows.csv"), None, folders, digest="0" * 64)
    assert path_of(found) == str(folders[0] / "rows.csv")


def test_a_path_that_the_person_wrote_leads_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = with_data_from(of_file("/gone/rows.csv"), None, [], is_said=True)
    assert path_of(found) == "/gone/rows.csv"
    found = with_data_from(of_file("rows.csv"), None, [], is_said=True)
    assert path_of(found) == str(tmp_path / "rows.csv")


def test_a_given_file_takes_the_place_of_the_recorded_one(tmp_path: Path) -> None:
    found = with_data_from(of_file("/gone/rows.csv"), str(tmp_path / "moved.csv"), [])
    assert path_of(found) == str(tmp_path / "moved.csv")
    with pytest.raises(CommandError, match=r"^--data: must be a file, got ''\.$"):
        with_data_from(of_file("rows.csv"), "", [])
    with pytest.raises(CommandError, match=r"--data: must be left out.*'moons'"):
        with_data_from(experiment(), "rows.csv", [])


def test_the_working_folder_and_that_of_the_store_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = tmp_path / "store"
    assert {tmp_path.resolve(), store.resolve()} <= set(allowed_folders(store))
