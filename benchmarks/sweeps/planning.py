"""What the plan of ten thousand jobs takes: from Hydra's grammar to the lines that are written.

    python -m benchmarks.sweeps.planning time 10000

Each figure is taken in a process that does nothing else, since measuring memory costs time.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
import tracemalloc
from typing import Literal

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
from benchmarks.sweeps.processes import at_most, judged
from runner.config.compose import Job, compose
from runner.jobs.plan import Plan, make_plan

TIME_LIMIT_MS = 2.0
MEMORY_LIMIT_KIB = 20.0
N_RATES = 100
Figures = dict[str, float]
What = Literal["time", "memory"]


def plan_of(n_jobs: int) -> tuple[list[Job], Plan, Figures]:
    """Plan a sweep over learning rates and seeds, and note the seconds of each part.

    The composed jobs stay with whoever asked, as they do in the command.
    """
    rates = ",".join(f"{0.001 * (number + 1):g}" for number in range(N_RATES))
    seeds = f"seed=range(0,{max(n_jobs // N_RATES, 1)})"
    words = ["--multirun", "experiment=tutorial", f"optimizer.learning_rate={rates}", seeds]
    marks = [time.perf_counter()]
    jobs = compose(words, help_template="")
    marks.append(time.perf_counter())
    assert jobs is not None
    plan = make_plan(jobs)
    marks.append(time.perf_counter())
    plan.lines()
    marks.append(time.perf_counter())
    assert len(plan.jobs) == len(jobs)
    names = ("compose", "make_plan", "lines")
    return (
        jobs,
        plan,
        {name: end - start for name, start, end in zip(names, marks, marks[1:], strict=False)},
    )


def figures(what: What, n_jobs: int) -> Figures:
    """Measure in this process."""
    plan_of(N_RATES)  # loads and keeps what one plan needs as much as another
    if what == "time":
        _, plan, seconds = plan_of(n_jobs)
        return {name: 1e3 * value / len(plan.jobs) for name, value in seconds.items()}
    tracemalloc.start()
    gc.collect()
    before_bytes, _ = tracemalloc.get_traced_memory()
    jobs, plan, _ = plan_of(n_jobs)
    gc.collect()
    after_bytes, peak_bytes = tracemalloc.get_traced_memory()
    n_kept = len(jobs) * 1024
    return {"kept": (after_bytes - before_bytes) / n_kept, "peak": peak_bytes / n_kept}


def in_a_process(what: What, n_jobs: int) -> Figures:
    command = [sys.executable, "-m", "benchmarks.sweeps.planning", what, str(n_jobs)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: Figures = json.loads(output.splitlines()[-1])
    return found


def planning(n_jobs: int) -> bool:
    """Print what a planned job costs, and tell whether the limits hold."""
    took, memory = in_a_process("time", n_jobs), in_a_process("memory", n_jobs)
    total_ms = sum(took.values())
    print(f"| planning {n_jobs:,} jobs | per job |\n|---|---:|")
    for name, milliseconds in took.items():
        print(f"| `{name}` | {milliseconds:.3f} ms |")
    print(f"| memory at its highest | {memory['peak']:.1f} KiB |")
    judged()
    in_time = at_most("planning a job", total_ms, TIME_LIMIT_MS, " ms")
    in_room = at_most("memory kept for a job", memory["kept"], MEMORY_LIMIT_KIB, " KiB")
    return in_time and in_room


if __name__ == "__main__":
    kind: What = "memory" if sys.argv[1] == "memory" else "time"
    print(json.dumps(figures(kind, int(sys.argv[2]))))
