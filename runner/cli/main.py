"""The entry point: runs a command line; errors and signals become messages and exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from runner.cli.commands import COMMANDS, Command
from runner.cli.help import help_page, help_template
from runner.cli.streams import install_robust_streams
from runner.report.table import say
from runner.system.errors import CommandError, RunnerError, Terminated, nearest
from runner.system.files import machine_error
from runner.system.paths import require_working_folder
from runner.system.process import (
    begin_garbage_collection,
    put_off_garbage_collection,
    skip_last_garbage_collection,
)
from runner.system.signals import (
    INTERRUPTED,
    raise_on_sigterm,
    raise_pending_sigterm,
)

if TYPE_CHECKING:
    from runner.config.search import Dimension, DrawnSearch

# Variables that hold paths, or addresses with paths.
_PLACES = ("HOME", "TMPDIR", "MLFLOW_TRACKING_URI", "RUNNER_PLUGINS")
# For who has typed nothing but the program's name.
_NEXT = """\
  your own table:  runner experiment=own data.path=FILE.csv data.target=COLUMN
  a sweep:         runner -m experiment=iris optimizer.learning_rate=0.01,0.1"""


def main() -> NoReturn:
    """Carry out the command line of this process, and end it with the right exit code."""
    install_robust_streams()
    put_off_garbage_collection()
    raise_on_sigterm()
    try:
        code = _exit_code(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Terminated as end:
        code = end.exit_code
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C has nothing left to interrupt
        with suppress(RunnerError):  # said before, or nobody is there any more
            sys.stdout.flush()
        skip_last_garbage_collection()
    sys.exit(code)


def _exit_code(arguments: Sequence[str]) -> int:
    """Carry out a command line, and say what went wrong; see `carry_out`."""
    try:
        code = carry_out(arguments)
        sys.stdout.flush()  # a disk that is full says so here
    except RunnerError as error:
        # An error may follow from a SIGTERM that a library swallowed.
        raise_pending_sigterm()
        say(str(error))
        code = error.exit_code
    except (OSError, MemoryError) as error:
        of_machine = machine_error(error)
        if of_machine is None:
            raise
        say(str(of_machine))
        code = of_machine.exit_code
    return code


def carry_out(arguments: Sequence[str]) -> int:
    """Carry out a command line, given without the program; return its exit code.

    What goes wrong is a `RunnerError` with an exit code of its own.
    """
    require_working_folder()
    _require_readable(arguments)
    if list(arguments) in (["--help"], ["-h"]):
        print(help_page())  # noqa: T201  (the output that was asked for)
        return 0
    if list(arguments) == ["--version"]:
        from importlib import metadata

        print(f"softnet-runner {metadata.version('softnet-runner')}")  # noqa: T201  (as above)
        return 0
    # A bare word cannot be an override, nor a flag.
    if arguments and re.fullmatch(r"[A-Za-z][\w-]*", arguments[0]):
        begin_garbage_collection()
        return _named(arguments[0])(arguments[1:])
    return _run(arguments)


def _require_readable(arguments: Sequence[str]) -> None:
    """Raise `CommandError` where the locale lacks letters of what the program is given."""
    encoding = sys.getfilesystemencoding()
    words = [(word, word) for word in arguments]
    words += [("The working folder", str(Path.cwd()))]
    words += [(name, os.environ.get(name, "")) for name in _PLACES]
    for label, word in words if encoding != "utf-8" else ():
        if re.search("[\ud800-\udfff]", word):
            raise CommandError(
                f"{os.fsencode(label).decode('utf-8', 'replace')}: has letters that the locale "
                f"({encoding}) lacks; set LC_ALL=C.UTF-8."
            )


def _named(word: str) -> Command:
    if word not in COMMANDS:
        hint = nearest(word, COMMANDS)
        raise CommandError(
            f"{word}: must be a command ({', '.join(COMMANDS)}) or a setting (key=value), "
            f"got {word!r}.{' ' + hint if hint else ''} See runner --help."
        )
    return COMMANDS[word]


def _complete(arguments: Sequence[str]) -> int:
    """Complete a command line, or print the script that has a shell ask for that."""
    from runner.cli.complete import ZSH, complete
    from runner.config.compose import compose

    if arguments[1:] == ["install=zsh"]:
        print(ZSH)  # noqa: T201  (the output that was asked for)
    elif arguments[1:] and arguments[1].startswith("query="):
        complete(lambda: compose(["-sc", "query=bash"], ""))
    else:
        compose(arguments, "")
    return 0


def _as_settings(arguments: Sequence[str]) -> list[str]:
    """Write our own flags of a run as the settings that they stand for."""
    words: list[str] = []
    rest = iter(arguments)
    for word in rest:
        flag, is_given, value = word.partition("=")
        if flag == "--register":
            name = value if is_given else next(rest, "")
            words.append(f"tracking.register={json.dumps(name)}")
        else:
            words.append("sweep.dry_run=true" if word == "--dry-run" else word)
    return words


def _say_many(n_jobs: int) -> None:
    # Composing and planning many jobs takes seconds.
    if n_jobs >= 2_000:
        say(f"Planning {n_jobs:,} jobs.")


def _draw(dimensions: Sequence[Dimension], search: DrawnSearch) -> list[dict[str, str]]:
    from runner.jobs.search import draw  # NumPy

    return draw(dimensions, search)


def _run(arguments: Sequence[str]) -> int:
    """Compose, check and carry out the jobs of a Hydra command line."""
    from runner.config.compose import asks_for_sweep, compose

    arguments = _as_settings(arguments)
    if arguments[:1] in (["-sc"], ["--shell-completion"]):
        return _complete(arguments)
    jobs = compose(arguments, help_template(), _say_many, _draw)
    if jobs is None:
        return 0
    from runner.cli.run import run_jobs

    # A person's own config may ask for it too, with hydra.mode.
    code = run_jobs(jobs, is_sweep=asks_for_sweep(arguments) or len(jobs) > 1)
    if not arguments and code == 0 and sys.stdout.isatty():
        say(_NEXT)
    return code
