"""Logs a trained network as an MLflow model, a folder that `mlflow.pyfunc.load_model` reads.

It holds arrays, JSON and source code, but no pickle; whoever uses it needs neither `runner` nor
`softnet`.
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import ColSpec, DataType, Schema

import runner.system.errors
import runner.training.cells
import runner.training.preprocessing
import softnet
from runner.config.plugins import Plugin, plugins
from runner.tracking.backend.artifacts import send_folder
from runner.tracking.backend.rows import ModelFacts
from runner.training.tasks import TASKS

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel

    from runner.tracking.backend.artifacts import ArtifactGuard
    from runner.tracking.backend.rows import Backend
    from runner.training.prepare import Prepared, Trained

_SERVED = Path(__file__).with_name("served_model.py")
_EXAMPLE_ROWS = 3
_NEEDS = ("mlflow", "numpy", "pandas", "threadpoolctl")


def log_model(
    backend: Backend,
    guard: ArtifactGuard,
    experiment_id: str,
    run_id: str,
    members: Sequence[Trained],
    facts: ModelFacts = ModelFacts(),  # noqa: B008  (it cannot change)
) -> None:
    """Give a run its model, which averages what its members predict.

    The page of the model has the params and metrics of the run.

    These are the steps of MLflow's own ``Model.log``, on the run's store instead of a global one,
    and without reading back the history of every metric.
    """
    client = backend.client
    logged = client.create_logged_model(
        experiment_id, name=facts.name, source_run_id=run_id, params=dict(facts.params)
    )
    location = guard.allowed(str(logged.artifact_location))
    with TemporaryDirectory(prefix="runner-model-") as scratch:
        folder = Path(scratch, "model")
        _save(folder, logged, location, members)
        # The client's log_model_artifacts would ask the store again where they go.
        send_folder(backend, folder, location)
    step = max((metric.step for metric, *_ in facts.metrics), default=0)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=step)])
    # The run has them already, so this adds none to it.
    metrics = [
        Metric(*metric, logged.model_id, dataset, digest, run_id)
        for metric, dataset, digest in facts.metrics
    ]
    client.log_batch(run_id, metrics)
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)


def _save(folder: Path, logged: LoggedModel, location: str, members: Sequence[Trained]) -> None:
    """Write the folder of an MLflow model from code.

    ``mlflow.pyfunc.save_model`` would first read the file list of every installed package, which
    takes most of a second.
    """
    (folder / "artifacts").mkdir(parents=True)
    of_each = [
        {"network": m.network.to_dict(), "preprocessing": m.prepared.preprocessing.to_dict()}
        for m in members
    ]
    settings = {"class_names": members[0].prepared.target.names, "members": of_each}
    _write_json(folder / "artifacts" / "settings.json", settings)
    weights = {f"{n}/{name}": a for n, m in enumerate(members) for name, a in m.weights.items()}
    np.savez(folder / "artifacts" / "weights.npz", allow_pickle=False, **weights)
    _copy_code(folder, _used_plugins(of_each))
    _write_requirements(folder)
    model = Model(
        artifact_path=location,
        run_id=logged.source_run_id,
        model_uuid=logged.model_id,
        model_id=logged.model_id,
        signature=_signature(members),
        saved_input_example_info=_write_example(folder, members),
    )
    model.add_flavor(
        "python_function",
        loader_module="mlflow.pyfunc.loaders.code_model",
        model_code_path=_SERVED.name,
        code="code",
        artifacts={
            name: {"path": f"artifacts/{file}", "uri": f"artifacts/{file}"}
            for name, file in (("settings", "settings.json"), ("weights", "weights.npz"))
        },
        python_version=platform.python_version(),
        env={"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        streamable=False,
    )
    files = [file for file in folder.rglob("*") if file.is_file()]
    model.model_size_bytes = sum(file.stat().st_size for file in files)
    model.save(str(folder / "MLmodel"))


def _used_plugins(members: object) -> tuple[Plugin, ...]:
    """Return the plugins that networks cannot do without, given as plain data."""
    text = json.dumps(members)
    return tuple(
        plugin
        for plugin in plugins()
        if any(f'"name": "{name}"' in text for names in plugin.adds.values() for name in names)
    )


def _copy_code(folder: Path, of_plugins: tuple[Plugin, ...]) -> None:
    """Copy what the served model imports, as a package that no other version has the name of.

    So models of several versions load in one process, where `softnet` may be there too.
    """
    package, sources = _package(of_plugins)
    ours = {"softnet", "runner", *(plugin.module.partition(".")[0] for plugin in of_plugins)}
    sources = sources | {_SERVED.name: _SERVED.read_text("utf-8")}
    for name, source in sources.items():
        served = name == _SERVED.name
        file = folder / name if served else folder / "code" / package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        # Plugins enter their classes in the registries before a network is made.
        further = "".join(f"import {package}.{p.module}\n" for p in of_plugins if served)
        file.write_text(_moved_into(package, source, ours) + further, "utf-8")


@cache
def _package(of_plugins: tuple[Plugin, ...]) -> tuple[str, dict[str, str]]:
    """Return the name of a model's own package, by its content, and the sources in it by path."""
    modules = (runner.system.errors, runner.training.cells, runner.training.preprocessing)
    files = [
        *Path(softnet.__file__).parent.rglob("*.py"),
        *(Path(str(m.__file__)) for m in modules),
    ]
    root = Path(softnet.__file__).parents[1]
    sources = {str(file.relative_to(root)): file.read_text("utf-8") for file in sorted(files)}
    for plugin in of_plugins:
        for file in plugin.files:
            is_alone = file == plugin.root
            name = f"{plugin.module}.py" if is_alone else str(file.relative_to(plugin.root.parent))
            sources[name] = file.read_text("utf-8")
        sources["runner/__init__.py"] = "READERS = {}\n"  # which a plugin may fill, too
    digest = hashlib.sha256(json.dumps(sources).encode()).hexdigest()
    return f"model_{digest[:16]}", sources


