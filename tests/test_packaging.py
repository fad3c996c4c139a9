"""`pip install .` gives a `runner` that works from any folder, with its configs inside."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]

Run = Callable[..., str]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder, CHECKOUT)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel beside its dependencies, in a folder that goes before the checkout."""
    folder = tmp_path_factory.mktemp("site")
    pip("install", "--target", folder, wheel)
    return folder


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Run:
    def run(*arguments: str) -> str:
        done = subprocess.run(
            [site / "bin" / "runner", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def pip(command: str, *arguments: str | Path) -> None:
    """Call pip without the network: nothing but this project is built or installed."""
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", command, *options, *arguments], check=True)


def test_the_wheel_holds_every_shipped_config(wheel: Path) -> None:
    listing = subprocess.run(
        ["git", "-C", CHECKOUT, "ls-files", "conf"], capture_output=True, check=True, text=True
    )
    shipped = {f"runner/{name}" for name in listing.stdout.splitlines()}
    assert "runner/conf/experiment/tutorial.yaml" in shipped
    assert shipped <= set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in tops if not name.endswith(".dist-info")} == {
        "runner",
        "softnet",
        "hydra_plugins",
    }


def test_the_wheel_leaves_room_for_plugins_of_others(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    plugins = [name for name in names if name.startswith("hydra_plugins/")]
    assert plugins == ["hydra_plugins/runner_stacked/__init__.py"]


def test_the_wheel_says_that_it_is_typed(wheel: Path) -> None:
    assert {"runner/py.typed", "softnet/py.typed"} <= set(zipfile.ZipFile(wheel).namelist())


def test_the_installed_runner_finds_its_configs_from_another_folder(run: Run) -> None:
    assert "learning_rate" in run("--cfg", "job")


def test_the_installed_runner_brings_its_plugins(run: Run) -> None:
    assert "StackedLauncher" in run("--info", "plugins")


def test_the_installed_runner_takes_configs_of_a_persons_own(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "experiment"
    mine.mkdir(parents=True)
    (mine / "wide.yaml").write_text("# @package _global_\nname: wide\n", "utf-8")
    shown = run("--config-dir", "mine", "experiment=wide", "--cfg", "job")
    assert "name: wide\n" in shown


def test_the_installed_runner_records_below_the_folder_it_is_started_in(
    run: Run, tmp_path: Path
) -> None:
    before = {path.name for path in CHECKOUT.glob("outputs/*")}
    run("training.steps=10", "training.evaluate_every=10")
    assert (tmp_path / "outputs" / "mlflow.db").is_file()
    assert list(tmp_path.glob("outputs/**/weights.npz"))
    assert {path.name for path in CHECKOUT.glob("outputs/*")} == before
