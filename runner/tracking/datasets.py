"""What MLflow is told about the data of a run: names, digests and columns, never the rows.

MLflow's own dataset classes convert everything to a DataFrame first, which costs more than
recording the whole run; its entities take the few facts directly.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import DatasetInput, InputTag

if TYPE_CHECKING:
    from runner.training.data import Dataset
    from runner.training.data.splits import Split

# MLflow refuses longer ones.
_DIGEST_CHARACTERS = 32
_SCHEMA_CHARACTERS = 1_000_000
_NAME_CHARACTERS = 500


def dataset_inputs(dataset: Dataset, split: Split) -> list[DatasetInput]:
    """Describe the rows that a run trains, validates and tests on.

    Returns
    -------
    list of mlflow.entities.DatasetInput
        One for each part that has rows, with the part's name as its context.
    """
    source_type, source = _source(dataset.source)
    schema = _schema(dataset)
    parts = {"train": split.train, "val": split.val, "test": split.test}
    return [
        DatasetInput(
            MlflowDataset(
                name=dataset.name[:_NAME_CHARACTERS],
                # MLflow tells datasets apart by name and digest: each part needs one of its own.
                digest=_digest(dataset.digest, split.digest, context),
                source_type=source_type,
                source=source,
                schema=schema,
                profile=json.dumps({"num_rows": len(rows), "num_columns": dataset.X.shape[1] + 1}),
            ),
            [InputTag("mlflow.data.context", context)],
        )
        for context, rows in parts.items()
        if len(rows)
    ]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_DIGEST_CHARACTERS]


def _source(text: str) -> tuple[str, str]:
    if text.startswith("/"):
        return "local", json.dumps({"uri": text})
    return "code", json.dumps({"tags": {"mlflow.source.name": text}})


def _schema(dataset: Dataset) -> str | None:
    columns: list[dict[str, Any]] = [
        {"name": name, "type": "string" if name in dataset.categories else "double"}
        for name in dataset.feature_names
    ]
    text = json.dumps({"mlflow_colspec": [column | {"required": True} for column in columns]})
    return text if len(text) <= _SCHEMA_CHARACTERS else None
