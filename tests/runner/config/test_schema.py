"""What the schema takes, and what it refuses in which words."""

from typing import Any

import pytest

from runner.config.compose.overrides import apply_overrides
from runner.config.plain import to_plain
from runner.config.schema import Experiment
from runner.system.errors import ConfigError
from softnet import OPTIMIZERS, SCHEDULES, EarlyStopping
from tests.runner.config.tutorial import PLAIN, changed, experiment


def refusal(**settings: object) -> str:
    with pytest.raises(ConfigError) as refused:
        experiment(**settings)
    return str(refused.value)


# What is taken.


def test_plain_values_come_back_as_they_were():
    training = PLAIN["training"] | {"init_sha256": None}  # which no file has
    assert to_plain(experiment()) == PLAIN | {"training": training}


def test_whole_number_is_taken_for_a_float():
    rate = experiment(optimizer__learning_rate=1).optimizer.settings().learning_rate
    assert isinstance(rate, float)
    assert rate == 1.0


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_seed_is_any_whole_number_of_63_bits(seed: int):
    assert experiment(seed=seed).seed == seed


def test_settings_that_have_defaults_may_be_left_out():
    plain = changed(optimizer={"name": "adam", "learning_rate": 0.1}, schedule={"name": "cosine"})
    del plain["tracking"], plain["sweep"], plain["seed"]
    made = Experiment.from_dict(plain)
    assert made.optimizer.settings() == OPTIMIZERS["adam"].Settings(learning_rate=0.1)
    assert made.schedule.settings() == SCHEDULES["cosine"]()
    assert made.seed == 0


def test_early_stopping_becomes_softnets_own():
    rule = {"metric": "val/accuracy", "patience": 3, "min_delta": 0.1}
    made = experiment(training__early_stopping=rule).training.early_stopping
    assert made is not None
    assert made.settings() == EarlyStopping("val/accuracy", 3, 0.1)


def test_number_names_the_column_that_is_written_so():
    data = {"name": "file", "path": "x.csv", "target": 3, "features": [1, "b"]}
    made = to_plain(experiment(data=data))["data"]
    assert (made["target"], made["features"]) == ("3", ["1", "b"])


@pytest.mark.parametrize(
    ("sizes", "written"),
    [
        ((0.6, 0, 0.4), (0.6, 0.0, 0.4)),
        ((8, 0.0, 4), (8, 0, 4)),
        ((0.7, 0.2, 0.1), (0.7, 0.2, 0.1)),
        ((1.0, 0, 0), (1.0, 0.0, 0.0)),
    ],
)
def test_part_of_no_rows_is_written_in_one_way(sizes: tuple[float, ...], written: object):
    names = ("split__train", "split__val", "split__test")
    split = experiment(**dict(zip(names, sizes, strict=True))).split
    found = (split.train, split.val, split.test)
    assert found == written
    assert len({type(size) for size in found}) == 1


def test_split_without_validation_needs_no_other_ranking_metric():
    assert experiment(split__val=0).ranking_metric == "train/loss"
    assert experiment().ranking_metric == "val/loss"


def test_runs_can_be_ranked_by_what_they_end_with():
    stopping = {"metric": "val/loss", "patience": 3, "min_delta": 0.0}
    for metric in ("best/val/f1_macro", "train/recall_yes"):
        made = experiment(training__early_stopping=stopping, sweep__metric=metric)
        assert made.ranking_metric == metric
    for settings in ({"split__test": 0, "metric": "test/loss"}, {"metric": "best/val/loss"}):
        metric = settings.pop("metric")
        with pytest.raises(ConfigError, match=r"sweep\.metric: must be a metric of this"):
            experiment(sweep__metric=metric, **settings)


# What is refused.

