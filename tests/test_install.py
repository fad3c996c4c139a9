"""`make` installs by uv what pip would install, from where pip is told to take it."""

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from install import pip_settings, uv_variables, why_pip

CHECKOUT = Path(__file__).resolve().parents[1]


NAME = "tiny-1.0-py3-none-any.whl"
FILES = {
    "tiny.py": "",
    "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
    "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Make an index of one wheel, and a file that requires it by its hash."""
    folder = tmp_path / "index" / "tiny"
    folder.mkdir(parents=True)
    record = "".join(f"{name},,\n" for name in [*FILES, "tiny-1.0.dist-info/RECORD"])
    with zipfile.ZipFile(folder / NAME, "w") as archive:
        for name, text in {**FILES, "tiny-1.0.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    (folder / "index.html").write_text(f'<a href="{NAME}">{NAME}</a>\n')
    digest = hashlib.sha256((folder / NAME).read_bytes()).hexdigest()
    (tmp_path / "requirements.txt").write_text(f"tiny==1.0 --hash=sha256:{digest}\n")
    return folder.parent


def install(
    folder: Path, variables: Mapping[str, str], python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Install the requirements into a folder of their own, by settings of pip alone."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
    isolated = {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CACHE": "1"}
    return subprocess.run(
        [python, CHECKOUT / "install.py", "--require-hashes --target site -r requirements.txt"],
        cwd=folder,
        env=environment | isolated | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def installer(folder: Path) -> str:
    return (folder / "site" / "tiny-1.0.dist-info" / "INSTALLER").read_text().strip()


def test_uv_installs_from_the_folder_of_wheels_that_pip_is_told(
    index: Path, tmp_path: Path
) -> None:
    done = install(tmp_path, {"PIP_FIND_LINKS": str(index / "tiny"), "PIP_NO_INDEX": "1"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert installer(tmp_path) == "uv"


def test_uv_installs_from_the_index_of_a_configuration_file(index: Path, tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {index.as_uri()}\n")
    done = install(tmp_path, {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert installer(tmp_path) == "uv"


def test_pip_installs_where_uv_has_no_counterpart_to_a_setting(index: Path, tmp_path: Path) -> None:
    variables = {"PIP_FIND_LINKS": str(index / "tiny"), "PIP_NO_INDEX": "1"}
    done = install(tmp_path, variables | {"PIP_ONLY_BINARY": ":all:"})
    assert (done.returncode, installer(tmp_path)) == (0, "pip")
    assert done.stdout == (
        "pip installs, which takes longer: uv has no counterpart to its setting only-binary.\n"
    )


def test_pip_installs_and_stays_where_there_is_no_uv(index: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    variables = {"PIP_FIND_LINKS": str(index / "tiny"), "PIP_NO_INDEX": "1"}
    done = install(tmp_path, variables, python)
    assert (done.returncode, installer(tmp_path)) == (0, "pip")
    assert done.stdout == "pip installs, which takes longer: there is no uv for this machine.\n"


def test_a_file_with_another_hash_is_not_installed(index: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(index / "tiny" / NAME, "a") as archive:
        archive.writestr("more.py", "")
    done = install(tmp_path, {"PIP_FIND_LINKS": str(index / "tiny"), "PIP_NO_INDEX": "1"})
    assert done.returncode != 0
    assert "hash" in done.stderr.lower()
    assert not list(tmp_path.glob("site/tiny*"))


def test_settings_of_pip_are_read_in_its_order() -> None:
    listing = (
        ":env:.timeout='180'\ndownload.timeout='1'\nglobal.find-links='a\\nb'\n"
        "global.timeout='2'\ninstall.index-url='i'\nglobal.index-url='g'\n"
    )
    settings = pip_settings(listing)
    assert settings == {"timeout": "180", "index-url": "i", "find-links": "a\nb"}
    assert why_pip(settings) is None
    assert uv_variables({**settings, "extra-index-url": "x\ny", "constraint": "c"}) == {
        "UV_HTTP_TIMEOUT": "180",
        "UV_DEFAULT_INDEX": "i",
        "UV_FIND_LINKS": "a,b",
        "UV_INDEX": "x y",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
