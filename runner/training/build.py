"""From names in the config to softnet objects: the one place where the two vocabularies meet.

Knows the config and softnet's public names; neither data files nor MLflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from softnet import INITIALIZERS, RunSettings, StackSettings, mlp, steps_per_epoch

if TYPE_CHECKING:
    from runner.config import Experiment


def stack_settings(
    experiment: Experiment, n_features: int, n_classes: int, n_train: int
) -> StackSettings:
    """Return what all runs of a stack share.

    A budget in epochs is turned into steps here, and so is the interval between evaluations,
    which counts in the unit of the budget.
    """
    training, model = experiment.training, experiment.model
    unit = 1 if training.epochs is None else steps_per_epoch(n_train, training.batch_size)
    return StackSettings(
        network=mlp((n_features, *model.hidden_layer_sizes, n_classes), model.activation),
        n_steps=training.budget * unit,
        batch_size=training.batch_size,
        evaluate_every=training.evaluate_every * unit,
        optimizer=experiment.optimizer.name,
        sampling=training.sampling,
        dtype=experiment.dtype,
    )


def run_settings(experiment: Experiment) -> RunSettings:
    """Return what a run of a stack has for itself."""
    model, stopping = experiment.model, experiment.training.early_stopping
    return RunSettings(
        seed=experiment.seed,
        optimizer=experiment.optimizer.settings(),
        schedule=experiment.schedule.settings(),
        initializer=INITIALIZERS[model.initializer](model.initializer_scale),
        early_stopping=None if stopping is None else stopping.settings(),
    )