SIZES = "model.hidden_layer_sizes"
RATE = "optimizer.learning_rate"
# Overrides of the tutorial; then what the message must hold, each piece somewhere in it.
OVERRIDES = [
    (f"{RATE}=0", [RATE, "above 0", "got 0"]),
    (f"{RATE}=nan", [RATE, "finite", "nan"]),
    (f"{RATE}=inf", [RATE, "finite", "inf"]),
    (f"{RATE}=true", [RATE, "a number", "True"]),
    (f"{SIZES}=[0]", [f"{SIZES}[0]", "1 or above", "got 0"]),
    (f"{SIZES}=[8.5]", [f"{SIZES}[0]", "whole number", "8.5"]),
    (f'{SIZES}="[8]"', [SIZES, "a list", "'[8]'", "Did you mean [8]"]),
    (f"{SIZES}=[true]", [f"{SIZES}[0]", "whole number", "True"]),
    (
        "model.activation=swish",
        ["model.activation", "must be one of elu, gelu, identity, leaky_relu", "swish"],
    ),
    ("training.epochs=3", ["training.epochs", "null where training.steps", "got 3"]),
    ("training.steps=null", ["training.epochs", "given", "training.steps is null"]),
    ("training.batch_size=0", ["training.batch_size", "1 or above", "got 0"]),
    ("seed=1.5", ["seed", "whole number", "1.5"]),
    (f"seed={2**70}", ["seed", "from 0 to 9223372036854775807", str(2**70)]),
    ("sweep.metric=val/los", ["sweep.metric", "val/loss, val/accuracy", "'val/los'"]),
    (f"{RATE}=", [RATE, "a number", "''"]),
    ("optimizer.momentum=1", ["optimizer.momentum", "1"]),
    ("optimizer.nesterov=1", ["optimizer.nesterov", "true or false", "got 1"]),
    ("optimizer.weight_decay=-1", ["optimizer.weight_decay", "0 or above", "-1"]),
    ("optimizer.clip_norm=0", ["optimizer.clip_norm", "above 0", "got 0"]),
    ("schedule.warmup_steps=-1", ["schedule.warmup_steps", "0 or above", "-1"]),
    ("model.word_embedding=0", ["model.word_embedding", "from 1 to 1000, or null", "got 0"]),
    ("model.word_embedding=1001", ["model.word_embedding", "from 1 to 1000, or null", "1001"]),
    (f"{SIZES}=null", [SIZES, "a list", "None"]),
    ("model.initializer_scale=0", ["model.initializer_scale", "above 0", "got 0"]),
    ("model.initializer=xaver", ["model.initializer", "Did you mean 'xavier'?"]),
    ("optimizer.name=os.system", ["optimizer.name", "sgd, adam", "'os.system'"]),
    ("optimizer.name=adam", ["optimizer.momentum", "setting of optimizer", "optimizer=..."]),
    ("data.scaling=std", ["data.scaling", "none, standardize, minmax, robust", "'std'"]),
    ("training.sampling=random", ["training.sampling", "shuffled", "'random'"]),
    ("dtype=float16", ["dtype", "float32, float64", "Did you mean 'float64'?"]),
    ("tracking.uri=3", ["tracking.uri", "got 3"]),
    ("tracking.experiment=[]", ["tracking.experiment", "text", "[]"]),
    ("split.val=0 sweep.metric=val/accuracy", ["sweep.metric", "test/loss", "val/accuracy"]),
    (f"{SIZES}=8", [SIZES, "a list", "got 8", "Did you mean [8]?"]),
    (f"{SIZES}=[{'1,' * 1000}1]", [SIZES, "at most 1,000", "[1, 1"]),
    ("training.steps=null training.epochs=0", ["training.epochs", "1 or above", "got 0"]),
    ("split={name:shuffled,train:0.7,val:0.2,test:0.2}", ["split", "at most 1", "0.2 = 1.1"]),
    ("split={name:shuffled,train:0.6,val:-0.1,test:0}", ["split.val", "share", "-0.1"]),
    ("split={name:shuffled,train:0.6,val:2,test:0}", ["split.val", "share", "got 2"]),
    ("split={name:kfold,n_folds:5,fold:5,val:0.2}", ["split.fold", "0 to 4", "got 5"]),
    ("split={name:kfold,n_folds:5,fold:0,val:1.0}", ["split.val", "share", "1.0"]),
    ("optimizer={name:adam,learning_rate:0.1,beta2:1}", ["optimizer.beta2", "1"]),
    ("schedule={name:step,every:0}", ["schedule.every", "1 or above", "got 0"]),
    ("schedule={name:cosine,final_factor:nan}", ["schedule.final_factor", "finite", "nan"]),
    (
        "training.early_stopping={metric:foo,patience:3,min_delta:0}",
        ["training.early_stopping.metric", "train/loss, train/accuracy, val/loss", "'foo'"],
    ),
    (
        "training.early_stopping={metric:val/loss,patience:0,min_delta:0}",
        ["training.early_stopping.patience", "1 or above", "got 0"],
    ),
    (
        "split.val=0 training.early_stopping={metric:val/loss,patience:3,min_delta:0}",
        ["training.early_stopping.metric", "train/loss", "'val/loss'"],
    ),
]


