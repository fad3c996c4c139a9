"""What plugins add, and what is said of those that are missing. docs/extend.md is followed too."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

from runner.cli.show import require_metrics
from runner.config.plugins import VARIABLE, plugins
from runner.system.errors import CommandError, ConfigError, StoreError
from runner.training.tasks import Target
from softnet import LOSSES, NUMBER_EMBEDDINGS, OPTIMIZERS, SquaredError
from tests.runner.conftest import Command

# Called like a module of Python's own, and with both forms of imports.
FILE = "statistics.py"
CODE = """
import json, softnet.layers
import softnet as net
from softnet import NORMALIZATIONS, SGD, Layer
from runner import READERS


class Twice(Layer):
    def forward(self, X, training=False):
        return 2 * X

    def backward(self, d_output):
        return 2 * d_output


NORMALIZATIONS["twice"] = Twice
softnet.OPTIMIZERS["plain"] = net.OPTIMIZERS["plain"] = SGD
READERS[".rows"] = lambda content: {"a": [1, 2.5, None], "b": ["x"] * (3 - content.count(b"short"))}
"""
RUN = ("experiment=iris", "model.normalization=twice", "training.epochs=2")


@pytest.fixture
def _registries() -> Iterator[None]:
    """Leave the registries, and what is loaded, as they were."""
    registries: tuple[dict[str, Any], ...] = (OPTIMIZERS, NUMBER_EMBEDDINGS)
    before, modules = [dict(registry) for registry in registries], set(sys.modules)
    plugins.cache_clear()
    yield
    plugins.cache_clear()
    for registry, entries in zip(registries, before, strict=True):
        registry.clear()
        registry.update(entries)
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.mark.usefixtures("_registries")
def test_files_and_installed_packages_are_loaded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "from softnet import OPTIMIZERS, SGD\nOPTIMIZERS['{}'] = SGD\n"
    (tmp_path / "named.py").write_text(line.format("of_file"), "utf-8")
    (tmp_path / "leaves" / "conf").mkdir(parents=True)
    (tmp_path / "leaves" / "__init__.py").write_text("", "utf-8")
    (tmp_path / "leaves" / "plugin.py").write_text(line.format("of_package"), "utf-8")
    (tmp_path / "leaves-1.dist-info").mkdir()
    (tmp_path / "leaves-1.dist-info" / "METADATA").write_text("Name: leaves\nVersion: 1\n", "utf-8")
    points = "[softnet_runner.plugins]\nleaves = leaves.plugin\n"
    (tmp_path / "leaves-1.dist-info" / "entry_points.txt").write_text(points, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "named.py"))
    package, file = plugins()
    assert (package.name, dict(package.adds)) == ("leaves.plugin", {"optimizer": ("of_package",)})
    assert (file.name, dict(file.adds)) == ("named.py", {"optimizer": ("of_file",)})
    assert [path.name for path in package.files] == ["__init__.py", "plugin.py"]
    assert package.config_folder == tmp_path / "leaves" / "conf"
    assert file.config_folder is None
    assert plugins()[1] is file


@pytest.mark.usefixtures("_registries")
@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("gone.py", lambda _: None, r"there is no such file\)"),
        (
            "wrong.py",
            lambda file: file.write_text("1 / 0"),
            "it fails with ZeroDivisionError: division by zero",
        ),
        (
            "layer.py",
            lambda file: file.write_text(
                "from softnet import *; NUMBER_EMBEDDINGS['gain'] = LAYERS['scale']"
            ),
            r"NUMBER_EMBEDDINGS\['gain'\] must derive from NumberEmbedding",
        ),
        ("plugin.txt", Path.touch, r"its name must end in \.py"),
        ("pipe.py", os.mkfifo, "it must be a file"),
        ("folder.py", os.mkdir, "it must be a file"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_named(
    name: str,
    make: Callable[[Path], object],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make(tmp_path / name)
    monkeypatch.setenv(VARIABLE, str(tmp_path / name))
    rule = r"^RUNNER_PLUGINS: must be Python files, joined by ':', got '.*"
    with pytest.raises(CommandError, match=f"{rule}{name}' \\({reason}"):
        plugins()


def test_two_plugins_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "a/part.py:b/part.py")
    plugins.cache_clear()
    with pytest.raises(CommandError, match=r"different names, got a/part\.py, b/part\.py\.$"):
        plugins()


def test_a_plugin_on_a_disk_that_is_away_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "away.py"
    link.symlink_to("/nowhere/x.py")
    monkeypatch.setenv(VARIABLE, str(link))
    plugins.cache_clear()
    with pytest.raises(StoreError, match=r"away\.py: is a link to /nowhere/x\.py, which is away"):
        plugins()


def test_a_run_with_a_plugin_needs_it_to_be_repeated_and_not_to_be_served(command: Command) -> None:
    plugin = command.folder / "own" / FILE  # beside no `python -m`, which would import it
    plugin.parent.mkdir()
    plugin.write_text(CODE, "utf-8")
    helped = command.process("--help", RUNNER_PLUGINS=str(plugin)).stdout
    assert f"  {FILE}: normalization twice\n  {FILE}: optimizer plain\n" in helped
    trained = command.process(*RUN, RUNNER_PLUGINS=str(plugin))
    assert trained.returncode == 0, trained.stderr
    run_id = trained.stdout.partition("\nrun ")[2][:32]
    missing = command.process("rerun", run_id, "--check")
    assert missing.returncode == 2
    assert missing.stderr.splitlines() == [
        "config.json: model.normalization: must be one of none, batch, layer, got 'twice'.",
        f"Its plugin '{FILE}' is missing: install it, or name it in RUNNER_PLUGINS.",
    ]
    shown = command.process("show", run_id).stdout.splitlines()
    assert missing.stderr.splitlines()[1] in shown
    plugin.write_text(f"{CODE}\nTwice.note = 1\n", "utf-8")
    other = command.process("rerun", run_id, "--check", RUNNER_PLUGINS=str(plugin)).stdout
    assert "IDENTICAL" in other
    assert f"plugins.{FILE}" in other
    model = mlflow.pyfunc.load_model(str(next(command.store.rglob("MLmodel")).parent))
    assert model.predict(model.input_example).columns[0] == "setosa"


def test_a_recorded_metric_that_is_not_known_here_asks_for_its_plugin() -> None:
    with pytest.raises(ConfigError, match=r"^--metric: .*; that of a plugin needs it in RUNNER_PL"):
        require_metrics(["val/top_two"], ["val/loss", "val/top_two"], "this sweep")


def test_a_reader_of_a_plugin_is_checked(command: Command) -> None:
    (command.folder / "mine.py").write_text(CODE, "utf-8")
    (command.folder / "short.rows").write_text("short", "utf-8")
    many = 'READERS[".many"] = lambda _: {"a": [*range(40)], "b": ["x", "y"] * 20}'
    (command.folder / "mine.py").write_text(f"{CODE}\n{many}\n", "utf-8")
    (command.folder / "x.many").write_text("x", "utf-8")
    words = ("experiment=own", "data.path=x.many", "data.target=b", "training.epochs=1")
    trained = command.process(*words, RUNNER_PLUGINS="mine.py")
    run_id = trained.stdout.partition("\nrun ")[2][:32]
    missing = command.process("rerun", run_id)
    assert missing.returncode == 2
    *_, reason = missing.stderr.splitlines()
    assert reason in command.process("show", run_id).stdout.splitlines()
    assert reason == "Its plugin 'mine.py' is missing: install it, or name it in RUNNER_PLUGINS."
    bad = command.process("data", "short.rows", RUNNER_PLUGINS="mine.py")
    assert bad.returncode == 2
    assert bad.stderr == "short.rows: its plugin must return columns of one length.\n"


def test_losses_of_plugins_are_of_the_task_that_they_derive_from() -> None:
    kind = type("Own", (SquaredError,), {})
    LOSSES["own"] = kind
    try:
        quantity = Target("regression", ("y",), 1.0, 2.0)
        assert quantity.loss("own") == kind.Settings(shift=1.0, scale=2.0)
        with pytest.raises(ConfigError, match=r"^training\.loss: must be null for task=class"):
            Target("classification", ("a", "b")).loss("own")
    finally:
        del LOSSES["own"]
