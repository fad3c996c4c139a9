"""Writes the pages of settings, of commands and of softnet's names: all of each.

    python docs/make_reference.py

What a setting allows is read off the schema, what it means off the comments of the shipped YAML and
the docstrings of the classes; a test compares the pages with what this makes of today's code.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any, get_args

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import yaml  # noqa: E402  (after the path)
from pydantic import BaseModel  # noqa: E402
from pydantic.fields import FieldInfo  # noqa: E402

import softnet  # noqa: E402
from runner.cli.commands import COMMANDS  # noqa: E402
from runner.cli.help import help_page  # noqa: E402
from runner.config.rules import rule_of  # noqa: E402
from runner.config.schema import Experiment  # noqa: E402
from softnet import SettingError  # noqa: E402

# Of what no YAML has a line for a comment, or has it only as an example.
MEANINGS = {
    "dtype": "of all numbers of a run",
    "task": "what is learned; auto: told from the target",
    "data.scaling": "of numbers: mean 0 and variance 1, 0 to 1, quartiles, or normal scores",
    "data.delimiter": "between the cells of text",
    "data.decimal": "the decimal mark of numbers in text",
    "data.encoding": "of text",
    "executor.address": "where the scheduler is",
    "model.activation": "after each hidden layer",
    "model.initializer": "of weights: xavier suits tanh and sigmoid, he relu; uniform is PyTorch's",
    "model.number_embedding": "more features of each number",
    "model.share": "tabm: members share their weights, which each scales its way",
    "training.batch_size": "rows of a batch; auto: 32, or all training rows where there are fewer",
    "training.sampling": "shuffled: every row once an epoch",
    "tracking.artifacts": "where files of runs go if `tracking.uri` is a database server",
    "tracking.durability": "full: a SQLite file is on the disk before a run is FINISHED",
    "data.name": "what the rows are: chosen with `data=...`",
    "data.n_samples": "rows",
    "data.n_features": "features of each row",
    "data.n_classes": "classes",
    "data.seed": "of what is drawn, apart from the run's seed",
    "executor.name": "where the jobs of a sweep run: chosen with `executor=...`",
    "model.hidden_layer_sizes": "units of each hidden layer",
    "model.normalization": "before the activation of each hidden layer",
    "model.dropout": "share of each hidden layer's outputs that is dropped in training",
    "model.residual": "whether a hidden layer's input, where as wide, is added to its output",
    "optimizer.name": "chosen with `optimizer=...`",
    "optimizer.learning_rate": "the size of a step, which the schedule multiplies",
    "schedule.name": "chosen with `schedule=...`",
    "search.name": "how a sweep chooses its jobs: chosen with `search=...`",
    "split.name": "how rows are dealt to train, val and test: chosen with `split=...`",
    "split.n_folds": "equal parts",
    "split.train": "the share or the number of rows that train; all three parts alike",
    "training.epochs": "how often every training row is taken",
    "training.steps": "updates, where `epochs` is null: exactly one of the two is given",
    "training.early_stopping": "keeps the weights that were best by a metric, and stops",
    "training.evaluate_every": "epochs, or steps, between two evaluations",
    "tracking.figures": "whether a run alone gets figures",
    "tracking.model": "whether a run alone gets a model that can be served",
    "sweep.metric": "ranks the results; val/loss means train/loss where there is no val",
}
# The option whose YAML is shown where all options of a group have the same settings.
PLAIN = {"model": "mlp", "training": "epochs", "tracking": "local"}

SETTINGS = """\
# Settings: every key, its default, what it allows and what it means

A setting is `key=value` on the command line and a line of YAML in a file. `data=file` and the like
choose an option of a group, which has the settings below it. A default in *italics* is that of the
option's YAML; `required` has to be given. This page is made from the schema by
`python docs/make_reference.py`.
"""
COMMANDS_TOP = """\
# Commands: what each does, its options, and exit codes

`runner` without the name of a command runs an experiment or a sweep: [settings](settings.md) has
what it takes. This page is made from the commands' own help by `python docs/make_reference.py`.
"""

SOFTNET_TOP = """\
# The API of softnet, from its docstrings

