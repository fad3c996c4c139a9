"""The tutorial's config as plain values, to change and to check."""

import copy
from typing import Any

from runner.config.schema import Experiment

PLAIN: dict[str, Any] = {
    "name": "tutorial",
    "seed": 0,
    "dtype": "float64",
    "task": "classification",
    "data": {"name": "tutorial", "scaling": "none"},
    "split": {"name": "contiguous", "train": 8, "val": 4, "test": 4, "seed": 0},
    "model": {
        "hidden_layer_sizes": [],
        "activation": "relu",
        "initializer": "normal",
        "initializer_scale": 1.0,
        "dropout": 0.0,
        "normalization": "none",
        "residual": False,
        "number_embedding": "none",
        "word_embedding": None,
        "input_scale": False,
        "n_members": 1,
        "share": "none",
    },
    "optimizer": {
        "name": "sgd",
        "learning_rate": 0.04,
        "weight_decay": 0.0,
        "clip_norm": None,
        "momentum": 0.0,
        "nesterov": False,
    },
    "schedule": {"name": "constant", "warmup_steps": 0},
    "training": {
        "steps": 4000,
        "epochs": None,
        "batch_size": 4,
        "sampling": "with_replacement",
        "evaluate_every": 100,
        "early_stopping": None,
        "averaging": None,
        "loss": None,
        "class_weight": None,
        "label_smoothing": 0.0,
        "init_from": None,
    },
    "tracking": {
        "uri": None,
        "experiment": None,
        "artifacts": None,
        "figures": True,
        "model": True,
        "register": None,
        "durability": "full",
    },
    "sweep": {
        "name": None,
        "metric": "val/loss",
        "n_workers": None,
        "fail_fast": False,
        "retry_failed": True,
        "restart": False,
        "dry_run": False,
    },
}


def changed(**settings: object) -> dict[str, Any]:
    """Return the tutorial's config with settings changed; ``a__b=1`` sets ``a.b``."""
    plain = copy.deepcopy(PLAIN)
    for key, value in settings.items():
        *groups, name = key.split("__")
        section = plain
        for group in groups:
            section = section[group]
        section[name] = value
    return plain


def experiment(**settings: object) -> Experiment:
    return Experiment.from_dict(changed(**settings))
