"""The page of `runner --help`.

The page is Hydra's help template too, for `--help` beside other arguments. Alone it is the first
thing that people type: it is filled in here, because Hydra takes the better part of a second.
"""

from __future__ import annotations

from string import Template

from runner.config.plugins import plugins
from runner.system.paths import config_folder

HELP = """\
Train neural networks as experiments written in YAML; find every run in MLflow.

Usage
  runner [key=value ...]         one run: experiment=digits; else the tutorial's
  runner --multirun key=1,2 ...  all combinations; again, what is missing
  runner data FILE               how a table would be read, column by column
  runner show [RUN]              what came of a run, a sweep or the newest sweep
  runner sweeps, runner runs     all sweeps and their state; runs of their own
  runner compare A B ...         what differs, and whether more than by chance
  runner ensemble SWEEP          the average of a sweep's best runs, as one run
  runner rerun RUN [key=value]   a run or sweep again, compared bit by bit
  runner predict RUN FILE        what a run, or a sweep's best, says of a file
  runner export RUN FOLDER       a run as a folder that needs no store
  runner report SWEEP            a sweep as one HTML file, for a colleague
  runner clean, runner sync      removes weights; records what a server missed
  runner ui [--port N]           the runs in a browser

Examples
  runner data=iris split=stratified model=mlp optimizer=adam training=epochs
  runner --multirun optimizer.learning_rate=0.01,0.1 'seed=range(0,10)'
  runner experiment=own data.path=mine.csv data.target=label

Groups (group=option)
$APP_CONFIG_GROUPS
Settings (key=value)
  --cfg job              shows them all; with data=file those of this option
  --dry-run              shows the plan of a sweep, and runs nothing
  --register NAME        makes the (best) model the champion of a registered one
  --config-dir FOLDER    adds YAML of your own, in folders named like the groups

Results
  In MLflow: outputs/mlflow.db, of this checkout or else of the folder you are
  in; or where tracking.uri or MLFLOW_TRACKING_URI says. Exit codes: 0 all well,
  1 some runs failed, 2 wrong config, data or command, 3 store or disk, 4 kept
  on disk, not yet recorded, 5 a rerun differs, 129 to 143 ended by a signal.

Hydra
  All of Hydra's flags work (--hydra-help lists them), and overrides follow its
  grammar. Tab completes commands, options, settings, their values and sweeps:
    eval "$$(runner -sc install=bash)"      in zsh: install=zsh"""


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
    # Not broken, as Hydra breaks no line when it fills in the page.
    lines = [f"{group}: {', '.join(sorted(groups[group]))}\n" for group in sorted(groups)]
    return Template(help_template()).substitute(APP_CONFIG_GROUPS="".join(lines))
