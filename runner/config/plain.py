"""An experiment as plain values: as dicts, as flat dotted keys, as YAML and as JSON."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml

from runner.system.text import without_passwords

if TYPE_CHECKING:
    from runner.config.schema import Experiment

# Settings that are found out by reading a file where they are left open.
FOUND_OUT = ("columns", "formats", "delimiter", "decimal", "header", "encoding")
# Settings that data settle, with the value of a job whose data could not be read.
LEFT_OPEN = {"task": "auto", "training.batch_size": "auto", "training.loss": None}
# Where a run is recorded, and how others are run beside it: they decide no result.
UNDECISIVE = ("tracking", "sweep", "executor", "search")
# The fields of an `Experiment`, in their order.
SECTIONS = (
    *("name", "seed", "dtype", "task", "data", "split", "model", "optimizer", "schedule"),
    *("training", "tracking", "sweep", "executor", "search"),
)


def to_plain(experiment: Experiment) -> dict[str, Any]:
    """Return the experiment as dicts, lists, text and numbers, as YAML and JSON hold them.

    Whatever is recorded of it is made from this, so the store's address is without its password.
    """
    plain: dict[str, Any] = experiment.model_dump(mode="json")
    tracking = plain["tracking"]
    if tracking["uri"] is not None:
        tracking["uri"] = without_passwords(tracking["uri"])
    return plain


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the settings of a config by their dotted keys; lists and empty groups are values.

    Examples
    --------
    >>> flatten({"seed": 0, "model": {"hidden_layer_sizes": [8], "activation": "relu"}})
    {'seed': 0, 'model.hidden_layer_sizes': [8], 'model.activation': 'relu'}
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        is_group = isinstance(value, Mapping) and value
        flat |= flatten(value, f"{prefix}{key}.") if is_group else {f"{prefix}{key}": value}
    return flat


def with_settings(config: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a config with other values of some settings, by their dotted keys.

    NumPy's numbers, which a search may hand over, become Python's.

    Examples
    --------
    >>> with_settings({"seed": 0}, {"model.dropout": 0.1, "model.hidden_layer_sizes": (8,)})
    {'seed': 0, 'model': {'dropout': 0.1, 'hidden_layer_sizes': [8]}}
    """
    changed = copy.deepcopy(dict(config))
    for key, value in settings.items():
        *sections, name = key.split(".")
        section = changed
        for each in sections:
            if not isinstance(section.get(each), dict):
                section[each] = {}
            section = section[each]
        section[name] = _without_numpy(value)
    return changed


def _without_numpy(value: Any) -> Any:  # noqa: ANN401  (any setting)
    if isinstance(value, list | tuple):
        return [_without_numpy(item) for item in value]
    return value.item() if hasattr(value, "dtype") else value


def settled_alike(configs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return configs in which settings that some leave open are as others have them.

    Examples
    --------
    >>> settled_alike([{"task": "auto"}, {"task": "regression"}])
    [{'task': 'regression'}, {'task': 'regression'}]
    """
    changed = list(configs)
    for key, left_open in LEFT_OPEN.items():
        section, _, name = key.rpartition(".")
        for given in changed:
            value = (given.get(section, {}) if section else given).get(name, left_open)
            if value != left_open:
                break
        else:
            continue
        for position, config in enumerate(changed):
            inside = config.get(section, {}) if section else config
            if name in inside and inside[name] == left_open:
                settled = {**inside, name: value}
                changed[position] = {**config, section: settled} if section else settled
    return changed


def as_override_text(value: object) -> str:
    """Return a value as it is written on the command line; text as it is, without quotes.

    Examples
    --------
    >>> [as_override_text(value) for value in (0.1, None, True, [64, 32], "relu")]
    ['0.1', 'null', 'true', '[64,32]', 'relu']
    """
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list():
            return f"[{','.join(map(as_override_text, value))}]"
        case dict():
            pairs = (f"{key}:{as_override_text(item)}" for key, item in value.items())
            return f"{{{','.join(pairs)}}}"
    return str(value)


def to_json(experiment: Experiment) -> str:
    """Return `to_plain` as JSON, from which the run can be repeated."""
    sections = (_section_json(*section) for section in _sections(experiment))
    return "{\n" + ",\n".join(sections) + "\n}\n"


def to_yaml(experiment: Experiment) -> str:
    """Return `to_plain` as YAML that reads back as the same values, in Hydra too."""
    return "".join(_section_yaml(*section) for section in _sections(experiment))


def _sections(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """Iterate over the sections of an experiment by their names, as compact JSON."""
    return ((name, json.dumps(value)) for name, value in to_plain(experiment).items())


# The jobs of a sweep share the text of most of their sections.
@lru_cache(maxsize=256)
def _section_json(name: str, value: str) -> str:
    return json.dumps({name: json.loads(value)}, indent=2, allow_nan=False)[2:-2]


@lru_cache(maxsize=256)
def _section_yaml(name: str, value: str) -> str:
    section = {name: json.loads(value)}
    return yaml.dump(section, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # chosen here
    """YAML's own, in C where it is there, with quotes around text that looks like a number."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        try:
            float(text.replace("_", ""))
            style = "'"  # PyYAML takes 1e-3 for text, and Hydra for a number
        except ValueError:
            style = None
        node: yaml.ScalarNode = self.represent_scalar("tag:yaml.org,2002:str", text, style)
        return node


_Dumper.add_representer(str, _Dumper.represent_text)
