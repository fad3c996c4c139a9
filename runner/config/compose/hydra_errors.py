"""Whatever goes wrong while Hydra composes, in at most three lines for a person.

Each message says where (the dotted key, or the file with line and column), what was got, and what
is allowed. A person's own files are checked here too, where Hydra would let a mistake pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import yaml
from hydra.conf import RuntimeConf
from hydra.errors import (
    ConfigCompositionException,
    MissingConfigException,
    OverrideParseException,
    SearchPathException,
)
from omegaconf import DictConfig
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)
from yaml.reader import ReaderError

from runner.system.errors import CommandError, ConfigError, RunnerError, nearest, shorten
from runner.system.paths import config_folder

_MOST_LINES = 3
# Lines of OmegaConf and Hydra that do not help a person.
_NOISE = ("full_key:", "object_type=", "reference_type=", "See https://", "Error parsing override")
# A range or a glob among the choices of an override, or an interval: Hydra sweeps over neither.
_NO_SWEEP = re.compile(r"(range|glob)\([^)]*\),|,(range|glob)\(|interval\(")


def explain(error: Exception, overrides: Sequence[str]) -> RunnerError:
    """Translate what was raised while a config was composed from these overrides, or resolved."""
    if isinstance(error, RunnerError):
        return error
    for text in overrides:
        key, _, value = text.partition("=")
        if _NO_SWEEP.search(value) and re.search(r"Unexpected type|not support sweep", str(error)):
            return CommandError(
                f"{key}: must be choices of plain values (0.1,0.2), one range (range(0,10)) or "
                f"one glob (glob(*)), got {value}."
            )
        if found := re.match(r"hydra\.(launcher|sweeper)=(\w+)$", text):
            return CommandError(f"{text}: must be hydra/{found[1]}={found[2]}, with a slash.")
    for kind, translate in _TRANSLATIONS:
        if isinstance(error, kind):
            return translate(error)
    return _not_an_option(overrides) or CommandError(
        _useful_lines(str(error))
        or f"Hydra: {type(error).__name__}. HYDRA_FULL_ERROR=1 shows where."
    )


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
        rule = "settings" if values is None else "settings (key: value)"
        raise ConfigError.plain(f"{file}: must hold {rule}, got {got}.")


def _useful_lines(message: str) -> str:
    lines = (line.strip() for line in message.splitlines())
    return "\n".join([line for line in lines if line and not line.startswith(_NOISE)][:_MOST_LINES])


def _groups() -> list[str]:
    return sorted(folder.name for folder in config_folder().iterdir() if folder.is_dir())


# YAML.


def _yaml(error: yaml.YAMLError) -> ConfigError:
    if isinstance(error, ReaderError):
        place = f"{error.name}, character {error.position + 1}"
        return ConfigError.plain(f"{place}: must be printable text, got {chr(error.character)!r}.")
    if not isinstance(error, yaml.MarkedYAMLError):
        return ConfigError.plain(f"YAML: {error}")
    mark = error.problem_mark or error.context_mark
    place = f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}" if mark else "YAML"
    return ConfigError.plain(f"{place}: must be {_yaml_fault(error)}.")


def _yaml_fault(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or ""
    if tag := re.search(r"constructor for the tag '(.*)'", problem):
        written = tag[1].replace("tag:yaml.org,2002:", "!!")
        return f"a number, text, a list or a mapping, got the tag {written!r}"
    if key := re.search(r"found duplicate key (.*)", problem):
        return f"a key that is not there yet, got {key[1]!r} again"
    if r"'\t'" in problem:
        return "indented with spaces, got a tab"
    start = error.context_mark if error.context else None
    begun = (
        f" ({error.context} from line {start.line + 1}, column {start.column + 1})" if start else ""
    )
    return f"YAML, got a fault: {problem}{begun}"


def _no_text(error: UnicodeDecodeError) -> ConfigError:
    got = error.object[error.start : error.start + 1]
    # The error does not carry the path; Hydra has it in a variable while it reads.
    trace, path = error.__traceback__, "a YAML file"
    while trace is not None:
        path = str(trace.tb_frame.f_locals.get("full_path", path))
        trace = trace.tb_next
    return ConfigError.plain(f"{path}, byte {error.start + 1}: must be UTF-8 text, got {got!r}.")


def _recursion(error: RecursionError) -> RunnerError:
    keys = re.findall(r"full_key: (\w[\w.]*)\[", str(error))
    return ConfigError.plain(
        f"{keys[-1] if keys else 'the config'}: must not be nested hundreds of levels deep, "
        "got more than Python can follow."
    )


# The command line.


def _bad_override(error: OverrideParseException) -> RunnerError:
    reasons = _useful_lines(error.message).splitlines()
    if reasons and reasons[0].startswith("LexerNoViableAltException"):
        reasons = [f"cannot go on at character {error.message.splitlines()[1].index('^') - 26}"]
    reason = f" ({reasons[0].partition(' expecting {')[0]})" if reasons else ""
    return CommandError(
        f"{error.override or 'an argument'}: must be key=value in Hydra's grammar, got "
        f"{error.override!r}{reason}.\n"
        "A value with special characters takes two pairs of quotes: \"key='a, b'\""
    )


def _several_values(found: re.Match[str]) -> RunnerError:
    key, _, values = found[1].partition("=")
    # A sweep function, or lists in a list, could not be one list of plain values.
    one_list = "" if set(values) & set("([") else f" One list is written {key}=[{values}]"
    return CommandError(
        f"{key}: must be one value, got {values}; to run each, add --multirun.{one_list}"
    )


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


# Groups and their options.


def _missing_config(error: MissingConfigException) -> RunnerError:
    name = error.missing_cfg_file
    group, _, option = (name or "").rpartition("/")
    if group and error.options:
        rule = f"one of {', '.join(error.options)}"
        return ConfigError(group, rule, option, nearest(option, error.options))
    if name:
        folders = re.findall(r"path=file://(\S+)", str(error))
        return CommandError(f"{name}: must be a config in {' or '.join(folders)}, got {name!r}.")
    return ConfigError.plain(_useful_lines(str(error)))


def _no_group(found: re.Match[str]) -> RunnerError:
    groups = _groups()
    rule = f"one of the groups {', '.join(groups)}"
    return ConfigError(found[1], rule, found[1], nearest(found[1], groups))


# Settings.


def _composition(error: ConfigCompositionException) -> RunnerError:
    match error.__cause__:
        case ConfigAttributeError() | ConfigKeyError() as cause:
            return _unknown_key(cause)
        case OmegaConfBaseException() as cause:
            return _setting(cause)
    for pattern, message in _COMPOSITIONS.items():
        if found := re.search(pattern, str(error)):
            return message(found) if callable(message) else ConfigError.plain(found.expand(message))
    return ConfigError.plain(_useful_lines(str(error)))


def _unknown_key(error: OmegaConfBaseException) -> RunnerError:
    key, parent = str(error.full_key), error.parent_node
    keys = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
    if key.startswith("hydra.") and not keys:
        return ConfigError.plain(f"{key}: must be added with a plus: +{key}=...")
    if "." not in key:
        # Hydra's own settings are no settings of an experiment, and groups can be chosen too.
        keys = [name for name in keys if name != "hydra"] + ["experiment"]
    return ConfigError.unknown(key, keys)


def _setting(error: OmegaConfBaseException) -> RunnerError:
    key = error.full_key or str(error.key)
    if key.startswith("hydra.callbacks"):
        return ConfigError.plain(_NO_CALLBACKS)
    got = error.value
    if got is None and error.child_node is not None:
        got = error.child_node._value()  # noqa: SLF001  (what is written there, unresolved)
    reason = _useful_lines(str(error)).partition("\n")[0]
    variable = re.search(r"Environment variable '(.*)' not found", reason)
    match error:
        case MissingMandatoryValue():
            rule = "given"
        case InterpolationKeyError():
            rule = "a value, or a reference to a setting that exists"
        case UnsupportedInterpolationType():
            rule = "a value, or a reference by a resolver that exists, such as oc.env"
        case _ if "Recursive" in reason:
            rule = "a value that does not refer back to itself"
        case _ if variable:
            rule = f"a value, or a reference to an environment variable that is set ({variable[1]})"
        case _:
            return ConfigError.plain(f"{key}: {reason}, got {got!r}.")
    return ConfigError(key, rule, got)


_NO_CALLBACKS = "hydra.callbacks: must be left out: a config names no Python object."
_COMPOSITIONS: dict[str, str | Callable[[re.Match[str]], RunnerError]] = {
    r"(?:Ambiguous value for argument|Sweep parameters) '(.+)'": _several_values,
    r"Could not override '([\w/]+)'\. No match in the defaults": _no_group,
    r"Multiple values for ([\w/]+)": (
        r"\1: must be chosen once, got a second choice; write \1=... without '+' "
        r"(in a file: - override /\1: ...)."
    ),
    r"In '(.+)': .*\n?.*Cannot merge DictConfig with ListConfig": (
        r"\1.yaml: must hold settings (key: value), got a list."
    ),
    r"full_key: hydra\.callbacks": _NO_CALLBACKS,
}
_TRANSLATIONS: tuple[tuple[type[Exception], Callable[..., RunnerError]], ...] = (
    (yaml.YAMLError, _yaml),
    (UnicodeDecodeError, _no_text),
    (RecursionError, _recursion),
    (SearchPathException, lambda error: CommandError(f"--config-dir: {error}.")),
    (MissingConfigException, _missing_config),
    (OverrideParseException, _bad_override),
    (OmegaConfBaseException, _setting),
    (ConfigCompositionException, _composition),
)
