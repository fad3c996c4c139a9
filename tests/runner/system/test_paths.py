"""Paths as people write them."""

from pathlib import Path

import pytest

from runner.system.paths import expanded, is_folder


def test_a_tilde_is_the_home_folder_of_somebody_there_is() -> None:
    assert expanded("~/rows.csv") == Path.home() / "rows.csv"
    assert expanded("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")


@pytest.mark.parametrize("text", ["", "gone", "x" * 5000, "~nobody-of-that-name", "a\0b"])
def test_a_folder_is_told_from_what_is_none(text: str, tmp_path: Path) -> None:
    assert not is_folder(text)
    assert is_folder(str(tmp_path))
