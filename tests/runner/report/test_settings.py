from runner.report.settings import differing, in_words, setting_columns
from tests.runner.report.outcomes import HOSTILE


def test_only_what_differs_is_named_by_the_end_of_its_key() -> None:
    varied = [{"model.activation": "relu", "optimizer.learning_rate": rate} for rate in "12"]
    assert differing(varied) == {"optimizer.learning_rate": "learning_rate"}


def test_what_some_do_not_have_differs() -> None:
    assert differing([{"optimizer": "adam"}, {}]) == {"optimizer": "optimizer"}


def test_equal_ends_are_told_apart_by_the_whole_key() -> None:
    varied = [{"seed": n, "split.seed": n} for n in "12"]
    assert differing(varied) == {"seed": "seed", "split.seed": "split.seed"}
    assert differing([{"split.seed": n} for n in "12"]) == {"split.seed": "split.seed"}


def test_of_one_and_of_none_nothing_differs() -> None:
    assert differing([{"seed": "0"}]) == differing([]) == {}


def test_a_setting_that_one_does_not_have_is_left_blank() -> None:
    (column,) = setting_columns([{"a.b": "1"}, {}], {"a.b": "b"})
    assert (column.header, column.cells) == ("b", ["1", ""])


def test_a_configuration_is_named_by_what_differs() -> None:
    names = {"optimizer.learning_rate": "learning_rate", "optimizer": "optimizer"}
    varied = {"optimizer": "adam", "optimizer.learning_rate": "0.1", "name": "x"}
    assert in_words(varied, names) == "learning_rate=0.1 optimizer=adam"
    assert in_words({"name": "x"}, names) == "the defaults"


def test_names_act_on_nothing_and_stay_short() -> None:
    names = differing([{HOSTILE * 9: HOSTILE * 9}, {}])
    (column,) = setting_columns([{HOSTILE * 9: HOSTILE * 9}], names)
    told = [*names.values(), *column.cells, in_words({HOSTILE * 9: HOSTILE}, names)]
    assert all(text.isprintable() for text in told)
    assert max(map(len, told)) <= 60
