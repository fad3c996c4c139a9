"""Hydra's own settings for this program: no folders, no log files, our help.

They are options of Hydra's groups rather than lines of `config.yaml`, so that they hold with a
person's own primary config too, and `hydra/output=default` brings Hydra's ways back.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from hydra.conf import HydraConf, JobConf
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

from runner.config.plugins import plugins
from runner.system.errors import StoreError
from runner.system.paths import config_folder
from runner.system.signals import deferred_signals

_OURS = {
    "output": "runner",
    "launcher": "runner_stacked",
    "sweeper": "runner_stacked",
    "help": "runner",
    "hydra_logging": "none",
    "job_logging": "none",
}


@dataclass
class _HydraSettings(HydraConf):
    """Hydra's settings without callbacks.

    A callback names a Python object, which a config never does here; nor would it see a job, as
    jobs do not train inside Hydra. This type has no room for one.
    """

    callbacks: bool | None = None  # type: ignore[assignment]  # OmegaConf refuses what is no bool


class _FoldersOfPlugins(SearchPathPlugin):
    """Has Hydra look for YAML beside the code of plugins too."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for plugin in plugins():
            if plugin.config_folder is not None:
                search_path.append(plugin.name, f"file://{plugin.config_folder}")


def _if_shipped(value: str, *, _parent_: DictConfig) -> str | None:
    """Return a value for the shipped file, and null where another path is given beside it."""
    path = cast("dict[str, object]", OmegaConf.to_container(_parent_, resolve=False))["path"]
    return value if str(path).startswith("${shipped:") else None


@contextmanager
def hydra_settings(help_template: str) -> Iterator[None]:
    """Register Hydra's settings, what ``--help`` shows, and the resolvers of the shipped YAML."""
    scratch: list[str] = []

    def scratch_folder() -> str:
        if not scratch:
            with deferred_signals():  # a folder that nobody knows of would stay
                try:
                    scratch.append(tempfile.mkdtemp(prefix="runner-"))
                except OSError as error:
                    raise StoreError(f"The folder for temporary files (TMPDIR): {error}") from error
        return scratch[0]

    OmegaConf.register_new_resolver("runner_scratch", scratch_folder, replace=True)
    OmegaConf.register_new_resolver(
        "shipped", lambda name: str(config_folder() / name), replace=True
    )
    OmegaConf.register_new_resolver("if_shipped", _if_shipped, replace=True)
    store = ConfigStore.instance()
    settings = _HydraSettings(job=JobConf(name="runner"), output_subdir=None)
    for default in settings.defaults:
        default.update({group: _OURS[group] for group in default if group in _OURS})
    store.store(group="hydra", name="config", node=settings, provider="runner")
    store.store(
        group="hydra/output",
        name="runner",
        node={
            "run": {"dir": "."},
            # Hydra's sweeper insists on a folder to write its own notes to.
            "sweep": {"dir": "${runner_scratch:}", "subdir": "."},
        },
        package="hydra",
        provider="runner",
    )
    if any(plugin.config_folder for plugin in plugins()):
        Plugins.instance().register(_FoldersOfPlugins)
    help_page = {"app_name": "runner", "header": "", "footer": "", "template": help_template}
    store.store(group="hydra/help", name="runner", node=help_page, provider="runner")
    try:
        yield
    finally:
        with deferred_signals():
            for folder in scratch:
                shutil.rmtree(folder, ignore_errors=True)
