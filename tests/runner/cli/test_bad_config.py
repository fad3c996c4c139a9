"""What people type and write that cannot work.

For each: exit code 2, at most three lines that say where, what was got and what is allowed, and
nothing left behind. What single settings may be is tested in `tests/runner/config/test_schema.py`.
"""

import pytest

from tests.runner.conftest import Command

SIZES = "model.hidden_layer_sizes"
RATE = "optimizer.learning_rate"

Row = tuple[str, list[str]]

# Arguments; then what the message must hold, each piece somewhere in it.
COMMAND_LINES: list[Row] = [
    # Values
    (f"{RATE}=abc", [RATE, "a number", "'abc'"]),
    (f"{RATE}=???", [RATE, "given", "???"]),
    (f"{SIZES}=[1000000000]", [SIZES, "memory", "GB"]),
    # Names
    ("optimizer=os.system", ["optimizer", "adam, adam_digits, ", "'os.system'"]),
    # Typos
    ("mdoel.activation=relu", ["mdoel", "setting", "Did you mean 'model'?"]),
    ("optimizer.learning_rat=1", ["learning_rat", "Did you mean 'learning_rate'?"]),
    ("executor.address=tcp://127.0.0.1:8786", ["executor.address", "executor=dask has it."]),
    ("experiment=digit", ["experiment", "tutorial", "Did you mean 'digits'?"]),
    ("+model._target_=os.system", ["model._target_", "hidden_layer_sizes", "'_target_'"]),
    ("+experiment=digits", ["experiment", "chosen once", "experiment=..."]),
    ("~model", ["model", "given"]),
    ("data=file", ["data.path", "given", "???"]),
    # The command line itself
    ("seed=1,2", ["seed", "1,2", "add --multirun"]),
    ("-m seed=1,range(0,3)", ["seed: must be choices of plain values (0.1,0.2), one range"]),
    (
        f"-m {RATE}=interval(0,1)",
        ["search=random|sobol|halving|optuna take an", "got interval(0,1)."],
    ),
    ("-m hydra.launcher=joblib", ["must be hydra/launcher=joblib, with a slash."]),
    ("-m model=glob(x*)", ["got a glob that finds nothing"]),
    ("-m seed=range(5,5)", ["sweep", "at least one job", "empty"]),
    ("-m seed=1,2,-3", ["seed", "-3", "job 3 of 3"]),
    ("data=file data.path=none.csv data.target=y", ["data.path", "none.csv"]),
    ("-m data=file data.path=none.csv data.target=y seed=1,2", ["data.path", "none.csv"]),
    ("data=iris split=kfold split.n_folds=60", ["at least 60 rows of every class", "got 50 of"]),
    ("+hydra.callbacks.x._target_=os.system", ["hydra.callbacks", "left out"]),
    ("-m seed=choice()", ["seed", "empty choice"]),
    ("-m model=mlp,big", ["model", "linear, mlp", "'big'"]),
    ("seed=[1", ["seed=[1", "key=value"]),
    ("seed=1 run", ["run", "key=value"]),
    ("--nonsense", ["--nonsense", "--help"]),
    ("--cfg everything", ["--cfg", "'job'", "everything"]),
    ("--config-dir nowhere", ["--config-dir", "nowhere", "not found"]),
    ("--experimental-rerun x", ["--experimental-rerun", "unpickles"]),
    # References
    ("seed=${missing}", ["seed", "'missing' not found", "${missing}"]),
    ("seed=${name} name=${seed}", ["name", "Recursive", "${seed}"]),
    ("name=${oc.env:NO_SUCH_VARIABLE}", ["name", "NO_SUCH_VARIABLE", "${oc.env"]),
    ("seed=${oc.env:NONE,12}", ["seed: must be", "'12'. Text becomes a value by oc.decode"]),
    (
        "tracking.figures=${oc.env:NONE,true}",
        ["tracking.figures: must be true or false", "by oc.decode"],
    ),
    ("name=${nothing:1}", ["name", "Unsupported interpolation type", "${nothing:1}"]),
    # Tracking
    ("tracking.uri=foo://x", ["tracking.uri", "sqlite:///", "foo://x"]),
    ("tracking=http://ada:secret@h/x", ["tracking: ", "local, server", "got 'http://ada@h/x'"]),
    ("tracking.uri=http://127.0.0.1:9", ["tracking.uri", "127.0.0.1:9", "answers"]),
]

# Content of an experiment of one's own; then what the message must hold.
FILES: dict[str, tuple[str | bytes, list[str]]] = {
    "duplicate key": ("seed: 1\nseed: 2\n", ["line 3, column 1", "duplicate key seed"]),
    "tab": ("model:\n\tactivation: relu\n", ["line 3, column 1", "'\\t'"]),
    "unclosed bracket": ("model: {activation: relu\n", ["line 3", "'}'", "from line 2"]),
    "python tag": (
        "seed: !!python/object/apply:os.system ['touch canary']\n",
        ["line 2, column 7", "python/object/apply:os.system"],
    ),
    "empty": ("", ["mine.yaml", "settings", "empty"]),
    "a list": ("- 1\n- 2\n", ["mine.yaml", "settings", "a list"]),
    "a word": ("hello\n", ["mine.yaml", "settings", "'hello'"]),
    "unknown anchor": ("seed: *x\n", ["line 2, column 7", "undefined alias 'x'"]),
    "two documents": ("seed: 1\n---\nseed: 2\n", ["line 3, column 1", "another document"]),
    "not text": (b"seed: \xff\n", ["mine.yaml, byte", "UTF-8", "\\xff"]),
    "nested too deeply": (f"seed: {'[' * 400}{']' * 400}\n", ["nested"]),
    "a typo": ("sede: 1\n", ["sede", "Did you mean 'seed'?"]),
    "no such option": ("defaults: [override /model: big]\n", ["model", "linear, mlp", "'big'"]),
    "no such group": ("defaults: [override /mdoel: mlp]\n", ["mdoel", "Did you mean 'model'?"]),
    "no override": ("defaults: [/model: mlp]\n", ["model", "override /model"]),
    "no list of defaults": ("defaults: {model: mlp}\n", ["experiment/mine", "must be a list"]),
    "a number for a group": ("model: 3\n", ["model", "a group of settings", "got 3"]),
    "a key that is no text": ("1: 2\n", ["key", "text", "got 1"]),
    "callbacks": (
        "hydra: {callbacks: {x: {_target_: pathlib.Path.touch, _args_: [canary]}}}\n",
        ["hydra.callbacks", "left out"],
    ),
}


def check_refused(command: Command, arguments: list[str], pieces: list[str]) -> None:
    before = command.left()
    ended = command(*arguments)
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert 1 <= len(ended.stderr.splitlines()) <= 3, ended.stderr
    for piece in pieces:
        assert piece in ended.stderr
    assert command.left() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "pieces"), COMMAND_LINES, ids=[row[0][:60] for row in COMMAND_LINES]
)
def test_wrong_command_line_is_refused(command: Command, line: str, pieces: list[str]):
    check_refused(command, line.split(), pieces)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FILES)
def test_wrong_file_is_refused(command: Command, fault: str):
    content, pieces = FILES[fault]
    folder = command.folder / "experiment"
    folder.mkdir()
    content = content if isinstance(content, bytes) else content.encode()
    (folder / "mine.yaml").write_bytes(b"# @package _global_\n" + content if content else b"")
    check_refused(command, ["--config-dir", ".", "experiment=mine"], pieces)
