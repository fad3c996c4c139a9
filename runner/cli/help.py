"""The page of `runner --help`.

The page is Hydra's help template too, for `--help` beside other arguments. Alone it is the first
thing that people type: it is filled in here, because Hydra takes the better part of a second.
"""

from __future__ import annotations

from string import Template

from runner.system.paths import config_folder

HELP = """\
Train neural networks as experiments that are written in YAML; find every run in MLflow.

Usage
  runner [key=value ...]              one run, as of experiment=digits; by default the tutorial
  runner --multirun key=1,2 ...       a sweep: a run for each combination of the values; again,
                                      it runs what is missing; --dry-run shows the plan
  runner data FILE [data.key=value]   how a table would be read: its columns, and what they become
  runner show [SWEEP]                 what came out of a sweep, by default the newest
  runner sweeps, ensemble SWEEP       all sweeps; the average of a sweep's best runs, as one run
  runner rerun RUN_ID [key=value ...] a run or sweep again from its id, compared bit by bit
  runner predict RUN_ID FILE          the classes of the rows of a file
  runner export RUN_ID FOLDER         a run as a folder that needs no store to be repeated
  runner sync                         what waits on disk for a server that did not answer
  runner ui [--port N] [--uri URI]    the runs in a browser

Examples
  runner data=iris split=stratified model=mlp optimizer=adam training=epochs
  runner --multirun optimizer.learning_rate=0.01,0.1 'seed=range(0,10)'
  runner experiment=own data.path=mine.csv data.target=label

Groups (group=option)
$APP_CONFIG_GROUPS
Settings (key=value)
  runner --cfg job                    shows them all; runner --cfg job data=file those of an option
  seed=1 optimizer.learning_rate=0.1 'model.hidden_layer_sizes=[64,32]'
  --config-dir FOLDER                 adds YAML of your own, in subfolders named like the groups

Results
  In MLflow: outputs/mlflow.db, of this checkout or else of the folder you are in; or where
  tracking.uri or MLFLOW_TRACKING_URI says. Exit codes: 0 all well, 1 some runs failed,
  2 wrong config, data or command, 3 store or disk, 4 kept on disk, not yet recorded,
  5 a rerun differs, 130 Ctrl-C, 143 terminated (129 hung up, 131 quit).

Hydra
  All of Hydra's flags work (--hydra-help lists them), overrides follow its grammar, and tab
  completion is switched on by: eval "$$(runner -sc install=bash)\""""


def help_page() -> str:
    """Return the help with the groups of the shipped YAML."""
    folders = sorted(folder for folder in config_folder().iterdir() if folder.is_dir())
    groups = {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in folders
    }
    lines = [f"{group}: {', '.join(options)}\n" for group, options in groups.items() if options]
    return Template(HELP).substitute(APP_CONFIG_GROUPS="".join(lines))