Names that `from softnet import ...` takes. On the site each stands with its docstring; where this
page is read as it is, the docstrings are in the modules that the headings name.
"""

Row = tuple[str, str, str, str]


def settings_page() -> str:
    """Return the page of all settings."""
    parts = [SETTINGS]
    for title, rows in sections():
        parts += [f"## {title}", "", "| key | default | must be | meaning |", "|---|---|---|---|"]
        parts += [f"| `{k}` | {d} | {r} | {m} |" for k, d, r, m in rows]
        parts.append("")
    return "\n".join(parts)


def sections() -> Iterator[tuple[str, list[Row]]]:
    """Go through the groups, and of those with several kinds of settings through each."""
    top = []
    for key, field in Experiment.model_fields.items():
        if not models_of(field.annotation):
            top.append(row(key, field, comments("config.yaml"), {}))
    yield "The experiment", top
    for group, field in Experiment.model_fields.items():
        kinds = models_of(field.annotation)
        for kind in kinds:
            names = get_args(kind.model_fields["name"].annotation) if len(kinds) > 1 else ()
            option = names[0] if names else PLAIN.get(group, "")
            text = f"{group}/{option}.yaml" if option else f"{group}.yaml"
            title = f"{group}={', '.join(names)}" if names else group
            yield title, list(rows_of(group, kind, comments(text), defaults(text)))


def models_of(annotation: object) -> list[type[BaseModel]]:
    """Return the sections among the types of a setting."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for part in get_args(annotation) for model in models_of(part)]


def rows_of(
    group: str, kind: type[BaseModel], notes: dict[str, str], given: dict[str, Any]
) -> Iterator[Row]:
    """Return the rows of a section, and of the sections in it."""
    docs = parameters_of(getattr(kind, "target", kind))
    for name, field in kind.model_fields.items():
        key = f"{group}.{name}"
        shown = row(key, field, {name: docs[name]} | notes if name in docs else notes, given)
        yield (*shown[:2], refusal(kind, name) or shown[2], shown[3])
        for inner in models_of(field.annotation):
            yield from rows_of(key, inner, comments(f"{group}/early_stopping.yaml"), {})


def row(key: str, field: FieldInfo, notes: dict[str, str], given: dict[str, Any]) -> Row:
    """Return a setting's row; without a meaning it is a fault of the sources."""
    name = key.rpartition(".")[2]
    default = "required" if field.is_required() else f"`{text(field.default)}`"
    if (
        name in given
        and given[name] != "???"
        and (given[name] is not None if field.is_required() else given[name] != plain(field))
    ):
        default = f"*`{text(given[name])}`*"
    meaning = MEANINGS.get(key) or notes.get(name) or remarks().get(name)
    if not meaning:
        raise SystemExit(f"{key}: must have a comment in its YAML or its schema, or a MEANING.")
    rule = "a group of settings, or null" if models_of(field.annotation) else rule_of(field)
    return key, default, cell(rule), cell(meaning)


def refusal(kind: type[BaseModel], name: str) -> str:
    """Return what a class of settings itself says of a value that is below all it allows."""
    target: Any = getattr(kind, "target", None)
    if target is None or name == "name" or kind.model_fields[name].annotation is bool:
        return ""
    required = {
        key: 1.0 for key, f in kind.model_fields.items() if f.is_required() and key != "name"
    }
    try:
        target(**(required | {name: -1}))
    except SettingError as error:
        rule = error.rule if error.setting == name else ""
        is_open = rule and NoneType in get_args(kind.model_fields[name].annotation)
        return f"{rule}, or null" if is_open else rule
    except (AttributeError, TypeError):  # no number at all
        pass
    return ""


@cache
def remarks() -> dict[str, str]:
    """Return what the comments in the schema say of the fields below them."""
    found = {}
    for module in ("schema.py", "data.py"):
        source = (ROOT / "runner" / "config" / module).read_text("utf-8")
        for note, name in re.findall(r"((?:^    # .*\n)+)    (\w+): ", source, re.MULTILINE):
            found[name] = " ".join(line.strip("# ") for line in note.splitlines()).rstrip(".")
    return found


