"""What people type and write that cannot work.

For each: exit code 2, at most three lines that say where, what was got and what is allowed, and
nothing left behind.
"""

import pytest

from tests.runner.conftest import Command

SIZES = "model.hidden_layer_sizes"
RATE = "optimizer.learning_rate"

Row = tuple[str, list[str]]

# Arguments; then what the message must hold, each piece somewhere in it.
COMMAND_LINES: list[Row] = [
    # Numbers
    (f"{RATE}=abc", [RATE, "a number", "'abc'"]),
    (f"{RATE}=0", [RATE, "above 0", "got 0"]),
    (f"{RATE}=-0.1", [RATE, "above 0", "-0.1"]),
    (f"{RATE}=nan", [RATE, "finite", "nan"]),
    (f"{RATE}=inf", [RATE, "finite", "inf"]),
    (f"{RATE}=1e999", [RATE, "finite", "inf"]),
    (f"{RATE}=true", [RATE, "a number", "True"]),
    (f"{RATE}=null", [RATE, "a number", "None"]),
    (f"{RATE}=???", [RATE, "given", "???"]),
    # Layers
    (f"{SIZES}=[0]", [f"{SIZES}[0]", "1 or above", "got 0"]),
    (f"{SIZES}=[-1]", [f"{SIZES}[0]", "1 or above", "-1"]),
    (f"{SIZES}=[8.5]", [f"{SIZES}[0]", "whole number", "8.5"]),
    (f"{SIZES}=8", [SIZES, "a list", "got 8", "Did you mean [8]?"]),
    (f"{SIZES}=[8,null]", [f"{SIZES}[1]", "whole number", "None"]),
    (f'{SIZES}="[8]"', [SIZES, "a list", "'[8]'", "Did you mean [8]"]),
    (f"{SIZES}=[true]", [f"{SIZES}[0]", "whole number", "True"]),
    (f"{SIZES}=[1000000000]", [SIZES, "memory", "GB"]),
    (f"{SIZES}=[{'1,' * 9999}1]", [SIZES, "at most", "got 10,000"]),
    # Names
    ("model.activation=swish", ["model.activation", "identity, relu, sigmoid, tanh", "swish"]),
    ("model.activation=ReLU", ["model.activation", "'ReLU'", "Did you mean 'relu'?"]),
    ("optimizer=os.system", ["optimizer", "adam, sgd", "'os.system'"]),
    # Budget
    ("training=epochs training.epochs=0", ["training.epochs", "1 or above", "got 0"]),
    ("training=epochs training.epochs=-1", ["training.epochs", "1 or above", "-1"]),
    ("training=epochs training.epochs=1.5", ["training.epochs", "whole number", "1.5"]),
    ("training.epochs=3", ["training.epochs", "null where training.steps", "got 3"]),
    ("training.steps=null", ["training.epochs", "given", "training.steps is null"]),
    ("training.batch_size=0", ["training.batch_size", "1 or above", "got 0"]),
    ("training.batch_size=-1", ["training.batch_size", "1 or above", "-1"]),
    ("training.batch_size=9", ["training.batch_size", "at most 8", "got 9"]),
    # Seeds
    ("seed=-1", ["seed", "from 0 to 9223372036854775807", "-1"]),
    ("seed=1.5", ["seed", "whole number", "1.5"]),
    ("seed=null", ["seed", "whole number", "None"]),
    (f"seed={2**70}", ["seed", "from 0 to 9223372036854775807", str(2**70)]),
    # Splits
    (
        "split=shuffled split.train=0.7 split.val=0.2 split.test=0.2",
        ["split", "at most 1", "0.7 + 0.2 + 0.2 = 1.1"],
    ),
    ("split=shuffled split.val=-0.1", ["split.val", "share", "-0.1"]),
    ("split.train=100", ["split", "16", "108"]),
    # Typos
    ("mdoel.activation=relu", ["mdoel", "setting", "Did you mean 'model'?"]),
    ("optimizer.learning_rat=1", ["learning_rat", "Did you mean 'learning_rate'?"]),
    ("model=big", ["model", "linear, mlp", "'big'"]),
    ("+model.extra=1", ["model.extra", "hidden_layer_sizes", "'extra'"]),
    ("experiment=digit", ["experiment", "tutorial", "Did you mean 'digits'?"]),
    # The command line itself
    ("seed=1,2", ["seed", "1,2", "add --multirun"]),
    ("-m seed=range(5,5)", ["sweep", "at least one job", "empty"]),
    ("-m seed=1,2,-3", ["seed", "-3", "job 3 of 3"]),
    ("-m data=file data.path=none.csv data.target=y seed=1,2", ["data.path", "none.csv"]),
    ("+hydra.callbacks.x._target_=os.system", ["hydra.callbacks", "left out"]),
    # References
    ("seed=${missing}", ["seed", "a setting that exists", "${missing}"]),
    ("seed=${name} name=${seed}", ["name", "refer back to itself", "${seed}"]),
    # Tracking
    ("tracking.uri=foo://x", ["tracking.uri", "sqlite:///", "foo://x"]),
    ("tracking.uri=http://", ["tracking.uri", "http://", "got 'http://'"]),
    ("tracking.uri=/tmp", ["tracking.uri", "sqlite:///", "'/tmp'"]),
    ("tracking.uri=sqlite://x.db", ["tracking.uri", "sqlite:///x.db"]),
    ("tracking.uri=http://127.0.0.1:9", ["tracking.uri", "127.0.0.1:9", "answers"]),
    # Metrics
    ("sweep.metric=val/los", ["sweep.metric", "val/loss, val/accuracy", "'val/los'"]),
    (
        "training=early_stopping training.early_stopping.metric=foo",
        ["training.early_stopping.metric", "train/loss, train/accuracy, val/loss", "'foo'"],
    ),
    # Numbers
    (f"{RATE}=-inf", [RATE, "finite", "-inf"]),
    (f"{RATE}=[0.1]", [RATE, "a number", "[0.1]"]),
    (f"{RATE}=", [RATE, "a number", "''"]),
    ("optimizer.momentum=1", ["optimizer.momentum", "1"]),
    ("optimizer.momentum=-0.5", ["optimizer.momentum", "-0.5"]),
    ("optimizer.nesterov=1", ["optimizer.nesterov", "true or false", "got 1"]),
    ("optimizer.weight_decay=-1", ["optimizer.weight_decay", "0 or above", "-1"]),
    ("optimizer.clip_norm=0", ["optimizer.clip_norm", "above 0", "got 0"]),
    ("optimizer=adam optimizer.beta2=1", ["optimizer.beta2", "1"]),
    ("schedule.warmup_steps=-1", ["schedule.warmup_steps", "0 or above", "-1"]),
    ("schedule=step schedule.every=0", ["schedule.every", "1 or above", "got 0"]),
    ("schedule=cosine schedule.final_factor=nan", ["schedule.final_factor", "finite", "nan"]),
    # Layers
    (f"{SIZES}=[[8]]", [f"{SIZES}[0]", "whole number", "[8]"]),
    (f"{SIZES}=null", [SIZES, "a list", "None"]),
    ("model.initializer_scale=0", ["model.initializer_scale", "above 0", "got 0"]),
    # Names
    ("model.initializer=xaver", ["model.initializer", "Did you mean 'xavier'?"]),
    ("optimizer.name=os.system", ["optimizer.name", "sgd, adam", "'os.system'"]),
    ("optimizer.name=adam", ["optimizer.momentum", "setting of optimizer", "optimizer=..."]),
    ("data.scaling=std", ["data.scaling", "none, standardize, minmax", "'std'"]),
    ("training.sampling=random", ["training.sampling", "shuffled", "'random'"]),
    ("dtype=float16", ["dtype", "float32, float64", "Did you mean 'float64'?"]),
    ("name=null", ["name", "text", "None"]),
    # Budget
    ("training.evaluate_every=0", ["training.evaluate_every", "1 or above", "got 0"]),
    # Seeds
    ("split.seed=-1", ["split.seed", "from 0", "-1"]),
    # Splits
    ("split=shuffled split.val=2", ["split.val", "share", "got 2"]),
    ("split=kfold split.fold=5", ["split.fold", "0 to 4", "got 5"]),
    ("split=kfold split.val=1.0", ["split.val", "share", "1.0"]),
    # Typos
    ("model=3", ["model", "linear, mlp", "'3'"]),
    ("+model._target_=os.system", ["model._target_", "hidden_layer_sizes", "'_target_'"]),
    ("+experiment=digits", ["experiment", "chosen once", "experiment=..."]),
    ("~model", ["model", "given"]),
    ("data=file", ["data.path", "given", "???"]),
    # The command line itself
    ("seed=range(0,5)", ["seed", "range(0,5)", "add --multirun"]),
    ("-m seed=choice()", ["seed", "empty choice"]),
    ("-m seed=", ["seed", "whole number", "''"]),
    ("-m model=mlp,big", ["model", "linear, mlp", "'big'"]),
    ("seed=[1", ["seed=[1", "key=value"]),
    ("seed", ["seed", "key=value"]),
    ("seed=1 run", ["run", "key=value"]),
    ("--nonsense", ["--nonsense", "--help"]),
    ("--cfg everything", ["--cfg", "'job'", "everything"]),
    ("--config-dir nowhere", ["--config-dir", "nowhere", "not found"]),
    ("--experimental-rerun x", ["--experimental-rerun", "unpickles"]),
    # References
    ("name=${oc.env:NO_SUCH_VARIABLE}", ["name", "NO_SUCH_VARIABLE", "${oc.env"]),
    ("name=${nothing:1}", ["name", "resolver", "${nothing:1}"]),
    # Tracking
    ("tracking.uri=3", ["tracking.uri", "got 3"]),
    ("tracking.experiment=[]", ["tracking.experiment", "text", "[]"]),
    # Metrics
    ("split.val=0 sweep.metric=val/accuracy", ["sweep.metric", "test/loss", "val/accuracy"]),
    (
        "training=early_stopping training.early_stopping.patience=0",
        ["training.early_stopping.patience", "1 or above", "got 0"],
    ),
    (
        "training=early_stopping split.val=0",
        ["training.early_stopping.metric", "train/loss", "'val/loss'"],
    ),
]

