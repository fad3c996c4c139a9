"""What Hydra and OmegaConf complain about, in at most three lines for a person.

Each says where (the dotted key, or the file), what was got, and what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

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
from yaml import YAMLError, safe_load

from runner.config.compose.yaml_faults import explain_text, explain_yaml
from runner.system.errors import CommandError, ConfigError, RunnerError, nearest
from runner.system.paths import config_folder

_MOST_LINES = 3
# Lines of OmegaConf and Hydra that tell a person nothing.
_NOISE = ("full_key:", "object_type=", "reference_type=", "See https://", "Error parsing override")


# A range or a glob among the choices of an override, where Hydra takes single values alone.
_MIXTURE = re.compile(r"(range|glob)\([^)]*\),|,(range|glob)\(")


def explain(error: Exception, overrides: Sequence[str]) -> RunnerError:
    """Translate whatever came out of Hydra.

    Parameters
    ----------
    error : Exception
        What was raised while a config was composed or resolved.
    overrides : sequence of str
        The overrides of the command line.
    """
    if isinstance(error, RunnerError):
        return error
    mixed = [text for text in overrides if _MIXTURE.search(text)]
    if mixed and "Unexpected type" in str(error):
        return CommandError(
            f"{mixed[0]}: must be one range, one glob, or choices of plain values (a,b,c), "
            "got a mixture."
        )
    for text in overrides:
        if found := re.match(r"hydra\.(launcher|sweeper)=(\w+)$", text):
            return CommandError(f"{text}: must be hydra/{found[1]}={found[2]}, with a slash.")
    for kind, translate in _TRANSLATIONS:
        if isinstance(error, kind):
            return translate(error)
    if "does not support sweep type" in str(error):
        return _endless(overrides)
    return _not_an_option(overrides) or CommandError(
        _kept(str(error)) or f"Hydra: {type(error).__name__}. HYDRA_FULL_ERROR=1 shows where."
    )


def _kept(message: str) -> str:
    lines = (line.strip() for line in message.splitlines())
    return "\n".join([line for line in lines if line and not line.startswith(_NOISE)][:_MOST_LINES])


def _groups() -> list[str]:
    return sorted(folder.name for folder in config_folder().iterdir() if folder.is_dir())


def _recursion(error: RecursionError) -> RunnerError:
    keys = re.findall(r"full_key: (\w[\w.]*)\[", str(error))
    return ConfigError.plain(
        f"{keys[-1] if keys else 'the config'}: must not be nested hundreds of levels deep, "
        "got more than Python can follow."
    )


def _missing_config(error: MissingConfigException) -> RunnerError:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if group and error.options:
        rule = f"one of {', '.join(error.options)}"
        return ConfigError(group, rule, option, nearest(option, error.options))
    if error.missing_cfg_file:
        name = error.missing_cfg_file
        folders = re.findall(r"path=file://(\S+)", str(error))
        return CommandError(f"{name}: must be a config in {' or '.join(folders)}, got {name!r}.")
    return ConfigError.plain(_kept(str(error)))


def _bad_override(error: OverrideParseException) -> RunnerError:
    reasons = _kept(error.message).splitlines()
    if reasons and reasons[0].startswith("LexerNoViableAltException"):
        reasons = [f"cannot go on at character {error.message.splitlines()[1].index('^') - 26}"]
    reason = f" ({reasons[0].partition(' expecting {')[0]})" if reasons else ""
    where = error.override or "an argument"
    return CommandError(
        f"{where}: must be key=value in Hydra's grammar, got {error.override!r}{reason}.\n"
        "A value with special characters takes two pairs of quotes: \"key='a, b'\""
    )


def _setting(error: OmegaConfBaseException) -> RunnerError:
    key = error.full_key or str(error.key)
    node = error.child_node
    got = error.value
    if got is None and node is not None:
        got = node._value()  # noqa: SLF001  (what is written there, unresolved)
    reason = _kept(str(error)).partition("\n")[0]
    variable = re.search(r"Environment variable '(.*)' not found", reason)
    if key.startswith("hydra.callbacks"):
        return _callbacks(error)
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


def _composition(error: ConfigCompositionException) -> RunnerError:
    match error.__cause__:
        case ConfigAttributeError() | ConfigKeyError() as cause:
            return _unknown_key(cause)
        case OmegaConfBaseException() as cause:
            return _setting(cause)
    for pattern, translate in _COMPOSITIONS:
        if found := re.search(pattern, str(error)):
            return translate(found)
    return ConfigError.plain(_kept(str(error)))


def _several(found: re.Match[str]) -> RunnerError:
    key, _, values = found[1].partition("=")
    # A sweep function, or lists in a list, could not be one list of plain values.
    one_list = "" if set(values) & set("([") else f" One list is written {key}=[{values}]"
    return CommandError(
        f"{key}: must be one value, got {values}; to run each, add --multirun.{one_list}"
    )


def _endless(overrides: Sequence[str]) -> RunnerError:
    """Explain `interval(0, 1)`, the one form of Hydra's grammar that has no end of values."""
    found = next((text for text in overrides if "interval(" in text), "the sweep=interval(...)")
    key, _, value = found.partition("=")
    return CommandError(
        f"{key}: must be a choice (0.1,0.2), a range (range(0,10)) or a glob (glob(*)), "
        f"got {value}, which has no end of values."
    )


