"""Writes and reads a run as a folder that needs no store: what one attaches to a paper."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config.data import FileData
from runner.system.errors import CommandError, MissingError, RecordError, shorten
from runner.system.files import atomic_file, disk_error
from runner.system.paths import require_targets
from runner.system.text import printable
from runner.tracking import MEMBERS, final_metrics, read_file
from runner.tracking.records.untrusted import CONFIG_LIMIT, TEXT_LIMIT, parse_json
from runner.training import run_files
from runner.training.run_files import CONFIG, CONFIG_YAML, ENVIRONMENT, MODEL, WEIGHTS, Metrics

if TYPE_CHECKING:
    from runner.tracking.records.record import Record

RUN, METRICS, README = "run.json", "metrics.csv", "README.md"
# The folder for the members of an ensemble, each in one of its own.
MEMBERS_FOLDER = "members"
# Tags that say what the run is; the others belong to the store that it came from.
_TAGS = {"runner.kind", "runner.varied", MEMBERS, run_files.RECORD}
_TAGS |= {name for part in run_files.PARTS.values() for name in part}
_LIMITS = dict.fromkeys((CONFIG, CONFIG_YAML), CONFIG_LIMIT)
_LIMITS |= dict.fromkeys((ENVIRONMENT, MODEL), TEXT_LIMIT)
_HEADER = ["metric", "step", "value"]
# Steps of up to 63 bits, as stores keep them.
_STEP = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|[-+]?(nan|inf)", re.ASCII)


class ExportedRun:
    """A run in a folder that `write_folder` left, with the attributes of a `StoredRun`.

    Raises `RecordError` if it is no such folder, or its list of facts or metrics cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.label = f"folder {printable(folder)}"
        try:
            content = parse_json(self.read(RUN, TEXT_LIMIT), RUN)
        except MissingError:
            raise RecordError(
                f"{printable(folder)}: must be a folder that runner export made, got one in which "
                f"{RUN} is missing."
            ) from None
        facts = content if isinstance(content, dict) else {}
        texts = {name: _text(facts, name) for name in ("run_id", "name", "status")}
        self.run_id, self.name, self.status = texts.values()
        self.failure = None if facts.get("failure") is None else _text(facts, "failure")
        tags = facts.get("tags")
        if not isinstance(tags, dict):
            raise RecordError(f"{RUN}: tags: must be a group of texts, got {shorten(tags)}.")
        self.tags: Mapping[str, str] = {name: _text(tags, name) for name in tags}
        self.params: Mapping[str, str] = {}
        self.metrics = parse_metrics(self.read(METRICS, TEXT_LIMIT), METRICS)
        by_step = sorted(self.metrics.items(), key=lambda item: item[0][1])
        self.final = final_metrics({name: values[-1] for (name, _), values in by_step})

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of one of its files, of at most `limit` bytes."""
        return read_file(self.folder, name, limit)


def _text(facts: Mapping[str, Any], name: str) -> str:
    value = facts.get(name)
    if not isinstance(value, str):
        raise RecordError(f"{RUN}: {printable(name)}: must be text, got {shorten(value)}.")
    return value


def write_folder(record: Record, folder: Path) -> None:
    """Write all that is needed to repeat a run that has ended, and to compare.

    Raises `CommandError` if the folder holds something. Raises `RecordError` if the record lacks
    something, or was edited.
    """
    _require_new(folder)
    shapes = record.model().network(record.experiment).weight_shapes
    limits = {**_LIMITS, WEIGHTS: record.weights_limit(shapes)}
    files = record.read_files(limits)
    files[METRICS] = write_metrics(record.metrics())
    record.require_unedited("; the run is not exported")
    files[README] = _readme(record, folder.absolute().name).encode()
    facts = {
        "run_id": record.run_id,
        "name": record.name,
        "status": record.status,
        "failure": record.failure,
        "tags": {name: value for name, value in record.tags.items() if name in _TAGS},
    }
    _write(folder, files, facts)


def write_average(records: Sequence[Record], folder: Path) -> None:
    """Write what says that a model is the average of some runs; `write_folder` writes each.

    A `CommandError` says that the folder holds something.
    """
    _require_new(folder)
    run_ids = [record.run_id for record in records]
    facts = {
        "run_id": records[0].tags.get("mlflow.parentRunId", run_ids[0]),
        "name": f"average of {len(run_ids)}",
        "status": "FINISHED",
        "failure": None,
        "tags": {"runner.kind": "group", MEMBERS: json.dumps(run_ids)},
    }
    readme = f"""# The average of {len(run_ids)} runs

