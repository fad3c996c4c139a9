"""Plans: what is checked before anything runs, what a job is called and known by."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from runner.config.compose import Job
from runner.jobs.plan import make_plan, plan_each, read_lines, run_name
from runner.system.errors import ConfigError, DataError
from tests.runner.jobs.planned import CONFIG, MISSING, config, experiment, job, plan

SPLIT = {"name": "shuffled", "train": 10, "val": 5, "test": 5}


def table(path: Path, n_rows: int = 20) -> dict[str, object]:
    """Write a file of rows, and return the `data` section that reads it."""
    path.write_text("x,y\n" + "".join(f"{row},{row % 2}\n" for row in range(n_rows)))
    return {"name": "file", "path": str(path), "target": "y"}


def test_jobs_keep_their_order_whatever_data_they_share() -> None:
    made = plan({"data__seed": 1}, {"data__seed": 0}, {"data__seed": 1, "seed": 4})
    assert [one.experiment.data.seed for one in made.jobs] == [1, 0, 1]  # type: ignore[union-attr]
    first, other, again = made.jobs
    assert first.data_digest == again.data_digest != other.data_digest
    assert first.shape is again.shape
    assert first.shape != other.shape


def test_points_that_are_given_again_are_planned_once() -> None:
    made = plan({"seed": 1}, {"seed": 2}, {"seed": 1}, {"seed": 1}, {"seed": 2})
    assert [one.experiment.seed for one in made.jobs] == [1, 2]
    assert made.n_duplicates == 3


def test_the_same_number_written_in_two_ways_is_the_same_point() -> None:
    jobs = [
        Job(config(optimizer__learning_rate=rate), (f"optimizer.learning_rate={text}",), {})
        for rate, text in ((0.1, "0.1"), (1e-1, "1e-1"))
    ]
    assert make_plan(jobs).n_duplicates == 1


def test_different_files_that_are_missing_are_different_points(tmp_path: Path) -> None:
    data = [{"name": "file", "path": str(tmp_path / name), "target": "y"} for name in "ab"]
    made = plan(*({"data": each} for each in data))
    assert made.n_duplicates == 0
    for name, one in zip("ab", made.jobs, strict=True):
        assert f"{tmp_path}/{name}" in str(one.problem)


def test_files_of_equal_content_are_the_same_point(tmp_path: Path) -> None:
    sections = [table(tmp_path / name) for name in ("a.csv", "b.csv")]
    made = plan(*({"data": each, "split": SPLIT} for each in sections))
    assert (len(made.jobs), made.n_duplicates) == (1, 1)


def test_the_name_of_the_experiment_makes_no_point() -> None:
    made = plan({"name": "a"}, {"name": "b"}, {"name": "a"})
    assert [one.experiment.name for one in made.jobs] == ["a"]
    assert made.n_duplicates == 2


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"name": "another"}, True),
        ({"tracking__experiment": "elsewhere"}, True),
        ({"sweep__n_workers": 3}, True),
        ({"seed": 1}, False),
        ({"split__seed": 1}, False),
        ({"data__noise": 0.2}, False),
        ({"optimizer__learning_rate": 0.25}, False),
        ({"dtype": "float32"}, False),
    ],
)
def test_the_key_is_that_of_what_decides_the_result(changes: dict[str, object], same: bool) -> None:
    (one,), (other,) = plan({}).jobs, plan(changes).jobs
    assert (one.key == other.key) is same


def test_an_illegal_point_is_said_with_its_job() -> None:
    jobs = [job(seed=seed) for seed in range(99)]
    jobs.append(job(optimizer__learning_rate=-1.0, seed=99))
    with pytest.raises(ConfigError) as caught:
        make_plan(jobs)
    first, *_, last = str(caught.value).splitlines()
    assert first == "optimizer.learning_rate: must be a finite number above 0, got -1.0."
    assert last == ("Nothing was run: job 100 of 100 is optimizer.learning_rate=-1.0 seed=99")
    assert len(str(caught.value).splitlines()) <= 3


def test_an_illegal_job_alone_needs_no_number() -> None:
    with pytest.raises(ConfigError) as caught:
        make_plan([job(seed=-1)])
    assert "Nothing was run" not in str(caught.value)


def test_all_jobs_are_checked_before_data_are_read(tmp_path: Path) -> None:
    # The first job's file is missing, which would cost it alone; the last one's seed is illegal.
    missing = {"name": "file", "path": str(tmp_path / "none.csv"), "target": "y"}
    with pytest.raises(ConfigError, match=r"^seed: .*\nNothing was run: job 2 of 2"):
        make_plan([job(data=missing), job(seed=-1)])


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"tracking__uri": "sqlite:///b.db"}, r"tracking\.uri"),
        ({"tracking__experiment": "b"}, r"tracking\.experiment"),
        ({"sweep__n_workers": 3}, r"sweep\.n_workers"),
        ({"sweep__metric": "test/loss"}, r"sweep\.metric"),
    ],
)
def test_what_decides_where_and_how_must_be_one_for_all_jobs(
    changes: dict[str, object], key: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^{key}: must be the same for all jobs of a sweep"):
        plan({}, changes)
    assert len(plan(changes, {**changes, "seed": 1}).jobs) == 2


def test_a_data_problem_costs_one_job() -> None:
    made = plan({}, {"data": MISSING}, {"seed": 1})
    assert [one.problem is None for one in made.jobs] == [True, False, True]
    assert [one.shape is None for one in made.jobs] == [False, True, False]
    absent = made.jobs[1]
    assert "none.csv" in str(absent.problem)
    assert (absent.data_digest, absent.split_digest) == ("", "")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"training__batch_size": 41}, "training.batch_size: must be at most 40"),
        ({"split__train": 50}, "split: train + val + test must be at most the 60 rows"),
        ({"model__hidden_layer_sizes": [10**9]}, "model.hidden_layer_sizes: "),
    ],
    ids=str,
)
def test_a_setting_that_does_not_fit_its_data_is_said_before_anything_is_run(
    change: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        plan({"seed": 1}, {"seed": 2}, {"seed": 3, **change}, {"data": MISSING})
    first, *_, last = str(caught.value).splitlines()
    assert first.startswith(told)
    assert last.startswith("Nothing was run: job 3 of 4 is seed=3 ")
    assert len(last) <= 300


def test_batch_normalization_is_refused_batches_of_one_row() -> None:
    model = {"hidden_layer_sizes": [5], "normalization": "batch"}
    shared = {"n_members": 2, "share": "tabm"}
    with pytest.raises(ConfigError) as caught:
        plan({"seed": 1}, {"seed": 2, "model": model, "training__batch_size": 1})
    told = "training.batch_size: must be 2 or above for model.normalization=batch, got 1."
    assert str(caught.value).splitlines()[0] == told
    # Members that share weights have a row each.
    plan({"model": model | shared, "training__batch_size": 1})


def test_a_file_of_no_use_is_a_problem_of_each_job_that_reads_it(tmp_path: Path) -> None:
    data = table(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("x,y\n1,0\noops,1\n")
    made = plan(*({"data": data, "split": SPLIT, "seed": seed} for seed in range(3)))
    assert len(made.jobs) == 3
    assert all(isinstance(one.problem, DataError) for one in made.jobs)
    assert len({id(one.problem) for one in made.jobs}) == 1


def test_lines_are_json_for_each_job(tmp_path: Path) -> None:
    missing = {"name": "file", "path": str(tmp_path / "größe\n.csv"), "target": "y"}
    made = plan({"seed": 1, "data": missing}, {"seed": 2})
    bad, _, good = (json.loads(line) for line in made.lines().splitlines())
    assert (bad["key"], good[0]) == (made.jobs[0].key, made.jobs[1].key)
    assert bad["problem"] == str(made.jobs[0].problem)
    assert list(read_lines(made.lines())) == [
        replace(job, name="test", varied={}, shape=None, problem=None) for job in made.jobs
    ]


def test_a_job_of_a_large_plan_takes_a_hundred_bytes() -> None:
    rates = [0.1 / (number + 1) for number in range(10)]  # of many digits, as they are drawn
    changes = [{"optimizer__learning_rate": r, "seed": s} for r in rates for s in range(40)]
    made = plan(*changes)
    assert len(made.lines()) < 100 * len(made.jobs)
    found = list(read_lines(made.lines()))
    assert [job.experiment for job in found] == [job.experiment for job in made.jobs]


def test_jobs_share_in_memory_what_their_configs_share() -> None:
    first = job(seed=1)
    others = [replace(first, config={**first.config, "seed": seed}) for seed in (2, 3)]
    made = plan_each([first, *others])
    assert [one.experiment.seed for one in made.jobs] == [1, 2, 3]
    assert len({id(one.experiment.optimizer) for one in made.jobs}) == 1
    assert made.jobs[2] == plan_each([others[1]]).jobs[0]


def test_jobs_of_other_kinds_are_read_back_from_the_lines() -> None:
    made = plan(
        {"seed": 1},
        {"optimizer": {"name": "adam", "learning_rate": 0.1}},
        {"optimizer__learning_rate": 0.1, "training__batch_size": "auto"},
        {"data": {"name": "iris"}, "split__seed": 4},
        {"optimizer": {"name": "adam", "learning_rate": 0.2}, "model__hidden_layer_sizes": []},
    )
    found = list(read_lines(made.lines()))
    assert [(job.key, job.experiment) for job in found] == [
        (job.key, job.experiment) for job in made.jobs
    ]


def test_the_identity_is_independent_of_the_order_of_jobs() -> None:
    changes: list[dict[str, object]] = [{"name": "a"}, {"name": "b", "seed": 1}, {"seed": 2}]
    one, other = plan(*changes), plan(*reversed(changes))
    assert one.identity == other.identity
    assert one.experiment_name == other.experiment_name
    assert len(one.identity) == 12


def test_the_identity_is_that_of_what_is_run() -> None:
    found = {
        plan({"seed": 1}).identity,
        plan({"seed": 1}, {"seed": 2}).identity,
        plan({"seed": 1, "name": "b"}).identity,
        plan({"seed": 1, "data__seed": 1}).identity,
    }
    assert len(found) == 4
    assert plan({"seed": 1}, {"seed": 1}).identity in found
    assert plan({"seed": 1, "sweep__fail_fast": True}).identity in found


def test_the_identity_is_given_by_the_name_of_the_sweep() -> None:
    one = plan({"sweep__name": "mine", "seed": 1})
    assert one.identity == plan({"sweep__name": "mine", "seed": 2}).identity
    assert one.identity != plan({"sweep__name": "yours", "seed": 1}).identity
    # Each MLflow experiment may have a sweep of that name.
    assert one.identity != plan({"sweep__name": "mine", "seed": 1, "name": "b"}).identity


def test_only_what_differs_is_said_to_vary() -> None:
    made = plan({"seed": 1, "dtype": "float32"}, {"seed": 2, "dtype": "float32"})
    assert [one.varied for one in made.jobs] == [{"seed": "1"}, {"seed": "2"}]
    assert [one.name for one in made.jobs] == ["seed=1", "seed=2"]


@pytest.mark.parametrize(
    ("choices", "changes", "expected"),
    [
        # However a number was typed, it is the value that counts; text is written as it is.
        ([{}, {}], [{"seed": 1}, {"seed": 1, "dtype": "float32"}],
         [{"dtype": "float64"}, {"dtype": "float32"}]),
        ([{}, {}], [{"model__hidden_layer_sizes": [8, 4]}, {"model__hidden_layer_sizes": []}],
         [{"model.hidden_layer_sizes": "[8,4]"}, {"model.hidden_layer_sizes": "[]"}]),
        # The seed comes last, wherever it was typed.
        ([{}, {}], [{"seed": 2}, {"seed": 3, "optimizer__momentum": 0.0}],
         [{"optimizer.momentum": "0.5", "seed": "2"}, {"optimizer.momentum": "0.0", "seed": "3"}]),
        # An option of a group is told by its name, and not what comes with it.
        ([{"model": "small"}, {"model": "large"}],
         [{"model__hidden_layer_sizes": [2]}, {"model__hidden_layer_sizes": [64]}],
         [{"model": "small"}, {"model": "large"}]),
        ([{}, {}],
         [{}, {"optimizer": {"name": "adam", "learning_rate": 0.1}}],
         [{"optimizer": "sgd"}, {"optimizer": "adam"}]),
        # Where its settings are the same whatever was chosen, an option tells nothing.
        ([{"model": "small"}, {"model": "large"}, {"model": "large"}],
         [{"seed": 1}, {"seed": 1}, {"seed": 2}], [{"seed": "1"}, {"seed": "2"}]),
        # All is told in the order of the config, whatever that of the choices.
        ([{"optimizer": "fast", "model": "small", "split": "a"},
          {"optimizer": "slow", "model": "large", "split": "b"}],
         [{"split__train": 39, "optimizer__momentum": 0.0, "dtype": "float32"},
          {"model__hidden_layer_sizes": [3]}],
         [{"dtype": "float32", "split": "a", "model": "small", "optimizer": "fast"},
          {"dtype": "float64", "split": "b", "model": "large", "optimizer": "slow"}]),
        # Settings that differ beside the options are told with them.
        ([{"model": "small"}, {"model": "large"}, {"model": "large"}],
         [{"model__hidden_layer_sizes": [2]},
          {"model__hidden_layer_sizes": [64]}, {"model__hidden_layer_sizes": [32]}],
         [{"model": "small", "model.hidden_layer_sizes": "[2]"},
          {"model": "large", "model.hidden_layer_sizes": "[64]"},
          {"model": "large", "model.hidden_layer_sizes": "[32]"}]),
        # An experiment chooses of all groups.
        ([{"experiment": "a", "model": "small"}, {"experiment": "b", "model": "large"}],
         [{"name": "a", "seed": 1}, {"name": "b", "seed": 2, "optimizer__momentum": 0.0}],
         [{"experiment": "a", "seed": "1"}, {"experiment": "b", "seed": "2"}]),
        # What decides no result tells nothing.
        ([{"tracking": "local"}, {"tracking": "server"}],
         [{"seed": 1, "name": "a"}, {"seed": 2, "name": "b"}],
         [{"seed": "1"}, {"seed": "2"}]),
    ],
)  # fmt: skip
def test_what_varies_is_the_difference_of_the_configs(
    choices: list[dict[str, str]], changes: list[dict[str, object]], expected: list[dict[str, str]]
) -> None:
    jobs = [job(options, **change) for options, change in zip(choices, changes, strict=True)]
    found = [one.varied for one in make_plan(jobs).jobs]
    assert [list(each.items()) for each in found] == [list(each.items()) for each in expected]


def test_a_job_alone_is_named_by_what_the_command_line_has_set() -> None:
    overrides = ("model=mlp", "optimizer.momentum=5e-1", "seed=3", "tracking.uri=x", "name=a=b")
    (one,) = make_plan([Job(config(seed=3), overrides, {"model": "mlp"})]).jobs
    assert one.varied == {"model": "mlp", "optimizer.momentum": "0.5", "seed": "3"}
    assert one.name == "model=mlp momentum=0.5 seed=3"


def test_runs_are_named_by_what_varies() -> None:
    one = experiment()
    assert run_name(one, {}) == CONFIG["name"]
    assert run_name(one, {"optimizer.learning_rate": "0.1", "seed": "3"}) == (
        "learning_rate=0.1 seed=3"
    )
    assert run_name(one, {"split.seed": "1", "seed": "3"}) == "split.seed=1 seed=3"
    assert run_name(one, {"experiment": "iris", "seed": "3"}) == "iris seed=3"


def test_the_experiment_is_named_by_those_of_the_jobs() -> None:
    assert plan({"seed": 1}, {"seed": 2}).experiment_name == "test"
    assert plan({"name": "b"}, {"name": "a", "seed": 1}).experiment_name == "a+b"
    many = plan(*({"name": f"{'x' * 100}{seed}", "seed": seed} for seed in range(9)))
    assert len(many.experiment_name) == 250
