"""How a person's file was read, in words: what its columns are, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runner.system.formatting import count
from runner.system.text import elide, printable

if TYPE_CHECKING:
    from runner.training.prepare import Prepared

_KINDS = {
    "number": ("number", "numbers"),
    "words": ("column of words", "columns of words"),
    "date": ("date", "dates"),
}
_LONGEST = 300
_MOST_CLASSES = 6


def reading_lines(prepared: Prepared) -> list[str]:
    """Describe in at most four lines how the file of a run was read.

    Examples
    --------
    ``891 rows; 5 numbers, 2 columns of words; left out: PassengerId (identifier)``
    """
    dataset, reading = prepared.dataset, prepared.dataset.reading
    if reading is None:
        return []
    left_out = {name: why for name, why in prepared.left_out.items() if name in reading.kinds}
    kinds = [kind for name, kind in reading.kinds.items() if name not in left_out]
    columns = ", ".join(
        f"{kinds.count(kind):,} {words[kinds.count(kind) > 1]}"
        for kind, words in _KINDS.items()
        if kind in kinds
    )
    first = f"{dataset.source.rpartition('/')[2]}: {count(len(dataset.y), 'row')}; {columns}"
    if left_out:
        first += f"; left out: {', '.join(f'{name} ({why})' for name, why in left_out.items())}"
    lines = [first]
    missing = [f"{n:,} in {name}" for name, n in reading.missing.items() if name not in left_out]
    if missing:
        filled = "the median and a feature that says so stand for numbers, '(missing)' for words"
        lines.append(f"missing: {', '.join(missing)} of {len(dataset.y):,}; {filled}")
    counts = np.bincount(dataset.y, minlength=len(dataset.class_names))
    shares = [
        f"{name} ({100 * n / counts.sum():.0f} %)"
        for name, n in zip(dataset.class_names, counts.tolist(), strict=True)
    ]
    shown = ", ".join(shares[:_MOST_CLASSES])
    more = len(shares) - _MOST_CLASSES
    last = f"{len(shares):,} classes: {shown}"
    last += f" and {more:,} more" if more > 0 else ""
    if reading.n_without_target:
        last += f"; {count(reading.n_without_target, 'row')} without a target left out"
    lines.append(last)
    if reading.notes:
        lines.append("; ".join(dict.fromkeys(reading.notes)))
    return [elide(printable(line), _LONGEST) for line in lines]
