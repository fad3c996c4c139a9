"""How a person's file was read, in words: the kinds of its columns, and their features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from runner.report.table import LONGEST_NAME, columns_of, printing
from runner.system.formatting import count
from runner.system.text import elide, first_fitting
from runner.training.cells import CLOCKS

if TYPE_CHECKING:
    from runner.config.schema import Experiment
    from runner.training.data import columns
    from runner.training.data.files import Described
    from runner.training.prepare import Prepared

_KINDS = {
    "number": ("number", "numbers"),
    "words": ("column of words", "columns of words"),
    "date": ("date", "dates"),
}
_FILLED = {
    False: "the median and a feature that says so stand for numbers",
    True: "'(missing)' stands for words",
}
_LONGEST, _LONGEST_EXAMPLES = 300, 20


def training_notes(experiment: Experiment, prepared: Prepared) -> list[str]:
    """Say of a training what a person might not expect."""
    training, notes = experiment.training, []
    if training.batch_size == len(prepared.split.train):
        notes.append(f"each batch has all {training.batch_size:,} training rows")
    if training.class_weight is not None:
        notes.append("class weights shift the probabilities that are predicted")
    return notes


def reading_lines(experiment: Experiment, prepared: Prepared) -> list[str]:
    """Describe in at most four lines how the file of a run was read.

    Examples
    --------
    ``891 rows; 5 numbers, 2 columns of words; left out: PassengerId (identifier)``
    """
    dataset, reading = prepared.dataset, prepared.dataset.reading
    if reading is None:
        return training_notes(experiment, prepared)
    out = () if prepared.data is None else prepared.data.left_out
    left_out = [f"{name} ({why})" if (why := prepared.left_out.get(name)) else name for name in out]
    kinds = prepared.kinds
    counts = Counter(kinds.values())
    columns = ", ".join(
        f"{counts[kind]:,} {words[counts[kind] > 1]}"
        for kind, words in _KINDS.items()
        if kind in counts
    )
    source = dataset.source.rpartition("/")[2]
    first = f"{source}: {_rows(len(dataset.y), prepared.n_given)}; {columns}"
    if left_out:
        first += f"; left out: {', '.join(left_out)}"
    lines = [first]
    missing = {name: n for name, n in reading.missing.items() if name in kinds}
    if missing:
        cells = elide(", ".join(f"{n:,} in {name}" for name, n in missing.items()), _LONGEST // 2)
        are_words = {kinds[name] == "words" for name in missing}
        filled = " and ".join(text for words, text in _FILLED.items() if words in are_words)
        if experiment.training.init_from is not None:
            filled = "filled as in the run whose weights are gone on from"
        lines.append(f"missing: {cells} of {len(dataset.y):,}; {filled}")
    lines.append(prepared.learned)
    if notes := dict.fromkeys((*reading.notes, *training_notes(experiment, prepared))):
        lines.append("; ".join(notes))
    return [elide(line, _LONGEST) for line in lines]


COLUMN_FACTS = ("column", "kind", "missing", "distinct", "becomes", "examples")


def column_rows(described: Described, longest: int = _LONGEST) -> list[tuple[str, ...]]:
    """Return the `COLUMN_FACTS` of each column of a file: its values, and the features of it.

    As many examples are listed as fit in `longest` characters.
    """
    return [
        (
            elide(column.name, LONGEST_NAME),
            "true or false" if column.is_truth else column.kind,
            f"{int(column.is_missing.sum()):,}",
            f"{len(np.unique(column.values[~column.is_missing])):,}",
            _becomes(column, described),
            _listed(_examples(column), longest),
        )
        for column in described.columns
    ]


def print_columns(file: str, described: Described) -> None:
    """Print a row for each column of a file, and what a person might not expect."""
    rows = column_rows(described, _LONGEST_EXAMPLES)
    with printing() as printer:
        n_rows = _rows(described.n_rows, {"test": described.n_test} if described.n_test else {})
        printer.line(f"{file}: {n_rows}, {count(len(rows), 'column')}")
        *needed, examples = columns_of(COLUMN_FACTS, rows, right=("missing", "distinct"))
        printer.table(needed, [examples])
        for line in described.learned.splitlines():
            printer.line(line)
        for note in dict.fromkeys(described.notes):
            printer.line(note)


def _rows(n_rows: int, given: Mapping[str, int]) -> str:
    """Count rows, those of other files or arrays by the part that they are given for."""
    parts = [f" + {count(n, f'{part} row')}" for part, n in given.items()]
    return count(n_rows - sum(given.values()), "row") + "".join(parts)


def _examples(column: columns.Column) -> list[str]:
    values = column.raw_values()[~column.is_missing]
    first = dict.fromkeys(values[:1_000].tolist())
    if column.is_truth:
        return [column.words[int(value)] for value in first]
    if column.form in CLOCKS:
        return [str(value.time()) for value in first][:3]
    texts = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in first]
    return [text.removesuffix(" 00:00:00") for text in texts[:3]]


def _listed(examples: Sequence[str], longest: int) -> str:
    if len(whole := ", ".join(examples)) <= longest:
        return whole
    shown, more = first_fitting(examples, longest - 3), ", …"
    return elide(", ".join(shown), longest - 3) + more * (len(shown) < len(examples))


def _becomes(column: columns.Column, described: Described) -> str:
    if column.name in described.uses:
        return described.uses[column.name]
    n_features = 1
    if column.kind == "words":
        n_features = min(len(column.words), described.settings.max_categories)
    elif column.kind == "date":
        return "hour" if column.form in CLOCKS else "days, month, weekday, hour"
    flagged = column.kind == "number" and bool(column.is_missing.any())
    return count(n_features + flagged, "feature") + (", one for missing" if flagged else "")
