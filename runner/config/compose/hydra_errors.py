"""Whatever goes wrong while Hydra composes, in at most three lines for a person.

Common mistakes are explained: where, what was got, what is allowed. Of the rest, the first lines of
Hydra's own message are shown. A person's own files are checked here too, where Hydra would let a
mistake pass or not say which file it is in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import yaml
from hydra.conf import RuntimeConf
from hydra.errors import MissingConfigException, OverrideParseException, SearchPathException
from omegaconf import DictConfig
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from runner.system.errors import CommandError, ConfigError, RunnerError, nearest, shorten
from runner.system.files import machine_error
from runner.system.paths import config_folder
from runner.system.text import without_passwords

_MOST_LINES = 3
# Lines of OmegaConf and Hydra that do not help a person.
_NOISE = (
    *("full_key:", "object_type=", "reference_type=", "See https://", "Error parsing override"),
    *("LexerNoViableAltException", "^"),
)
# A range, a glob or an interval among the choices of an override: Hydra does not sweep over it.
_NO_SWEEP = re.compile(r"(range|glob|interval)\([^)]*\),|,(range|glob|interval)\(")


def explain_composition(
    error: Exception, overrides: Sequence[str], folder: str | None = None
) -> RunnerError:
    """Translate what was raised while a config was composed from these overrides, or resolved.

    `folder` is that of a person's own files, if there is one.
    """
    if isinstance(error, RunnerError):
        return error
    if (of_machine := machine_error(error)) is not None:
        return of_machine
    if isinstance(error, UnicodeDecodeError) and folder:
        return _undecodable(error, Path(folder))
    if isinstance(error.__cause__, OmegaConfBaseException):
        error = error.__cause__
    translate = next((make for kind, make in _KINDS if isinstance(error, kind)), None)
    wrong = _not_a_sweep(overrides, str(error)) or (translate and translate(error))
    return wrong or _composition(str(error)) or _not_an_option(overrides) or _others(error)


def check_files(runtime: RuntimeConf) -> None:
    """Make sure that each file that was chosen, and does not ship, holds settings."""
    shipped = config_folder()
    folders = [Path(s.path) for s in runtime.config_sources if s.schema == "file"]
    for group, chosen in runtime.choices.items() if folders != [shipped] else ():
        for option in chosen if isinstance(chosen, list) else [chosen]:
            name = f"{group.partition('@')[0]}/{option}.yaml"
            folder = next((folder for folder in folders if (folder / name).is_file()), shipped)
            if folder != shipped:
                _check_file(folder / name)


@cache
def _check_file(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    if text.startswith("\ufeff"):
        # Hydra would overlook the "# @package" after it.
        raise ConfigError.plain(f"{file}: must be UTF-8 without a byte order mark, got one.")
    values = yaml.safe_load(text)
    if not isinstance(values, dict):
        got = "an empty file" if values is None else shorten(values)
        raise ConfigError.plain(f"{file}: must hold settings (key: value), got {got}.")


def _useful_lines(message: str) -> str:
    lines = (line.strip() for line in message.splitlines())
    return "\n".join([line for line in lines if line and not line.startswith(_NOISE)][:_MOST_LINES])


def _groups() -> list[str]:
    return sorted(folder.name for folder in config_folder().iterdir() if folder.is_dir())


def _yaml(error: yaml.MarkedYAMLError) -> ConfigError:
    mark, start = error.problem_mark or error.context_mark, error.context_mark
    place = f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}" if mark else "YAML"
    begun = f", {error.context} from line {start.line + 1}" if start and error.context else ""
    return ConfigError.plain(f"{place}: must be YAML, got a fault: {error.problem}{begun}.")


def _undecodable(error: UnicodeDecodeError, folder: Path) -> ConfigError:
    """Find the file: neither the error nor Hydra names it."""
    for file in sorted(folder.rglob("*.yaml")):
        try:
            file.read_text(encoding="utf-8")
        except UnicodeDecodeError as found:
            got = found.object[found.start : found.start + 1]
            rule = f"must be UTF-8 text, got {got!r}"
            return ConfigError.plain(f"{file}, byte {found.start + 1}: {rule}.")
    return ConfigError.plain(f"{folder}: must hold UTF-8 text: {error}.")


def _bad_override(error: OverrideParseException) -> RunnerError:
    reason = _useful_lines(error.message).partition("\n")[0].partition(" expecting {")[0]
    key, _, value = (error.override or "").partition("=")
    example = f"{key}='{value}'" if value and not {"'", "\\"} & {*value} else "key='a, b'"
    return CommandError(
        f"{error.override or 'an argument'}: must be key=value in Hydra's grammar, got "
        f"{error.override!r}{f' ({reason})' if reason else ''}.\n"
        f'A value with special characters takes two pairs of quotes: "{example}"'
    )


def _not_a_sweep(overrides: Sequence[str], message: str) -> RunnerError | None:
    for text in overrides:
        key, _, value = text.partition("=")
        if _NO_SWEEP.search(value) and re.search(r"Unexpected type|not support sweep", message):
            return CommandError(
                f"{key}: must be choices of plain values (0.1,0.2), one range (range(0,10)), "
                f"one glob (glob(*)) or, in a search, one interval (interval(0,1)), got {value}."
            )
        if re.match(r"search=.*,", text):  # of neither are there the settings
            return CommandError(f"search: must be one value for the whole sweep, got {value}.")
        if found := re.match(r"hydra\.(launcher|sweeper)=(\w+)$", text):
            return CommandError(f"{text}: must be hydra/{found[1]}={found[2]}, with a slash.")
    return None


def _not_an_option(overrides: Sequence[str]) -> RunnerError | None:
    """Find the group that was set to a number, true or null: Hydra does not say which."""
    for override in overrides:
        group, _, option = override.lstrip("+").partition("=")
        if not group:
            return CommandError(f"{override}: must be key=value, got no key.")
        if group in _groups() and not isinstance(yaml.safe_load(option), str | list):
            options = sorted(file.stem for file in (config_folder() / group).glob("*.yaml"))
            return ConfigError(group, f"one of {', '.join(options)}", option)
    return None


def _missing_config(error: MissingConfigException) -> RunnerError:
    name = error.missing_cfg_file
    group, _, option = (name or "").rpartition("/")
    if name and "://" in name:  # tracking=URI, for tracking.uri=URI; it may hold a password
        group, _, option = without_passwords(name).partition("/")
    if group and error.options:
        rule = f"one of {', '.join(error.options)}"
        return ConfigError(group, rule, option, nearest(option, error.options))
    if name:
        folders = re.findall(r"path=file://(\S+)", str(error))
        return CommandError(f"{name}: must be a config in {' or '.join(folders)}, got {name!r}.")
    return ConfigError.plain(_useful_lines(str(error)))


def _setting(error: OmegaConfBaseException) -> RunnerError:
    key, parent = str(error.full_key or error.key), error.parent_node
    if key.startswith("hydra.callbacks"):
        return _callbacks()
    if isinstance(error, ConfigAttributeError | ConfigKeyError):
        keys = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
        if key.startswith("hydra.") and not keys:
            return ConfigError.plain(f"{key}: must be added with a plus: +{key}=...")
        if "." not in key:
            # Hydra's own settings are no settings of an experiment, and groups can be chosen too.
            keys = [name for name in keys if name != "hydra"] + ["experiment"]
        return ConfigError.unknown(key, keys, _options_with(key))
    got = error.value
    if got is None and error.child_node is not None:
        got = error.child_node._value()  # noqa: SLF001  (what is written there, unresolved)
    if isinstance(error, MissingMandatoryValue):
        return ConfigError(key, "given", got)
    reason = _useful_lines(str(error)).partition("\n")[0]
    reason = reason.rpartition("resolving interpolation: ")[2].strip('".')
    return ConfigError.plain(f"{key}: {reason}, got {shorten(got)}.")


def _options_with(key: str) -> str:
    """Say which options of a group have a setting that the one chosen has not."""
    group, _, name = key.partition(".")
    files = sorted((config_folder() / group).glob("*.yaml"))
    options = [file.stem for file in files if name in yaml.safe_load(file.read_text("utf-8"))]
    return f"{group}={' or '.join(options)} has it." if options else ""


def _composition(message: str) -> RunnerError | None:
    for pattern, make in _COMPOSITIONS.items():
        if match := re.search(pattern, message):
            return make(*match.groups())
    return None


def _others(error: Exception) -> RunnerError:
    unknown = f"Hydra: {type(error).__name__}. HYDRA_FULL_ERROR=1 shows where."
    return CommandError(_useful_lines(str(error)) or unknown)


def _callbacks() -> RunnerError:
    return ConfigError.plain("hydra.callbacks: must be left out: a config names no Python object.")


def _several_values(override: str) -> RunnerError:
    key, _, values = override.partition("=")
    if "interval(" in values:
        way = "to search it, add --multirun search=random search.n_trials=20"
        return CommandError(f"{key}: must be one value, got {values}; {way}.")
    # A sweep function, or lists in a list, could not be one list of plain values.
    one_list = "" if set(values) & set("([") else f" One list is written {key}=[{values}]"
    return CommandError(
        f"{key}: must be one value, got {values}; to run each, add --multirun.{one_list}"
    )


def _no_group(name: str) -> RunnerError:
    groups = _groups()
    return ConfigError(name, f"one of the groups {', '.join(groups)}", name, nearest(name, groups))


def _second_choice(group: str) -> RunnerError:
    return ConfigError.plain(
        f"{group}: must be chosen once, got a second choice; write {group}=... without '+' "
        f"(in a file: - override /{group}: ...)."
    )


def _list_in_place_of_settings(name: str) -> RunnerError:
    return ConfigError.plain(f"{name}.yaml: must hold settings (key: value), got a list.")


_TOO_DEEP = "the config: must not be nested hundreds of levels deep."
# Hydra's messages, and the errors that are made of their groups.
_COMPOSITIONS: dict[str, Callable[..., RunnerError]] = {
    r"(?:Ambiguous value for argument|Sweep parameters) '(.+)'": _several_values,
    r"Could not override '([\w/]+)'\. No match in the defaults": _no_group,
    r"Multiple values for ([\w/]+)": _second_choice,
    r"In '(.+)': .*\n?.*Cannot merge DictConfig with ListConfig": _list_in_place_of_settings,
    r"full_key: hydra\.callbacks": _callbacks,
}
_KINDS: tuple[tuple[type[Exception], Callable[..., RunnerError]], ...] = (
    (yaml.MarkedYAMLError, _yaml),
    (RecursionError, lambda _: ConfigError.plain(_TOO_DEEP)),
    (SearchPathException, lambda error: CommandError(f"--config-dir: {error}.")),
    (MissingConfigException, _missing_config),
    (OverrideParseException, _bad_override),
    (OmegaConfBaseException, _setting),
)
