"""Overrides that change single settings of a config which is there already.

They follow Hydra's grammar, and put plain data where it says; nothing is composed or resolved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException, OverrideParseException

from runner.config.compose.hydra_errors import explain
from runner.config.compose.overrides import Reader, path, sets_plain_value
from runner.system.errors import CommandError, nearest


def changed(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a config with other values.

    Parameters
    ----------
    config : mapping
        Plain data, which stays as it is.
    overrides : sequence of str
        ``optimizer.learning_rate=0.1``, in Hydra's grammar.

    Raises
    ------
    CommandError, ConfigError
        If one is no override, or does more than to put a value in a place.
    """
    result = dict(config)
    reader = Reader()
    for text in overrides:
        try:
            override = reader.read(text)
        except HydraException as error:
            raise explain(OverrideParseException(text, str(error)), overrides) from error
        _require_one_value(override, text)
        *sections, key = path(override)
        _require_known([*sections, key][0], text, config)
        place = result
        for name in sections:
            inner = place.get(name)
            place[name] = place = dict(inner) if isinstance(inner, dict) else {}
        if isinstance(place.get(key), dict) and not isinstance(override.value(), dict):
            raise _group(text, key, place[key])
        place[key] = override.value()
    return result


def _require_known(section: str, text: str, config: Mapping[str, Any]) -> None:
    """Refuse what a composed config has, and one that is on record has not, such as experiment."""
    if section not in config:
        hint = nearest(section, config)
        raise CommandError(
            f"{text}: must change a setting ({', '.join(config)}): no file of conf/ is composed "
            f"into what is on record.{' ' + hint if hint else ''}"
        )


def _group(text: str, group: str, settings: Mapping[str, Any]) -> CommandError:
    names = list(settings)[:2]
    whole = ", ".join(f"{name}: ..." for name in names)
    return CommandError(
        f"{text}: must be single settings ({group}.{names[-1]}=...) or a whole group "
        f"('{group}={{{whole}}}'): no file of conf/ is composed into what is on record."
    )


def _require_one_value(override: Override, text: str) -> None:
    if override.is_sweep_override():
        raise CommandError(f"{text}: must be one value; runner --multirun sweeps over several.")
    holds_group = override.type is OverrideType.CHANGE and isinstance(override.value(), dict)
    if not (holds_group or sets_plain_value(override)):
        raise CommandError(
            f"{text}: must put a plain value in a place (key=value) to change what is on record."
        )