# Content of an experiment of one's own; then what the message must hold.
FILES: dict[str, tuple[str | bytes, list[str]]] = {
    "duplicate key": ("seed: 1\nseed: 2\n", ["line 3, column 1", "'seed' again"]),
    "tab": ("model:\n\tactivation: relu\n", ["line 3, column 1", "spaces", "a tab"]),
    "unclosed bracket": ("model: {activation: relu\n", ["line 3", "'}'", "line 2, column 8"]),
    "python tag": (
        "seed: !!python/object/apply:os.system ['touch canary']\n",
        ["line 2, column 7", "a mapping", "!!python/object/apply:os.system"],
    ),
    "reference to nothing": ("seed: ${missing}\n", ["seed", "that exists", "${missing}"]),
    "cycle": ("seed: ${name}\nname: ${seed}\n", ["name", "refer back to itself", "${seed}"]),
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
    "ten thousand layers": (
        f"model: {{hidden_layer_sizes: [{'1,' * 9999}1]}}\n",
        [SIZES, "at most 1,000", "[1, 1"],
    ),
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


@pytest.mark.parametrize(
    ("line", "pieces"), COMMAND_LINES, ids=[row[0][:60] for row in COMMAND_LINES]
)
def test_wrong_command_line_is_refused(command: Command, line: str, pieces: list[str]):
    check_refused(command, line.split(), pieces)


@pytest.mark.parametrize("fault", FILES)
def test_wrong_file_is_refused(command: Command, fault: str):
    content, pieces = FILES[fault]
    folder = command.folder / "experiment"
    folder.mkdir()
    content = content if isinstance(content, bytes) else content.encode()
    (folder / "mine.yaml").write_bytes(b"# @package _global_\n" + content if content else b"")
    check_refused(command, ["--config-dir", ".", "experiment=mine"], pieces)
