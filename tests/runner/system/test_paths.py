"""Paths as people write them."""

from pathlib import Path

import pytest

from runner.system.paths import expanded, is_folder


def test_a_tilde_is_the_home_folder() -> None:
    assert expanded("~/rows.csv") == Path.home() / "rows.csv"


def test_a_tilde_of_nobody_is_a_name() -> None:
    assert expanded("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")


@pytest.mark.parametrize("text", ["", "gone", "x" * 5000, "~nobody-of-that-name", "a\0b"])
def test_what_is_no_folder_is_none(text: str) -> None:
    assert not is_folder(text)


def test_a_folder_is_one(tmp_path: Path) -> None:
    assert is_folder(str(tmp_path))
    assert is_folder(".")
