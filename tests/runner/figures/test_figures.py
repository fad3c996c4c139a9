"""All figures of runs that were really trained."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.config.schema import Experiment
from runner.figures import draw
from runner.training.prepare import prepare, require_fit
from runner.training.train import train
from softnet import Network
from tests.runner.figures.pictures import assert_whole

OF_LABELS = {"learning_curve.png", "predictions.png"}
ALWAYS = OF_LABELS | {"confusion_matrix.png"}
SHARES = {"name": "stratified", "train": 0.6, "val": 0.2, "test": 0.2, "seed": 0}
BLOBS = {"name": "blobs", "n_samples": 60, "n_classes": 3, "noise": 1.0, "seed": 0}


def experiment(**changes: object) -> Experiment:
    training = {
        "steps": 20, "epochs": None, "batch_size": 4, "sampling": "shuffled", "evaluate_every": 5,
        "early_stopping": {"metric": "val/loss", "patience": 2, "min_delta": 0.0},
    }  # fmt: skip
    settings = {
        "name": "a [run] of $mine$",
        "data": {"name": "tutorial", "scaling": "none"},
        "split": {"name": "contiguous", "train": 8, "val": 4, "test": 4, "seed": 0},
        "model": {"hidden_layer_sizes": []},
        "optimizer": {"name": "sgd", "learning_rate": 0.1},
        "schedule": {"name": "constant"},
        "training": training,
        **changes,
    }
    return Experiment.from_dict(settings)


def drawn(chosen: Experiment, folder: Path) -> set[str]:
    prepared = prepare(chosen)
    (result,) = train(prepared, [chosen])
    network = Network.from_weights(result.weights, require_fit(chosen, prepared).network)

    def predict_proba(X: NDArray[np.floating]) -> NDArray[np.floating]:
        return network.predict(X)[0]

    draw(prepared, result, predict_proba, folder, chosen.name)
    for path in folder.iterdir():
        assert_whole(path)
    return {path.name for path in folder.iterdir()}


def test_a_linear_model_shows_its_weights(tmp_path: Path) -> None:
    assert drawn(experiment(), tmp_path / "made" / "here") == ALWAYS | {"weights.png"}


@pytest.mark.parametrize(("n_features", "plane"), [(2, {"decision_regions.png"}), (3, set())])
def test_two_numbers_show_the_plane(n_features: int, plane: set[str], tmp_path: Path) -> None:
    chosen = experiment(
        data={**BLOBS, "n_features": n_features, "scaling": "standardize"},
        split=SHARES,
        model={"hidden_layer_sizes": [4]},
    )
    assert drawn(chosen, tmp_path) == ALWAYS | plane


@pytest.mark.parametrize(
    ("cells", "plane"), [(["red", "blue"], set()), (["1", "2"], {"decision_regions.png"})]
)
def test_a_text_column_has_no_place_on_a_plane(
    cells: list[str], plane: set[str], tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    rows = [f"{i},{cells[i % 3 > 0]},{'yes' if i % 2 else 'no'}" for i in range(30)]
    table.write_text("\n".join(["length,colour,label", *rows]), "utf-8")
    chosen = experiment(
        data={"name": "file", "path": str(table), "target": "label", "scaling": "none"},
        split={**SHARES, "val": 0.0, "test": 0.0},
        training={
            "steps": 2, "epochs": None, "batch_size": 4, "sampling": "shuffled",
            "evaluate_every": 1, "early_stopping": None,
        },
    )  # fmt: skip
    assert drawn(chosen, tmp_path / "figures") == ALWAYS | {"weights.png"} | plane


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("price", OF_LABELS | {"weights.png"}),
        (["a", "b"], OF_LABELS | {"weights.png"}),
    ],
)
def test_quantities_and_labels_have_figures_of_their_own(
    target: object, expected: set[str], tmp_path: Path
) -> None:
    rows = [f"{i % 7},{i * 1.5},{i % 2},{int(i % 7 > 2)}" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["x,price,a,b", *rows]), "utf-8")
    data = {"name": "file", "path": str(tmp_path / "t.csv"), "target": target}
    chosen = experiment(data=data, split={**SHARES, "name": "shuffled"})
    assert drawn(chosen, tmp_path / "figures") == expected
