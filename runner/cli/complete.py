"""What a press of Tab offers: Hydra's groups and keys, and beside them what it does not know.

That is our commands with their options and the names of sweeps, the values of a setting, and files.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from glob import escape, glob
from pathlib import Path

from runner.cli.commands import COMMANDS
from runner.system.errors import RunnerError

# Flags of a run: Hydra completes none.
_FLAGS = ("--cfg", "--config-dir", "--dry-run", "--help", "--info", "--multirun", "--register")
# Hydra's script is for bash, and zsh splits words in another way.
ZSH = """\
_runner() {
  local -a offered
  offered=(${=$(COMP_LINE="${(j: :)words[1,CURRENT]}" "$words[1]" -sc query=zsh)})
  if (( $#offered )); then compadd -Q -S '' -- $offered; else _files; fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef _runner runner"""


def complete(hydra: Callable[[], object]) -> None:
    """Print what may follow in the line of the variable COMP_LINE.

    `hydra` prints what it offers, and is asked unless a command is being typed or a setting has
    values of its own.
    """
    line = os.environ.get("COMP_LINE", "")
    _, *words = re.sub(r"^python\S* -m ", "", line).split() or [""]
    current = "" if line.endswith(" ") or not words else words.pop()
    key, is_value, value = current.partition("=")
    if words and words[0] in COMMANDS:
        offered = _of_command(words, current)
    elif current.startswith("-"):
        offered = list(_FLAGS)
    elif is_value and (values := _values(key.lstrip("+"))):
        offered = [f"{key}={value}" for value in values]
    elif is_value and key in ("sweep.metric", "training.early_stopping.metric"):
        offered = [f"{key}={metric}" for metric in _metrics()]
    elif is_value and key.endswith("path"):
        offered = [f"{key}={path}" for path in _files(value)]
    else:
        with redirect_stdout(io.StringIO()) as printed:
            hydra()
        offered = printed.getvalue().split() + ([] if words else list(COMMANDS))
    print(*(word for word in offered if word.startswith(current)))  # noqa: T201  (what was asked for)


def _of_command(words: list[str], current: str) -> list[str]:
    """Return the options of a command, the values of the option before, or names of sweeps."""
    parser = COMMANDS[words[0]].parser()
    options = parser.flags
    before = options.get(words[-1])
    if current.startswith("-"):
        return sorted(flag for flag in options if flag.startswith("--"))
    if words[-1] == "--metric":
        return _metrics()
    if before is not None and before.nargs != 0:
        return list(before.choices or ())
    uri = words[words.index("--uri") + 1] if "--uri" in words else None
    return _sweeps(uri) if {"RUN", "SWEEP"} & {action.metavar for action in parser.actions} else []


def _metrics() -> list[str]:
    from runner.config.plugins import plugins
    from runner.training.outcome import PARTS
    from softnet import METRICS

    plugins()  # which may have added some
    return [f"{part}/{name}" for part in PARTS for name in METRICS]


def _sweeps(uri: str | None) -> list[str]:
    """Return the names of the sweeps in a SQLite file; a server is not kept waiting for."""
    from runner.tracking import find_stores
    from runner.tracking.backend.address import resolve

    with suppress(RunnerError):
        if resolve(uri).database is not None:
            stores = find_stores(uri)
            every = next(iter(stores.values())).sweeps.all(list(stores)) if stores else []
            return [sweep.name for sweep in every if re.fullmatch(r"[\w.+-]+", sweep.name)]
    return []


def _files(beginning: str) -> list[str]:
    """Return the files and folders whose paths begin so, but for those that a shell would quote."""
    paths = glob(f"{escape(beginning)}*")  # noqa: PTH207  (Path would write another beginning)
    return sorted(
        f"{path}/" if Path(path).is_dir() else path
        for path in paths
        if re.fullmatch(r"[\w./+-]+", path)
    )


def _values(key: str) -> list[str]:
    """Return the values that a setting may have, where they can be counted up."""
    from runner.config.rules import values_of
    from runner.config.schema import Experiment

    return values_of(Experiment, key)