def _twice(found: re.Match[str]) -> RunnerError:
    group = found[1]
    return ConfigError.plain(
        f"{group}: must be chosen once, got a second choice; write {group}=... without '+' "
        f"(in a file: - override /{group}: ...)."
    )


def _no_group(found: re.Match[str]) -> RunnerError:
    groups = _groups()
    rule = f"one of the groups {', '.join(groups)}"
    return ConfigError(found[1], rule, found[1], nearest(found[1], groups))


def _no_mapping(found: re.Match[str]) -> RunnerError:
    return ConfigError.plain(f"{found[1]}.yaml: must hold settings (key: value), got a list.")


def _callbacks(_found: object) -> RunnerError:
    return ConfigError.plain("hydra.callbacks: must be left out: a config names no Python object.")


def _unknown_key(error: OmegaConfBaseException) -> RunnerError:
    key, parent = str(error.full_key), error.parent_node
    known = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
    if key.startswith("hydra.") and not known:
        return ConfigError.plain(f"{key}: must be added with a plus: +{key}=...")
    if "." not in key:
        # Hydra's own settings are no settings of an experiment, and groups can be chosen too.
        known = [name for name in known if name != "hydra"] + ["experiment"]
    return ConfigError.unknown(key, known)


def _not_an_option(overrides: Sequence[str]) -> RunnerError | None:
    """Find the group that was set to a number, true or null: Hydra does not say which."""
    for override in overrides:
        group, _, option = override.lstrip("+").partition("=")
        if not group:
            return CommandError(f"{override}: must be key=value, got no key.")
        if group in _groups() and not isinstance(safe_load(option), str | list):
            options = sorted(file.stem for file in (config_folder() / group).glob("*.yaml"))
            return ConfigError(group, f"one of {', '.join(options)}", option)
    return None


_COMPOSITIONS: tuple[tuple[str, Callable[[re.Match[str]], RunnerError]], ...] = (
    (r"(?:Ambiguous value for argument|Sweep parameters) '(.+)'", _several),
    (r"Multiple values for ([\w/]+)", _twice),
    (r"Could not override '([\w/]+)'\. No match in the defaults", _no_group),
    (r"In '(.+)': .*\n?.*Cannot merge DictConfig with ListConfig", _no_mapping),
    (r"full_key: hydra\.callbacks", _callbacks),
)
_TRANSLATIONS: tuple[tuple[type[Exception], Callable[..., RunnerError]], ...] = (
    (YAMLError, explain_yaml),
    (UnicodeDecodeError, explain_text),
    (RecursionError, _recursion),
    (SearchPathException, lambda error: CommandError(f"--config-dir: {error}.")),
    (MissingConfigException, _missing_config),
    (OverrideParseException, _bad_override),
    (OmegaConfBaseException, _setting),
    (ConfigCompositionException, _composition),
)