def plain(field: FieldInfo) -> object:
    """Return a default as YAML has it."""
    return list(field.default) if isinstance(field.default, tuple) else field.default


def text(value: object) -> str:
    """Write a value as YAML does."""
    value = list(value) if isinstance(value, tuple) else value
    if isinstance(value, str):
        return value
    return (
        yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()
    )


def cell(content: str) -> str:
    """Return text for a cell of a table."""
    return " ".join(content.split()).replace("|", "\\|")


def comments(file: str) -> dict[str, str]:
    """Return what the comments of a shipped YAML file say of its keys."""
    path = ROOT / "conf" / file
    if not path.is_file():
        return {}
    found, above = {}, ""
    for line in path.read_text("utf-8").splitlines():
        if line.strip().startswith("#"):
            above = f"{above} {line.strip('# ')}".strip()
            continue
        if match := re.match(r"\s*(\w+):[^#]*?(?:\s#\s*(.*))?$", line):
            found[match[1]] = match[2] or above
            above = ""
    return {key: note for key, note in found.items() if note}


def defaults(file: str) -> dict[str, Any]:
    """Return the values of a shipped YAML file."""
    path = ROOT / "conf" / file
    values: dict[str, Any] = yaml.safe_load(path.read_text("utf-8")) if path.is_file() else {}
    return values


def parameters_of(kind: type) -> dict[str, str]:
    """Return what the docstrings of a class of settings, and of its bases, say of parameters."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        section = re.search(r"Parameters\n *-+\n(.*?)(?:\n\s*\n|\Z)", each.__doc__ or "", re.DOTALL)
        names: list[str] = []
        for line in section[1].splitlines() if section else ():
            if match := re.match(r" {0,8}(\w+(?:, \w+)*) : ", line):
                names = match[1].split(", ")
                found |= dict.fromkeys(names, "")
            else:
                found |= {name: f"{found[name]} {line.strip()}".strip() for name in names}
    return found


def commands_page() -> str:
    """Return the page of all commands."""
    parts = [COMMANDS_TOP, "## runner", "", "```text", help_page(), "```", ""]
    for name in COMMANDS:
        parts += [f"## runner {name}", "", "```text", help_of(name), "```", ""]
    parts += [
        "## Exit codes",
        "",
        "| code | meaning |",
        "|---|---|",
        "| 0 | all is well |",
        "| 1 | some runs failed, for instance because a loss was not finite |",
        "| 2 | the config, the data or the command is wrong; nothing was run |",
        "| 3 | the store or the disk failed |",
        "| 4 | a server did not answer: results wait in `outputs/unrecorded/` |",
        "| 5 | a rerun differs from its record |",
        "| 129, 130, 131, 143 | ended by SIGHUP, Ctrl-C, SIGQUIT or SIGTERM; the run is KILLED |",
        "",
    ]
    return "\n".join(parts)


def help_of(name: str) -> str:
    """Return what a command's `--help` prints, at 80 columns."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        return COMMANDS[name].parser().format_help().strip()
    finally:
        os.environ.pop("COLUMNS")
        os.environ |= {} if before is None else {"COLUMNS": before}


def softnet_page() -> str:
    """Return the page of softnet's public names, which mkdocstrings fills in."""
    parts, module = [SOFTNET_TOP], ""
    registries = []
    for name, value in vars(softnet).items():
        if name.startswith("_") or isinstance(value, ModuleType):
            continue
        if isinstance(value, Mapping | tuple):
            registries.append(f"| `{name}` | {', '.join(f'`{key}`' for key in value)} |")
            continue
        if value.__module__ != module:
            module = value.__module__
            parts += [f"## {module}", ""]
        parts += [f"::: softnet.{name}", ""]
    return "\n".join(
        [*parts, "## Registries", "", "| name | entries |", "|---|---|", *registries, ""]
    )


PAGES = {"softnet.md": softnet_page, "settings.md": settings_page, "commands.md": commands_page}

if __name__ == "__main__":
    for page, make in PAGES.items():
        (ROOT / "docs" / page).write_text(make(), "utf-8")
