"""What differs between two environments, whatever anybody wrote into the record of one."""

import copy
import json

import pytest

from runner.environment import environment
from runner.rerun.environments import EnvironmentDifference, environment_differences

HERE = environment()


def changed(*path: str | int, to: object) -> object:
    """Return today's environment after a way through JSON, with one value changed."""
    record = json.loads(json.dumps(HERE))
    place = record
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return record


def test_the_same_environment_differs_in_nothing() -> None:
    assert environment_differences(json.loads(json.dumps(HERE)), HERE) == []


@pytest.mark.parametrize(
    ("path", "what"),
    [
        (("decisive", "python"), "Python"),
        (("decisive", "numpy"), "NumPy"),
        (("decisive", "blas", 0, "kernel"), "BLAS kernel"),
        (("decisive", "blas", 0, "threads"), "BLAS threads"),
        (("decisive", "machine", "cpu"), "CPU"),
        (("decisive", "code"), "code"),
    ],
)
def test_a_fact_that_decides_the_bits_is_named_as_such(path: tuple[str | int, ...], what: str):
    (found,) = environment_differences(changed(*path, to="other"), HERE)
    assert (found.what, found.original, found.decides) == (what, "other", True)
    assert found.here not in {"other", ""}


def test_packages_and_the_commit_are_told_but_do_not_decide() -> None:
    record = changed("packages", "mlflow", to="2.0")
    (found,) = environment_differences(record, HERE)
    assert (found.what, found.original, found.decides) == ("mlflow", "2.0", False)
    record = changed("git", to={"commit": "abc", "clean": False})
    (found,) = environment_differences(record, HERE)
    assert (found.what, found.original, found.decides) == ("git commit", "abc with changes", False)


def test_of_simd_features_only_those_that_differ_are_told() -> None:
    features: list[str] = copy.copy(HERE["decisive"]["simd"])
    removed = features.pop()
    (found,) = environment_differences(changed("decisive", "simd", to=features), HERE)
    assert found == EnvironmentDifference("SIMD", "without", f"with {removed}", decides=True)


def test_digests_that_differ_decide() -> None:
    digests = [("data digest", "aa", "bb"), ("split digest", "cc", "cc")]
    (found,) = environment_differences(json.loads(json.dumps(HERE)), HERE, digests)
    assert found == EnvironmentDifference("data digest", "aa", "bb", decides=True)


def test_an_environment_that_is_not_on_record_is_said_to_be_so() -> None:
    (found,) = environment_differences(None, HERE)
    assert (found.what, found.original) == ("environment", "not on record")


@pytest.mark.parametrize(
    "record",
    [
        {},
        [],
        "text",
        7,
        {"decisive": None},
        {"decisive": {"blas": [1, None, "x"], "simd": {"a": 1}, "machine": []}},
        {"decisive": {"blas": {"kernel": 1}, "simd": [1, {"b": 2}]}, "git": "x", "packages": [1]},
    ],
)
def test_whatever_json_the_record_is_the_differences_are_texts(record: object) -> None:
    found = environment_differences(record, HERE)
    assert found
    assert all(isinstance(text, str) for each in found for text in (each.original, each.here))
