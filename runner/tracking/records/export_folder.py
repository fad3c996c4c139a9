"""A run as a folder of its own, without any store: written, and read back as hostile data.

What one attaches to a paper: the config, what came out, where it ran, and how to repeat it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.config import FileData
from runner.system.errors import CommandError, MissingError, RecordError, shorten
from runner.system.files import atomic_file, disk_error
from runner.system.text import printable
from runner.tracking import final_metrics, read_file
from runner.tracking.records.metrics_table import parse_metrics, write_metrics
from runner.tracking.records.record import Original
from runner.tracking.records.source import digests_of
from runner.tracking.records.untrusted import CONFIG_LIMIT, TEXT_LIMIT, parse_json
from runner.training.run_files import CONFIG, ENVIRONMENT, MODEL, WEIGHTS, Metrics, sha256
from softnet import parameter_shapes

RUN, METRICS, README = "run.json", "metrics.csv", "README.md"
# Tags that say what the run is; the others are of the store that it came from.
_TAGS = (
    *("kind", "key", "varied", "data_digest", "split_digest"),
    *("weights_sha256", "files_sha256", "metrics_sha256", "environment", "code"),
)
_LIMITS = {CONFIG: CONFIG_LIMIT, ENVIRONMENT: TEXT_LIMIT, MODEL: TEXT_LIMIT}


class FolderSource:
    """A run in an exported folder.

    Parameters
    ----------
    folder : Path
        As `write_folder` left it.

    Raises
    ------
    RecordError
        If it is no such folder, or was edited.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = f"folder {printable(folder)}"
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
        failure = facts.get("failure")
        self.failure = None if failure is None else _text(facts, "failure")
        tags = facts.get("tags")
        if not isinstance(tags, dict):
            raise RecordError(f"{RUN}: tags: must be a group of texts, got {shorten(tags)}.")
        self.tags: Mapping[str, str] = {name: _text(tags, name) for name in tags}
        self.params: Mapping[str, str] = {}
        self.findings: tuple[str, ...] = ()
        self._metrics = parse_metrics(self.read(METRICS, TEXT_LIMIT), METRICS)

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of one of its files, of at most `limit` bytes."""
        return read_file(self._folder, name, limit)

    def metrics(self) -> Metrics:
        """Return every value of every metric, by name and step."""
        return self._metrics

    @property
    def final(self) -> Mapping[str, float]:
        """The metrics of the weights that were kept."""
        ordered = sorted(self._metrics.items(), key=lambda item: item[0][1])
        return final_metrics({name: values[-1] for (name, _), values in ordered})


def _text(facts: Mapping[str, Any], name: str) -> str:
    value = facts.get(name)
    if not isinstance(value, str):
        raise RecordError(f"{RUN}: {printable(name)}: must be text, got {shorten(value)}.")
    return value


def write_folder(original: Original, folder: Path) -> None:
    """Write all that is needed to repeat a run, and to compare.

    Parameters
    ----------
    original : Original
        A run that has ended.
    folder : Path
        Must not be there, or be empty.

    Raises
    ------
    CommandError
        If the folder holds something.
    RecordError
        If the record lacks something.
    StoreError
        If the store or the disk fails.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise CommandError(f"FOLDER: must be new or empty, got {shorten(str(folder))}.")
    except OSError as error:
        raise disk_error(folder, error) from error
    source = original.source
    model, _ = original.model()
    sizes = model.layer_sizes(original.experiment.model.hidden_layer_sizes)
    limits = {**_LIMITS, WEIGHTS: original.weights_limit(parameter_shapes(sizes))}
    files = {name: source.read(name, limit) for name, limit in limits.items()}
    for name, content in files.items():
        if digests_of(source).get(name, sha256(content)) != sha256(content):
            raise RecordError(f"{name}: was changed after the run; the run is not exported.")
    metrics, findings = original.metrics()
    if wrong := [*original.findings, *source.findings, *findings]:
        raise RecordError(f"{wrong[0]}; the run is not exported.")
    files[METRICS] = write_metrics(metrics)
    files[README] = _readme(original, folder.absolute().name).encode()
    facts = {
        "run_id": source.run_id,
        "name": source.name,
        "status": source.status,
        "failure": source.failure,
        "tags": {
            name: source.tags[name]
            for name in (f"runner.{tag}" for tag in _TAGS)
            if name in source.tags
        },
    }
    # Last, so that a folder with it is a whole one.
    files[RUN] = (json.dumps(facts, indent=1) + "\n").encode()
    for name, content in files.items():
        with atomic_file(folder / name) as file:
            file.write(content)


def rerun_command(folder: str, original: Original) -> str:
    """Return the command that repeats a run from a folder, for somebody to copy.

    Parameters
    ----------
    folder : str
        As a path from where the command is given.
    original : Original
        The run: if its data were a file, the command names that too.
    """
    # A bare name of 32 digits would be taken for an id.
    path = folder if Path(folder).is_absolute() else f"./{folder}"
    option = " --data PATH" if isinstance(original.experiment.data, FileData) else ""
    return f"runner rerun {shlex.quote(printable(path))}{option}"


def _readme(original: Original, folder: str) -> str:
    source, data = original.source, original.experiment.data
    name, run_id = _plain_markdown(source.name) or "a run", _plain_markdown(source.run_id)
    digest = _plain_markdown(source.tags.get("runner.data_digest", ""))
    own = isinstance(data, FileData)
    told = (
        "a file that is not part of this folder; name yours in place of PATH. It is taken only if "
        "its content has the digest below"
        if own
        else f"`{data.name}`, which the program brings along or makes"
    )
    return f"""# {name}

Run {run_id} of softnet-runner, which trains a neural network in NumPy. To repeat
it, install softnet-runner and say, in the folder that holds this one:

    {rerun_command(folder, original)}

The result is compared with the one here: every metric at every step, and the weights, to the last
bit.

- Data: {told}.
- SHA-256 of the data's content: {digest}

| file | |
|---|---|
| {CONFIG} | what was run |
| {WEIGHTS} | the parameters, as numpy.load reads them |
| {MODEL} | scaling, encoding and class names |
| {METRICS} | every value of every metric |
| {ENVIRONMENT} | versions, processor and code that it ran with |
| {RUN} | the run's id, its end, and digests of all this |
"""


def _plain_markdown(text: str) -> str:
    """Write text from elsewhere so that a page shows it: no link, no picture, no tag."""
    return re.sub(r"([^\w\s.,=/+-])", r"\\\1", printable(text))
