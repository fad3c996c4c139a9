"""From names in the config to softnet objects: the one place where the two vocabularies meet.

Knows the config and softnet's public names; neither data files nor MLflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from softnet import RunSettings, StackSettings, steps_per_epoch

if TYPE_CHECKING:
    from runner.config import Experiment


def stack_settings(
    experiment: Experiment, n_features: int, n_classes: int, n_train: int
) -> StackSettings:
    """Return what all runs of a stack share.

    A budget in epochs is turned into steps here, and so is the interval between evaluations,
    which counts in the unit of the budget.
    """
    training = experiment.training
    unit = 1 if training.epochs is None else steps_per_epoch(n_train, training.batch_size)
    return StackSettings(
        layer_sizes=(n_features, *experiment.model.hidden_layer_sizes, n_classes),
        n_steps=training.budget * unit,
        batch_size=training.batch_size,
        evaluate_every=training.evaluate_every * unit,
        activation=experiment.model.activation,
        optimizer=experiment.optimizer.name,
        sampling=training.sampling,
        dtype=experiment.dtype,
    )


def run_settings(experiment: Experiment) -> RunSettings:
    """Return what a run of a stack has for itself."""
    stopping = experiment.training.early_stopping
    return RunSettings(
        seed=experiment.seed,
        optimizer=experiment.optimizer.settings(),
        schedule=experiment.schedule.settings(),
        initializer=experiment.model.initializer,
        initializer_scale=experiment.model.initializer_scale,
        early_stopping=None if stopping is None else stopping.settings(),
    )
