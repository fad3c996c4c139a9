"""The app that Hydra's and MLflow's own pages lead to: the peer of a whole sweep.

One job trains one network with softnet alone, and records by MLflow's fluent calls, a call for
each metric. It is copied beside a config and run there, without `runner`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import hydra
import mlflow
import numpy as np
from omegaconf import DictConfig

from runner.training.data.builtin import tutorial_table
from softnet import INITIALIZERS, SGD, Examples, RunSettings, StackSettings, Training, mlp


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    table = tutorial_table()
    settings = StackSettings(
        mlp([4, 2]),
        config.steps,
        config.batch_size,
        config.evaluate_every,
        sampling=config.sampling,
    )
    run = RunSettings(
        config.seed,
        SGD.Settings(config.learning_rate),
        initializer=INITIALIZERS[config.initializer](),
    )
    examples = {
        "train": Examples(table.X[:8], table.y[:8]),
        "val": Examples(table.X[8:12], table.y[8:12]),
    }
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    mlflow.set_experiment("naive")
    with mlflow.start_run():
        mlflow.log_params(dict(config))
        training = Training(settings, [run], examples)
        for record in training:
            for name, values in record.metrics.items():
                mlflow.log_metric(name, float(values[0]), step=record.step)
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder, "weights.npz")
            np.savez(weights, **training.trained_network().weights())
            mlflow.log_artifact(str(weights))


if __name__ == "__main__":
    main()
