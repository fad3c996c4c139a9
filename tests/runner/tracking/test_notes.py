"""What MLflow's page of a run says first: Markdown of what was run and came of it."""

from runner.tracking import SweepSummary
from runner.tracking.notes import group_note, run_note, sweep_note
from tests.runner.report.outcomes import HOSTILE, failed, outcome

RATE, SEED = "optimizer.learning_rate", "seed"


def test_a_run_tells_its_data_its_metrics_and_how_to_go_on() -> None:
    final = {"train/loss": 0.1, "train/accuracy": 0.975, "val/loss": 0.2, "val/accuracy": 0.95}
    final |= {"baseline/val/loss": 0.7, "baseline/val/accuracy": 0.5}
    settings = {"name": "own", "seed": 3, "optimizer": {"name": "sgd", "momentum": 0.0}}
    assert run_note("own", "1" * 32, "60 rows", final, "own", "sqlite:///a b", settings) == (
        "**own**: 60 rows\n\n"
        "|  | loss | accuracy |\n| --- | ---: | ---: |\n"
        "| train | 0.1 | 0.9750 |\n| val | 0.2 | 0.9500 |\n"
        "| baseline/val | 0.7 | 0.5000 |\n\n- `optimizer`: name=sgd\n- `seed`: 3\n\n"
        f"```\nrunner rerun {'1' * 32} --check\nrunner predict {'1' * 32} FILE.csv\n"
        "MLFLOW_TRACKING_URI='sqlite:///a b' "
        f"mlflow models serve -m runs:/{'1' * 32}/own --env-manager local\n```"
    )


def test_a_sweep_tells_what_varied_and_its_best_configurations() -> None:
    runs = [
        outcome(number, varied={RATE: rate, SEED: seed}, metrics={"val/loss": loss})
        for number, (rate, seed, loss) in enumerate(
            [("0.1", "0", 0.5), ("0.1", "1", 0.7), ("0.2", "0", 0.2), ("0.2", "1", 0.2)]
        )
    ]
    lost = failed(4, varied={RATE: "9", SEED: "0"})
    third = outcome(5, varied={RATE: "0.3", SEED: "0"}, metrics={"val/loss": 0.9})
    about = ("rates", "2" * 32, "60 rows")
    worth = SweepSummary((0.3, 0.1, 0.5))
    note = sweep_note(*about, [*runs, third, lost], "val/loss", worth, "sqlite:///x")
    head, better, expected, heading, table, varied, commands = note.split("\n\n")
    assert head == "**rates**: 6 runs, 1 failed. 60 rows"
    assert varied == "- `optimizer.learning_rate`: 0.1, 0.2, 0.3, 9\n- `seed`: 0, 1"
    assert heading == "The best by val/loss, mean ± half of the 95 % interval:"
    assert table.splitlines()[0] == "| learning_rate | val/loss | n |"
    assert table.splitlines()[2] == "| 0.2 | **0.2 ± 0** | 2 |"
    assert better.startswith("learning_rate=0.2 and learning_rate=0.1 are not distinguishable on ")
    assert expected == (
        "Best of 3 tried: val/loss 0.2 on the validation rows that chose it; 0.30 \\[0.10, 0.50\\]"
        " expected on new rows."
    )
    assert "runner predict rates FILE.csv" in commands
    assert "models serve" not in note


def test_where_nothing_finished_it_says_so() -> None:
    lost = [failed(number, varied={SEED: str(number)}) for number in range(2)]
    assert group_note("own", "val/loss", lost) == (
        "One configuration of **own**, 2 runs, none finished."
    )
    note = sweep_note("s", "2" * 32, "", lost, "val/loss", SweepSummary(), "sqlite:///x")
    assert "The best" not in note


def test_a_configuration_that_was_pruned_says_at_which_rung() -> None:
    stopped = {"status": "PRUNED", "pruned_at_step": 36, "pruned_at_epoch": 6}
    runs = [outcome(number, varied={SEED: str(number)}, **stopped) for number in range(2)]
    assert group_note("own", "val/loss", runs) == (
        "One configuration of **own**, 2 runs, pruned: 2 at epoch 6."
    )
    note = sweep_note("s", "2" * 32, "", runs, "val/loss", SweepSummary(), "sqlite:///x")
    assert "2 runs pruned: 2 at epoch 6\n" in note


def test_a_group_says_that_its_metrics_are_of_the_weights_that_were_kept() -> None:
    runs = [outcome(number, metrics={"val/loss": 0.5, "best/val/loss": 0.5}) for number in range(2)]
    note = group_note("own", "val/loss", runs)
    assert "val/loss here is of these, a run's best/val/loss;" in note
    assert "best/" not in group_note("own", "val/loss", [outcome(0)])


def test_a_configuration_alone_is_not_the_best_and_one_run_has_no_interval() -> None:
    runs = [outcome(number, varied={SEED: str(number)}) for number in range(2)]
    (*_, row) = group_note("own", "val/loss", runs).splitlines()
    assert "±" in row
    assert "**" not in row
    assert "interval" not in group_note("own", "val/loss", runs[:1])


def test_names_from_outside_are_text_and_no_markup() -> None:
    run = outcome(0, varied={"a|b": HOSTILE, "c": "1"}, metrics={"val/loss": 1.0})
    for note in (
        sweep_note("a*b|c<i>", "2" * 32, "", [run], "val/loss", SweepSummary(), "sqlite:///x"),
        group_note("a*b|c<i>", "val/loss", [run]),
        run_note("a*b|c<i>", "2" * 32, "", {}, "", "sqlite:///x", {"optimizer": {"name": HOSTILE}}),
    ):
        assert r"a\*b\|c\<i\>" in note
        assert note.replace("\n", "").isprintable()