They are runs of softnet-runner, one for each split of the data and seed, in `{MEMBERS_FOLDER}/`.
`runner predict` averages what they predict. To repeat them, install softnet-runner and say, in the
folder that holds this one:

    {rerun_command(folder.absolute().name, records[0])}
"""
    _write(folder, {METRICS: write_metrics({}), README: readme.encode()}, facts)


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Have a folder that is new or empty for the block; an exception leaves it as it was."""
    _require_new(folder)
    was_there = folder.exists()
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            if not was_there:
                folder.rmdir()
        raise


def _require_new(folder: Path) -> None:
    require_targets(folder)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise CommandError(f"FOLDER: must be new or empty, got {shorten(str(folder))}.")
    except OSError as error:
        raise disk_error(folder, error) from error


def _write(folder: Path, files: dict[str, bytes], facts: Mapping[str, object]) -> None:
    # Last, so that a folder with it is a whole one.
    files[RUN] = (json.dumps(facts, indent=1) + "\n").encode()
    for name, content in files.items():
        with atomic_file(folder / name) as file:
            file.write(content)


def rerun_command(folder: str, record: Record) -> str:
    """Return the command that repeats a run from a folder, a path from where it is given.

    If the data of the run were a file, the command names that too.
    """
    # A bare name of 32 digits would be taken for an id.
    path = folder if Path(folder).is_absolute() else f"./{folder}"
    option = " --data PATH" if isinstance(record.experiment.data, FileData) else ""
    return f"runner rerun {shlex.quote(printable(path))}{option}"


def _readme(record: Record, folder: str) -> str:
    data = record.experiment.data
    name, run_id = _plain_markdown(record.name) or "a run", _plain_markdown(record.run_id)
    digest = _plain_markdown(record.tags.get("runner.data_digest", ""))
    source = (
        "a file that is not part of this folder; name yours in place of PATH. It is taken only if "
        "its content has the digest below"
        if isinstance(data, FileData)
        else f"`{data.name}`, which the program brings along or makes"
    )
    return f"""# {name}

Run {run_id} of softnet-runner, which trains a neural network in NumPy. To repeat
it, install softnet-runner and say, in the folder that holds this one:

    {rerun_command(folder, record)}

The result is compared with the one here: every metric at every step, and the weights, to the last
bit.

- Data: {source}.
- SHA-256 of the data's content: {digest}

| file | |
|---|---|
| {CONFIG} | what was run |
| {CONFIG_YAML} | the same, easier to read |
| {WEIGHTS} | the parameters, as numpy.load reads them |
| {MODEL} | scaling, encoding and class names |
| {METRICS} | every value of every metric |
| {ENVIRONMENT} | versions, processor and code that it ran with |
| {RUN} | the run's id, its end, and digests of all this |
"""


def _plain_markdown(text: str) -> str:
    """Write text from elsewhere so that Markdown shows it: no link, no picture, no tag."""
    return re.sub(r"([^\w\s.,=/+-])", r"\\\1", printable(text))


def write_metrics(metrics: Metrics) -> bytes:
    """Write a CSV table with a line for each value, by step; numbers with all their digits."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    for (name, step), values in sorted(metrics.items(), key=lambda item: (item[0][1], item[0][0])):
        writer.writerows([name, step, repr(value)] for value in values)
    return text.getvalue().encode(errors="backslashreplace")


def parse_metrics(content: bytes, file: str) -> Metrics:
    """Read what `write_metrics` wrote; a `RecordError` names the `file` and the line."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordError(f"{file}, byte {error.start + 1}: must be UTF-8 text.") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    metrics: dict[tuple[str, int], list[float]] = {}

    def refused(rule: str, got: str) -> RecordError:
        line = f"{file}, line {max(rows.line_num, 1):,}"
        return RecordError(f"{line}: {rule}, got {shorten(got)}.")

    form = f"must be {','.join(_HEADER)}"
    try:
        if (header := next(rows, [])) != _HEADER:
            raise refused(form, ",".join(header))
        for row in rows:
            if len(row) != len(_HEADER):
                raise refused(form, ",".join(row))
            name, step, value = row
            if not _STEP.fullmatch(step):
                raise refused("the step must be a whole number of at most 19 digits", step)
            if not _NUMBER.fullmatch(value):
                raise refused("the value must be a number", value)
            metrics.setdefault((name, int(step)), []).append(float(value))
    except csv.Error as error:
        raise refused(form, str(error)) from None
    return {at: tuple(values) for at, values in metrics.items()}
