"""The model as MLflow loads it: raw rows in; out the probability of each class, or a quantity.

Every logged model carries a copy of this file, of `softnet`, and of the three modules of `runner`
that preprocessing needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from runner.system.errors import DataError
from runner.training.preprocessing import Preprocessing
from softnet import Network, NetworkSettings


class ServedModel(PythonModel):
    """The average of trained networks, mostly one, each behind its preprocessing."""

    def load_context(self, context: PythonModelContext) -> None:
        """Rebuild the network from the model's own files."""
        settings = json.loads(Path(context.artifacts["settings"]).read_text(encoding="utf-8"))
        with np.load(context.artifacts["weights"], allow_pickle=False) as weights:
            by_name = dict(weights)
        self._members = []
        for n, member in enumerate(settings["members"]):
            own = {k.partition("/")[2]: a for k, a in by_name.items() if k.startswith(f"{n}/")}
            network = NetworkSettings.from_dict(member["network"])
            preprocessing = Preprocessing.from_dict(member["preprocessing"])
            self._members.append((preprocessing, Network.from_weights(own, network)))
        self._names: list[str] = settings["class_names"]

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002  (MLflow calls it so)
        model_input: pd.DataFrame,
        params: Mapping[str, Any] | None = None,  # noqa: ARG002  (MLflow calls it so)
    ) -> pd.DataFrame:
        """Return a row for each raw row, with a column for each output of the network."""
        is_text = {n: isinstance(dtype, pd.StringDtype) for n, dtype in model_input.dtypes.items()}
        columns = {
            # NumPy has no missing text.
            str(n): (
                cells.astype(object).where(cells.notna(), None) if is_text[n] else cells
            ).to_numpy()
            for n, cells in model_input.items()
        }
        try:
            rows = [p.transform(p.encode_rows(columns)) for p, _ in self._members]
        except DataError as error:  # which a server would keep to itself
            raise MlflowException.invalid_parameter_value(str(error)) from error
        # Two threads would change the last bits of large products.
        with threadpool_limits(1, user_api="blas"):
            pairs = zip(rows, self._members, strict=True)
            predictions = np.mean([network.predict(X)[0] for X, (_, network) in pairs], axis=0)
        return pd.DataFrame(predictions, model_input.index, self._names)


mlflow.models.set_model(ServedModel())
