"""The arguments of the commands that have a name.

Each command imports what it needs when it is called, so that help and a typing error cost little.
"""

from __future__ import annotations

import math
import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from runner.system.errors import CommandError

# As a shell writes them: Python takes 1_0 and digits of other scripts too.
_WHOLE = re.compile(r"[0-9]{1,18}")
_NUMBER = re.compile(r"[+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?")


class _Parser(ArgumentParser):
    """A parser that raises `CommandError`."""

    def __init__(self, command: str, description: str, epilog: str | None = None) -> None:
        super().__init__(f"runner {command}", description=description, epilog=epilog)

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().removeprefix("usage: ").split())
        raise CommandError(f"{self.prog}: {message}. Usage: {usage}")

    def parse(self, arguments: Sequence[str]) -> Namespace:
        """Parse the arguments of a command that reads a store."""
        self.add_uri()
        return self.parse_args(list(arguments))

    def add_uri(self) -> None:
        self.add_argument("--uri", help="the store, in place of the one that runs go to")


def _show(arguments: Sequence[str]) -> None:
    parser = _Parser("show", "Show what came out of a sweep, by default the newest, or of a run.")
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="a sweep's name, an id, or how one of these begins"
    )
    _add_metrics(parser, "ranks by it")
    parser.add_argument("--top", type=_count, metavar="N", help="shows the best N alone")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        choices=("table", "csv", "markdown", "latex"),
        default="table",
        help="csv: every job; markdown and latex: configurations, the best in bold",
    )
    form.add_argument(
        "--csv", action="store_const", const="csv", dest="format", help="the same as --format csv"
    )
    parser.add_argument("--data", metavar="PATH", help="where the data file of a run is now")
    options = parser.parse(arguments)

    from runner.cli.show import show

    metrics = [*dict.fromkeys(options.metric)]
    show(options.run, metrics, options.top, options.format, options.uri, options.data)


def _runs(arguments: Sequence[str]) -> None:
    parser = _Parser("runs", "List the runs that belong to no sweep, the newest first.")
    parser.add_argument("--top", type=_count, metavar="N", help="lists the newest N alone")
    options = parser.parse(arguments)

    from runner.cli.show import list_runs

    list_runs(options.uri, options.top)


def _clean(arguments: Sequence[str]) -> None:
    parser = _Parser("clean", "Remove the weights of all runs of a sweep but its best.")
    parser.add_argument("run", metavar="SWEEP", help="its name or id")
    parser.add_argument("--keep", type=_count, metavar="N", default=10, help="default: 10")
    parser.add_argument("--yes", action="store_true", help="does not ask")
    options = parser.parse(arguments)

    from runner.cli.clean import clean

    clean(options.run, options.keep, options.uri, is_sure=options.yes)


