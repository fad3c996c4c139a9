"""The command `runner data`: how a person's table would be read, and the YAML that pins it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import yaml

from runner.cli.help import HELP
from runner.config.compose import compose
from runner.config.data import FileData
from runner.config.schema import Experiment
from runner.report.data import print_columns
from runner.training.prepare import describe

_PINNED = ("target", "columns", "formats", "delimiter", "decimal", "header", "encoding")


def show_data(file: str, overrides: Sequence[str]) -> None:
    """Print a table of the columns of a file, and the settings by which it was read."""
    path = f"data.path={json.dumps(file, ensure_ascii=False)}"
    given = ["experiment=own", path, "data.target=null", *overrides]
    (job,) = compose(given, HELP, lambda _: None) or []
    described = describe(Experiment.from_dict(job.config))
    print_columns(file, described)
    data = described.settings
    plain = data.model_dump(mode="json")
    usual = FileData(name="file", path=data.path, scaling=data.scaling).model_dump(mode="json")
    # Beside what was found out stands what was asked for.
    pinned = {"data": {k: v for k, v in plain.items() if k in _PINNED or v != usual[k]}}
    text = yaml.safe_dump(
        pinned, sort_keys=False, allow_unicode=True, default_flow_style=None, width=64
    )
    print(f"Settings that read it so:\n{text}", end="")  # noqa: T201  (what was asked for)