@pytest.mark.parametrize(("line", "pieces"), OVERRIDES, ids=[row[0][:60] for row in OVERRIDES])
def test_wrong_override_is_refused_in_few_lines(line: str, pieces: list[str]):
    values = apply_overrides(PLAIN, line.split())
    with pytest.raises(ConfigError) as refused:
        Experiment.from_dict(values)
    assert refused.value.exit_code == 2
    said = str(refused.value)
    assert len(said.splitlines()) <= 3
    for piece in pieces:
        assert piece in said


@pytest.mark.parametrize(
    "form", ["%s", "%Q", "%B", "%A", "%d %B", "%M:%S", "1", "m2", "-", ".", "", 3, None]
)
def test_a_format_is_a_whole_date_a_time_of_day_or_a_sign(form: object) -> None:
    def of(form: object) -> Experiment:
        return experiment(data={"name": "file", "path": "t.csv", "formats": {"when": form}})

    for allowed in ("%d.%m.%y", "%Y-%m", "%d/%m/%Y %H:%M %z", "%H:%M", "ISO 8601", "%", "kr.", "€"):
        of(allowed)
    with pytest.raises(ConfigError, match=r"^data\.formats\.when: must be the form of") as refused:
        of(form)
    is_form = str(form).startswith("%")
    assert ("codes of Python" if is_form else "a sign without digits") in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "seed: must be a whole number from 0 to 9223372036854775807, got -1."),
        (
            {"optimizer__learning_rate": 0},
            "optimizer.learning_rate: must be a finite number above 0, got 0.0.",
        ),
        ({"dtype": "Float64"}, "dtype: must be one of float32, float64, got 'Float64'. "),
        (
            {"split__train": 0.6},
            "split.val: must be a share (such as 0.6), as train is, or 0, got 4.",
        ),
        ({"split__train": 0}, "split.train: must be above 0: training needs rows, got 0."),
        (
            {"model__extra": 1},
            "model.extra: must be a setting of model (hidden_layer_sizes, activation, ",
        ),
        ({"optimizer": {"learning_rate": 1}}, "optimizer.name: must be given, got nothing."),
        ({"optimizer": "adam"}, "optimizer: must be a group of settings, got 'adam'."),
        (
            {"\x1b[31m": 1},
            (
                r"\x1b[31m: must be a setting (name, seed, dtype, task, data, split, model, "
                r"optimizer, schedule, training, tracking, sweep, executor, search), "
                r"got '\x1b[31m'."
            ),
        ),
        (
            {"name": "a\x1b[31m"},
            r"name: must be printable text of 1 to 250 characters, got 'a\x1b[31m'.",
        ),
    ],
)
def test_wrong_setting_is_named_with_rule_and_value(settings: dict[str, Any], message: str):
    assert refusal(**settings).startswith(message)


def test_missing_settings_get_a_line_each():
    assert refusal(data={"name": "moons"}).splitlines() == [
        "data.n_samples: must be given, got nothing.",
        "data.noise: must be given, got nothing.",
    ]


def test_first_three_wrong_settings_get_a_line_each():
    found = refusal(seed=-1, dtype="x", model__activation="y", training__batch_size=0)
    assert [line.partition(":")[0] for line in found.splitlines()] == [
        "seed",
        "dtype",
        "model.activation",
    ]
    assert found.endswith("(1 more are wrong.)")


@pytest.mark.parametrize("values", [None, [], 3, "text"])
def test_config_that_is_no_mapping_is_refused(values: object):
    with pytest.raises(ConfigError, match="the config: must be a group of settings"):
        Experiment.from_dict(values)  # type: ignore[arg-type]  # as hostile as it can be


def test_file_of_settings_in_the_wrong_package_is_explained():
    assert "# @package _global_" in refusal(experiment={"seed": 1})


def test_boolean_is_no_number():
    for key in ("seed", "training__batch_size", "optimizer__learning_rate", "split__val"):
        assert "True" in refusal(**{key: True})
