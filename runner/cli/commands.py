"""The commands that have a name: what each takes, and the function that carries it out.

The function is imported when it is called, so that help and a typing error cost little.
"""

from __future__ import annotations

import math
import re
from argparse import Action, ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn

from runner.system.errors import CommandError

# As a shell writes them: Python takes 1_0 and digits of other scripts too.
_WHOLE = re.compile(r"[0-9]{1,18}")
_NUMBER = re.compile(r"[+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?")

# The names of an argument, and what argparse is to know of it; of several in a list one is given.
Argument = tuple[tuple[str, ...], dict[str, Any]]


class _Parser(ArgumentParser):
    """A parser that raises `CommandError`."""

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().removeprefix("usage: ").split())
        raise CommandError(f"{self.prog}: {message}. Usage: {usage}")

    @property
    def actions(self) -> list[Action]:
        """All that it takes; argparse itself has no public list."""
        return self._actions

    @property
    def flags(self) -> dict[str, Action]:
        """Its options, by each of their names."""
        return {flag: action for action in self.actions for flag in action.option_strings}


@dataclass(frozen=True)
class Command:
    """A command; its function has a parameter for each argument."""

    name: str
    does: str
    function: str  # where it is in this room: ``show.list_runs``
    arguments: Sequence[Argument | list[Argument]] = ()
    notes: str | None = None
    has_store: bool = True  # whether it reads one, so that --uri can name another

    def parser(self) -> _Parser:
        """Return what parses its arguments, and knows its help."""
        parser = _Parser(f"runner {self.name}", description=self.does, epilog=self.notes)
        for argument in self.arguments:
            is_choice = isinstance(argument, list)
            place = parser.add_mutually_exclusive_group() if is_choice else parser
            for names, known in argument if isinstance(argument, list) else [argument]:
                place.add_argument(*names, **known)
        if self.has_store:
            parser.add_argument("--uri", help="the store, in place of the one that runs go to")
        return parser

    def __call__(self, words: Sequence[str]) -> int:
        """Carry it out, and return the exit code."""
        parser = self.parser()
        # Named first: what follows a flag that is none would be taken for another argument.
        flags = [word.partition("=")[0] for word in words if word.startswith("--")]
        known = list(parser.flags)
        if unknown := [flag for flag in flags if not any(k.startswith(flag) for k in known)]:
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        given = parser.parse_intermixed_args(list(words))
        module, _, name = self.function.partition(".")
        code: int | None = getattr(import_module(f"runner.cli.{module}"), name)(**vars(given))
        return code or 0


def _port(text: str) -> int:
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= 65535:
        raise ArgumentTypeError(f"must be a number from 1 to 65535, got {text!r}")
    return int(text)


def _tolerance(text: str) -> float:
    tolerance = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not 0 <= tolerance < math.inf:
        raise ArgumentTypeError(f"must be a number, 0 or above, got {text!r}")
    return tolerance


def _count(text: str) -> int:
    if not _WHOLE.fullmatch(text) or int(text) < 1:
        raise ArgumentTypeError(f"must be a whole number, 1 or above, got {text!r}")
    return int(text)


def _setting(text: str) -> str:
    if "=" not in text[1:]:
        raise ArgumentTypeError(f"must be a setting, such as data.target=age, got {text!r}")
    return text


def _argument(*names: str, **known: Any) -> Argument:  # noqa: ANN401  (argparse's own)
    return names, known


def _metrics(what: str) -> Argument:
    return _argument(
        "--metric",
        action="extend",
        default=[],
        dest="metrics",
        metavar="METRIC",
        type=lambda text: text.split(","),
        help=f"{what}, for instance test/accuracy; several are separated by commas",
    )


def _overrides(what: str) -> Argument:
    known = {"nargs": "*", "default": [], "type": _setting, "metavar": "key=value", "help": what}
    return _argument("overrides", **known)


