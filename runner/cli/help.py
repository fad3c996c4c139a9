"""The page of `runner --help`.

The page is Hydra's help template too, for `--help` beside other arguments. Alone it is the first
thing that people type: it is filled in here, because Hydra takes the better part of a second.
"""

from __future__ import annotations

from string import Template

from runner.config.plugins import plugins
from runner.system.paths import config_folder

HELP = """\
Train neural networks as experiments that are written in YAML; find every run in MLflow.

Usage
  runner [key=value ...]              one run, as of experiment=digits; by default the tutorial
  runner --multirun key=1,2 ...       a sweep of all combinations; again, it runs what is missing
  runner data FILE [data.key=value]   how a table would be read: its columns, and what they become
  runner show [RUN]                   what came out of a sweep, by default the newest, or of a run
  runner sweeps, runner runs          all sweeps and their state; runs of their own
  runner compare A B ...              runs or sweeps side by side: what differs, and by chance?
  runner ensemble SWEEP               the average of a sweep's best runs, as one run
  runner rerun RUN [key=value ...]    a run or sweep again from its id, compared bit by bit
  runner predict RUN FILE             what a run, or a sweep's best run, says of the rows of a file
  runner export RUN FOLDER            a run as a folder that needs no store to be repeated
  runner report SWEEP                 a sweep as one HTML file, for a colleague
  runner clean SWEEP, runner sync     removes weights; records what waits on disk for a server
  runner ui [--port N] [--uri URI]    the runs in a browser

Examples
  runner data=iris split=stratified model=mlp optimizer=adam training=epochs
  runner --multirun optimizer.learning_rate=0.01,0.1 'seed=range(0,10)'
  runner experiment=own data.path=mine.csv data.target=label

Groups (group=option)
$APP_CONFIG_GROUPS
Settings (key=value)
  runner --cfg job                    shows them all; runner --cfg job data=file those of an option
  --dry-run                           shows the plan of a sweep, and runs nothing
  --config-dir FOLDER                 adds YAML of your own, in subfolders named like the groups

Results
  In MLflow: outputs/mlflow.db, of this checkout or else of the folder you are in; or where
  tracking.uri or MLFLOW_TRACKING_URI says. Exit codes: 0 all well, 1 some runs failed,
  2 wrong config, data or command, 3 store or disk, 4 kept on disk, not yet recorded,
  5 a rerun differs, 130 Ctrl-C, 143 terminated (129 hung up, 131 quit).

Hydra
  All of Hydra's flags work (--hydra-help lists them), overrides follow its grammar, and tab
  completion is switched on by: eval "$$(runner -sc install=bash)\""""


def help_template() -> str:
    """Return the help with what plugins add, as Hydra fills it in."""
    lines = [
        f"  {plugin.name}: {kind} {', '.join(names)}\n".replace("$", "$$")
        for plugin in plugins()
        for kind, names in plugin.adds.items()
    ]
    return HELP.replace("Results\n", f"Plugins\n{''.join(lines)}\nResults\n") if lines else HELP


def help_page() -> str:
    """Return the help with the groups of the shipped YAML and of plugins."""
    groups: dict[str, set[str]] = {}
    for folder in (config_folder(), *(plugin.config_folder for plugin in plugins())):
        for file in folder.glob("*/*.yaml") if folder is not None else ():
            groups.setdefault(file.parent.name, set()).add(file.stem)
    lines = [f"{group}: {', '.join(sorted(groups[group]))}\n" for group in sorted(groups)]
    return Template(help_template()).substitute(APP_CONFIG_GROUPS="".join(lines))
