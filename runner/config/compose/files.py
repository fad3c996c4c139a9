"""A person's own YAML files, looked at beyond what Hydra minds: an empty one changes nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from hydra.conf import RuntimeConf

from runner.system.errors import ConfigError, shorten
from runner.system.paths import config_folder


def check_files(runtime: RuntimeConf) -> None:
    """Make sure that each file that was chosen, and does not ship, holds settings.

    Parameters
    ----------
    runtime : RuntimeConf
        Where Hydra looked, and what was chosen.

    Raises
    ------
    ConfigError
        If a file is empty, or something else than settings.
    """
    shipped = config_folder()
    folders = [Path(s.path) for s in runtime.config_sources if s.schema == "file"]
    for group, chosen in runtime.choices.items():
        if group.startswith("hydra/") or folders == [shipped]:
            continue
        for option in chosen if isinstance(chosen, list) else [chosen]:
            name = f"{group.partition('@')[0]}/{option}.yaml"
            found = next((folder for folder in folders if (folder / name).is_file()), shipped)
            if found != shipped:
                _check_file(found / name)


@cache
def _check_file(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    if text.startswith("\ufeff"):
        # Hydra would overlook the "# @package" after it.
        raise ConfigError.plain(f"{file}: must be UTF-8 without a byte order mark, got one.")
    values = yaml.safe_load(text)
    if values is None:
        raise ConfigError.plain(f"{file}: must hold settings, got an empty file.")
    if not isinstance(values, dict):
        raise ConfigError.plain(f"{file}: must hold settings (key: value), got {shorten(values)}.")
