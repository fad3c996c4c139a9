"""How many seeds of the tutorial's experiment succeed at which learning rate: one stack of runs.

A seed succeeds if it ends at 100 % on the validation rows and on the test rows. The table stands
in `docs/tutorial.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)
from runner.config.compose import compose
from runner.config.schema import Experiment
from runner.training.prepare import prepare
from runner.training.train import Result, train

N_SEEDS = 100
LEARNING_RATES = tuple(0.01 * 2**power for power in range(12))


def train_all(learning_rates: Sequence[float]) -> dict[float, list[Result]]:
    """Train `experiment=tutorial` with each rate and each seed; return the results by rate."""
    jobs = compose(["experiment=tutorial"], help_template="")
    assert jobs is not None
    (job,) = jobs
    optimizer = job.config["optimizer"]
    experiments = [
        Experiment.from_dict(
            job.config | {"seed": seed, "optimizer": optimizer | {"learning_rate": rate}}
        )
        for rate in learning_rates
        for seed in range(N_SEEDS)
    ]
    results = iter(train(prepare(experiments[0]), experiments))
    return {rate: [next(results) for _ in range(N_SEEDS)] for rate in learning_rates}


def is_perfect(result: Result) -> bool:
    """Tell whether a run ended at 100 % on the validation rows and on the test rows."""
    return result.final["val/accuracy"] == result.final["test/accuracy"] == 1.0


def table(results: dict[float, list[Result]]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"| `optimizer.learning_rate` | seeds of {N_SEEDS} at 100 % | mean `val/loss` |"
    yield "|---:|---:|---:|"
    for rate, runs in results.items():
        loss = sum(run.final["val/loss"] for run in runs) / N_SEEDS
        yield f"| {rate:g} | {sum(map(is_perfect, runs))} | {loss:.3f} |"


def main() -> None:
    """Train and print."""
    print("\n".join(table(train_all(LEARNING_RATES))))


if __name__ == "__main__":
    main()