def _moved_into(package: str, source: str, ours: AbstractSet[str]) -> str:
    """Have a module import what is ours from another package."""
    lines = source.encode().splitlines(keepends=True)  # the parser counts bytes
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        line = lines[node.lineno - 1]
        before, after = line[: node.col_offset], line[node.col_offset :]
        if isinstance(node, ast.ImportFrom) and not node.level:
            if str(node.module).partition(".")[0] in ours:
                moved = after.replace(b"from ", f"from {package}.".encode(), 1)
                lines[node.lineno - 1] = before + moved
        elif isinstance(node, ast.Import):
            if ours.isdisjoint(alias.name.partition(".")[0] for alias in node.names):
                continue
            imports = "; ".join(_moved_import(package, alias, ours) for alias in node.names)
            rest = lines[(node.end_lineno or 1) - 1][node.end_col_offset :]
            lines[node.lineno - 1 : node.end_lineno] = [before + imports.encode() + rest]
    return b"".join(lines).decode()


def _moved_import(package: str, alias: ast.alias, ours: AbstractSet[str]) -> str:
    first = alias.name.partition(".")[0]
    if first not in ours:
        return f"import {ast.unparse(alias)}"
    if alias.asname:
        return f"import {package}.{ast.unparse(alias)}"
    return f"import {package}.{alias.name}; from {package} import {first}"


def _write_requirements(folder: Path) -> None:
    """Pin what the model needs, in the three forms that MLflow's commands read."""
    python = platform.python_version()
    needs = [f"{name}=={metadata.version(name)}" for name in _NEEDS]
    (folder / "requirements.txt").write_text("\n".join(needs) + "\n", encoding="utf-8")
    virtualenv = {
        "python": python,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    }
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": needs}],
    }
    # JSON is YAML too.
    _write_json(folder / "python_env.yaml", virtualenv)
    _write_json(folder / "conda.yaml", conda)


def _write_example(folder: Path, members: Sequence[Trained]) -> dict[str, str]:
    """Write the first raw rows, with words instead of codes; return MLflow's entry for them."""
    raw: dict[str, Any] = {}
    for name, prepared in _raw_columns(members).items():
        if name not in raw:
            raw |= _raw_rows(prepared) | raw
    table = {"columns": list(raw), "data": list(zip(*raw.values(), strict=True))}
    _write_json(folder / "input_example.json", table)
    _write_json(folder / "serving_input_example.json", {"dataframe_split": table})
    return {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "dataframe",
        "pandas_orient": "split",
    }


def _raw_rows(prepared: Prepared) -> dict[str, list[Any]]:
    """Return the first rows, numbers that are written as no plain ones as text."""
    preprocessing, reading = prepared.preprocessing, prepared.dataset.reading
    rows = preprocessing.decode_rows(prepared.dataset.X[:_EXAMPLE_ROWS])
    for name in rows.keys() & set(() if reading is None else reading.texts):
        rows[name] = [v if v is None else preprocessing.cells.text(v) for v in rows[name]]
    return rows


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _raw_columns(members: Sequence[Trained]) -> dict[str, Prepared]:
    """Return the raw columns that any member reads, each with the data of the first that does."""
    columns: dict[str, Prepared] = {}
    for member in members:
        for name in member.prepared.preprocessing.raw_names:
            columns.setdefault(name, member.prepared)
    return columns


def _signature(members: Sequence[Trained]) -> ModelSignature:
    """Return the raw columns and the outputs as a signature.

    MLflow's server reads CSV and JSON by its types. Where cells may be missing, numbers are doubles
    and truth values words, whatever the rows of the run have: its long and boolean take no missing
    one, or take it for false. Numbers that are written as no plain ones in the file are text.
    """
    target = members[0].prepared.target
    single = all(array.dtype == np.float32 for m in members for array in m.weights.values())
    is_double = TASKS[target.task].is_double or not single
    output = DataType.double if is_double else DataType.float
    return ModelSignature(
        Schema(
            [
                ColSpec(_type_of(name, data), name, required=not data.preprocessing.fill)
                for name, data in _raw_columns(members).items()
            ]
        ),
        Schema([ColSpec(output, name) for name in target.names]),
    )


def _type_of(name: str, prepared: Prepared) -> DataType:
    """Return the type of a raw column, by what its cells are in all rows."""
    dataset, may_be_missing = prepared.dataset, bool(prepared.preprocessing.fill)
    if name in dataset.categories or name in prepared.preprocessing.dates:
        return DataType.string
    if dataset.reading is not None and name in dataset.reading.texts:
        return DataType.string
    if dataset.reading is not None and name in dataset.reading.truths:
        return DataType.string if may_be_missing else DataType.boolean
    values = dataset.X[:, dataset.feature_names.index(name)]
    is_whole = not may_be_missing and bool((np.floor(values) == values).all())
    return DataType.long if is_whole else DataType.double
