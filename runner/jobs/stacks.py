"""Which jobs train together: those of equal shape, cut to what the cache likes.

The cuts decide how fast a sweep is, never its results. Knows shapes, not processes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runner.jobs.plan import Plan, Shape
from softnet import StackSettings

# Measured on cores with 1 MiB of L2: a step of 64-64-32-10 with batches of 32 is fastest with 20 to
# 40 runs (3 to 6 MiB by the count below), one of 4-2 with a thousand. A network that fills the
# cache alone gains nothing from company.
_CACHE_BYTES = 4 << 20
_MOST_RUNS = 1024
# Values, gradients, scratch and an optimizer's memory.
_COPIES_OF_PARAMETERS = 4
# Each worker gets several stacks, so that none of them is long alone at the end; but a stack of
# very few runs costs each of them more.
_STACKS_PER_WORKER = 6
_FEW = 16

Stack = tuple[int, ...]


def stacks(plan: Plan, positions: Iterable[int], n_workers: int) -> list[Stack]:
    """Put jobs of equal shape together, for some workers to share.

    None of the positions is of a job with a problem. The largest amount of work comes first.
    """
    by_shape: dict[Shape, list[int]] = {}
    n_jobs = 0
    for position in positions:
        shape = plan.jobs[position].shape
        if shape is None:
            raise ValueError(f"job {position} has no shape")
        by_shape.setdefault(shape, []).append(position)
        n_jobs += 1
    fair = max(
        -(-n_jobs // (n_workers * _STACKS_PER_WORKER)), min(_FEW, -(-n_jobs // n_workers)), 1
    )
    found: list[tuple[float, Stack]] = []
    for shape, members in by_shape.items():
        most = min(fair, runs_per_stack(shape.settings))
        n_stacks = -(-len(members) // most)
        for number in range(n_stacks):
            # Even cuts: 101 runs are better off as 51 and 50 than as 100 and 1.
            first, last = (len(members) * n // n_stacks for n in (number, number + 1))
            work = shape.settings.n_steps * shape.settings.network.n_parameters
            found.append((float(work * (last - first)), tuple(members[first:last])))
    found.sort(key=lambda pair: -pair[0])
    return [members for _, members in found]


def runs_per_stack(settings: StackSettings) -> int:
    """Return how many runs of a shape share the cache well."""
    rows = settings.batch_size * settings.network.n_units * 2  # values and their gradients
    count = settings.network.n_parameters * _COPIES_OF_PARAMETERS + rows
    n_bytes = count * np.dtype(settings.dtype).itemsize
    return min(max(_CACHE_BYTES // n_bytes, 1), _MOST_RUNS)