_NAME_OF_SWEEP = _argument("target", metavar="SWEEP", help="its name or id")
_WHERE_DATA_ARE = _argument("--data", metavar="PATH", help="where the sweep's data file is now")
_COMMANDS = (
    Command(
        "clean",
        "Remove the weights of all runs of a sweep but its best.",
        "clean.clean",
        [
            _NAME_OF_SWEEP,
            _argument("--keep", type=_count, metavar="N", default=10, help="default: 10"),
            _argument("--yes", action="store_true", dest="is_sure", help="does not ask"),
        ],
    ),
    Command(
        "compare",
        "Show what differs between runs, groups and sweeps, and whether more than chance does.",
        "compare.compare",
        [
            _argument("targets", nargs="+", metavar="RUN", help="ids or names of runs or sweeps"),
            _metrics("compares by it"),
        ],
        "Differences are those of the first to each other, over the splits and seeds of both.",
    ),
    Command(
        "data",
        "Show how a table would be read, without training on it.",
        "data.show_data",
        [
            _argument("file", metavar="FILE", help="CSV and other text, Excel, Parquet, NPZ, ..."),
            _overrides("such as data.target=age"),
        ],
        has_store=False,
    ),
    Command(
        "ensemble",
        "Average the best runs of a sweep into one run and its model.",
        "show.average_runs",
        [
            _argument("target", metavar="SWEEP", help="its name or its run's id"),
            [
                _argument(
                    "--top", type=_count, metavar="N", default=10, help="the best N; default: 10"
                ),
                _argument(
                    "--greedy",
                    action="store_const",
                    const=None,
                    dest="top",
                    help="one by one, each by what it adds on validation rows",
                ),
            ],
            _WHERE_DATA_ARE,
        ],
    ),
    Command(
        "export",
        "Write all that is needed to repeat a run to a folder of its own.",
        "export.export",
        [
            _argument("target", metavar="RUN", help="a run, or a sweep, whose best run it is"),
            _argument("folder", metavar="FOLDER", help="a new one"),
        ],
    ),
    Command(
        "predict",
        "Predict raw rows with what a run has learned.",
        "predict.predict",
        [
            _argument(
                "target",
                metavar="RUN",
                help="a run, a sweep (its best run), or a folder of runner export",
            ),
            _argument("file", nargs="?", metavar="FILE", help="rows as CSV, Parquet, NPZ, ..."),
            _argument(
                "--part",
                choices=("train", "val", "test"),
                help="predicts the run's own rows instead",
            ),
            _argument(
                "--threshold",
                metavar="T",
                help="of two classes: the last one from a probability of T on, "
                "or what is best on validation rows by a metric, such as f1_macro",
            ),
            _argument("--data", metavar="PATH", help="where the run's own data file is now"),
            _argument(
                "--out",
                metavar="FILE",
                help="a .csv or .parquet; by default CSV goes to the output",
            ),
        ],
    ),
    Command(
        "report",
        "Write a sweep as one HTML file that opens anywhere, for a colleague.",
        "report.report",
        [
            _NAME_OF_SWEEP,
            _argument("--out", metavar="FILE", help="an .html; by default named like the sweep"),
            _WHERE_DATA_ARE,
        ],
    ),
    Command(
        "rerun",
        "Run again what is on record, and say whether the result is the same to the last bit.",
        "rerun.repeat",
        [
            _argument(
                "target",
                metavar="RUN",
                help="a run, a sweep or a group of seeds, by its id, its name or how that begins; "
                "or a folder that runner export made",
            ),
            _overrides("settings to change: a new run, then"),
            _argument("--check", action="store_true", help="compares, and records no run"),
            _argument(
                "--tolerance",
                type=_tolerance,
                metavar="T",
                help="admits relative differences up to T",
            ),
            _argument("--sample", type=_count, metavar="N", help="takes N jobs of a sweep"),
            _argument("--data", metavar="PATH", help="where the data file is now"),
            _argument(
                "--allow-data-change",
                action="store_true",
                help="accepts data of other content; the result is then never called IDENTICAL",
            ),
            _argument(
                "--in-place",
                action="store_true",
                help="records in the store of the original where --uri names another one than "
                "yours",
            ),
        ],
        "Ends with 0 if it is, 5 if something differs, 2 if there is nothing to compare with.",
    ),
    Command(
        "runs",
        "List the runs that belong to no sweep, the newest first.",
        "show.list_runs",
        [_argument("--top", type=_count, metavar="N", help="lists the newest N alone")],
    ),
    Command(
        "show",
        "Show what came out of a sweep, by default the newest, or of a run.",
        "show.show",
        [
            _argument(
                "target",
                nargs="?",
                metavar="RUN",
                help="a sweep's name, an id, or how one of these begins",
            ),
            _metrics("ranks by it"),
            _argument("--top", type=_count, metavar="N", help="shows the best N alone"),
            [
                _argument(
                    "--format",
                    choices=("table", "csv", "markdown", "latex"),
                    default="table",
                    dest="form",
                    help="csv: every job; markdown and latex: configurations, the best in bold",
                ),
                _argument(
                    "--csv",
                    action="store_const",
                    const="csv",
                    dest="form",
                    help="the same as --format csv",
                ),
            ],
            _argument("--data", metavar="PATH", help="where the data file of a run is now"),
        ],
    ),
    Command("sweeps", "List the sweeps, the newest first.", "show.list_sweeps"),
    Command(
        "sync",
        "Record the results that are kept on disk since their server did not answer.",
        "clean.sync",
    ),
    Command(
        "ui",
        "Show the runs in a browser, on this machine.",
        "show.open_pages",
        [_argument("--port", type=_port, default=5000, help="default: 5000")],
    ),
)
COMMANDS = {command.name: command for command in _COMMANDS}