def _compare(arguments: Sequence[str]) -> None:
    parser = _Parser(
        "compare",
        "Show what differs between runs, groups and sweeps, and whether more than chance does.",
        "Differences are those of the first to each other, over the splits and seeds of both.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="ids or names of runs or sweeps")
    _add_metrics(parser, "compares by it")
    options = parser.parse(arguments)

    from runner.cli.compare import compare

    compare(options.runs, [*dict.fromkeys(options.metric)], options.uri)


def _add_metrics(parser: ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--metric",
        action="extend",
        default=[],
        type=lambda text: text.split(","),
        help=f"{what}, for instance test/accuracy; several are separated by commas",
    )


def _report(arguments: Sequence[str]) -> None:
    parser = _Parser(
        "report", "Write a sweep as one HTML file that opens anywhere, for a colleague."
    )
    parser.add_argument("run", metavar="SWEEP", help="its name or id")
    parser.add_argument("--out", metavar="FILE", help="an .html; by default named like the sweep")
    parser.add_argument("--data", metavar="PATH", help="where the sweep's data file is now")
    options = parser.parse(arguments)

    from runner.cli.report import report

    report(options.run, options.out, options.uri, options.data)


def _ensemble(arguments: Sequence[str]) -> None:
    parser = _Parser("ensemble", "Average the best runs of a sweep into one run and its model.")
    parser.add_argument("sweep", metavar="SWEEP", help="its name or its run's id")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--top", type=_count, metavar="N", default=10, help="the best N; default: 10")
    how.add_argument(
        "--greedy", action="store_true", help="one by one, each by what it adds on validation rows"
    )
    parser.add_argument("--data", metavar="PATH", help="where the sweep's data file is now")
    options = parser.parse(arguments)

    from runner.cli.show import average_runs

    top = None if options.greedy else options.top
    average_runs(options.sweep, top, data=options.data, uri=options.uri)


def _sweeps(arguments: Sequence[str]) -> None:
    options = _Parser("sweeps", "List the sweeps, the newest first.").parse(arguments)

    from runner.cli.show import list_sweeps

    list_sweeps(options.uri)


def _rerun(arguments: Sequence[str]) -> int:
    parser = _Parser(
        "rerun",
        "Run again what is on record, and say whether the result is the same to the last bit.",
        "Ends with 0 if it is, 5 if something differs, 2 if there is nothing to compare with.",
    )
    parser.add_argument(
        "target",
        nargs="?",  # so that flags that are none are named first; see below
        metavar="RUN",
        help="a run, a sweep or a group of seeds, by its id, its name or how that begins; or a "
        "folder that runner export made",
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings to change: a new run, then"
    )
    parser.add_argument("--check", action="store_true", help="compares, and records no run")
    parser.add_argument(
        "--tolerance", type=_tolerance, metavar="T", help="admits relative differences up to T"
    )
    parser.add_argument("--sample", type=_count, metavar="N", help="takes N jobs of a sweep")
    parser.add_argument("--data", metavar="PATH", help="where the data file is now")
    parser.add_argument(
        "--allow-data-change",
        action="store_true",
        help="accepts data of other content; the result is then never called IDENTICAL",
    )
    parser.add_argument(
        "--in-place",
        action="store_true",
        help="records in the store of the original where --uri names another one than yours",
    )
    parser.add_uri()
    parser.usage = parser.format_usage().removeprefix("usage: ").replace("[RUN]", "RUN")
    options, unknown = parser.parse_known_intermixed_args(list(arguments))
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if options.target is None:
        parser.error("the following arguments are required: RUN")
    for override in options.overrides:
        if "=" not in override[1:]:
            parser.error(f"a setting must be key=value, got {override!r}")

    from runner.cli.rerun import repeat
    from runner.jobs.rerun import Options

    # Where the original's files are changes no run.
    key, changes, artifacts = "tracking.artifacts=", [], None
    for override in options.overrides:
        if override.startswith(key):
            artifacts = override.removeprefix(key)
        else:
            changes.append(override)
    options.overrides = tuple(changes)
    return repeat(Options(**vars(options), artifacts=artifacts))


def _predict(arguments: Sequence[str]) -> None:
    parser = _Parser("predict", "Predict raw rows with what a run has learned.")
    parser.add_argument(
        "run_id", metavar="RUN", help="a run, a sweep (its best run), or a folder of runner export"
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="rows as CSV, Parquet, NPZ, ...")
    parts = ("train", "val", "test")
    parser.add_argument("--part", choices=parts, help="predicts the run's own rows instead")
    parser.add_argument(
        "--threshold",
        metavar="T",
        help="of two classes: the last one from a probability of T on, "
        "or what is best on validation rows by a metric, such as f1_macro",
    )
    parser.add_argument("--data", metavar="PATH", help="where the run's own data file is now")
    parser.add_argument(
        "--out", metavar="FILE", help="a .csv or .parquet; by default CSV goes to the output"
    )
    options = parser.parse(arguments)

    from runner.cli.predict import predict

    predict(
        options.run_id,
        options.file,
        options.out,
        options.uri,
        part=options.part,
        threshold=options.threshold,
        data=options.data,
    )


def _export(arguments: Sequence[str]) -> None:
    parser = _Parser("export", "Write all that is needed to repeat a run to a folder of its own.")
    parser.add_argument("run_id", metavar="RUN", help="a run, or a sweep, whose best run it is")
    parser.add_argument("folder", metavar="FOLDER", help="a new one")
    options = parser.parse(arguments)

    from runner.cli.export import export

    export(options.run_id, options.folder, options.uri)


def _data(arguments: Sequence[str]) -> None:
    parser = _Parser("data", "Show how a table would be read, without training on it.")
    parser.add_argument("file", metavar="FILE", help="CSV and other text, Excel, Parquet, NPZ, ...")
    parser.add_argument(
        "overrides", nargs="*", default=[], metavar="key=value", help="such as data.target=age"
    )
    options = parser.parse_args(list(arguments))
    for override in options.overrides:
        if "=" not in override:
            parser.error(f"a setting must be key=value, such as data.target=age, got {override!r}")

    from runner.cli.data import show_data

    show_data(options.file, options.overrides)


def _sync(arguments: Sequence[str]) -> None:
    description = "Record the results that are kept on disk since their server did not answer."
    options = _Parser("sync", description).parse(arguments)

    from runner.report.table import say
    from runner.tracking import record_kept

    say(record_kept(options.uri))


def _ui(arguments: Sequence[str]) -> None:
    parser = _Parser("ui", "Show the runs in a browser, on this machine.")
    parser.add_argument("--port", type=_port, default=5000, help="default: 5000")
    options = parser.parse(arguments)

    from runner.tracking.ui import ui

    ui(options.uri, options.port, partial(print, flush=True))


COMMANDS: dict[str, Callable[[Sequence[str]], int | None]] = {
    "clean": _clean,
    "compare": _compare,
    "data": _data,
    "ensemble": _ensemble,
    "export": _export,
    "predict": _predict,
    "report": _report,
    "rerun": _rerun,
    "runs": _runs,
    "show": _show,
    "sweeps": _sweeps,
    "sync": _sync,
    "ui": _ui,
}


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
