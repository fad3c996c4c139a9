"""What differs between two environments, whatever anybody wrote into the record of one."""

import copy
import json
from typing import Any

import pytest

from runner.jobs.rerun.environment_diff import EnvironmentDifference, environment_differences
from runner.training.environment import environment, environment_digest

HERE = environment()
LOST = object()


def changed(*path: str | int, to: object) -> dict[str, Any]:
    """Return today's environment as a record has it, with one fact changed or left out."""
    record: dict[str, Any] = json.loads(json.dumps(HERE))
    part: Any = record
    for name in path[:-1]:
        part = part[name]
    if to is LOST:
        del part[path[-1]]
    else:
        part[path[-1]] = to
    return record


def rows(record: object) -> list[tuple[str, str, bool]]:
    found = environment_differences(record, HERE)
    assert all(row.original != row.here for row in found)
    return [(row.what, row.original, row.decides) for row in found]


def test_the_same_environment_differs_in_nothing() -> None:
    assert rows(json.loads(json.dumps(HERE))) == []


# A fact, what it was, and the row of the table.
FACTS: list[tuple[tuple[str | int, ...], object, tuple[str, str, bool]]] = [
    (("decisive", "python"), "other", ("Python", "other", True)),
    (("decisive", "numpy"), "other", ("NumPy", "other", True)),
    (("decisive", "blas", 0, "kernel"), "other", ("BLAS kernel", "other", True)),
    (("decisive", "blas", 0, "threads"), 2, ("BLAS threads", "2", True)),
    (("decisive", "blas", 0, "threads"), "1", ("BLAS threads", "'1'", True)),
    (("decisive", "blas", 0, "threads"), True, ("BLAS threads", "True", True)),
    (("decisive", "machine", "cpu"), "other", ("CPU", "other", True)),
    (("decisive", "code"), "other", ("code", "other", True)),
    (("decisive", "libc"), LOST, ("C library", "not on record", True)),
    (("decisive", "zzz"), "other", ("zzz", "other", True)),
    (("decisive", "blas", 0, "zzz"), 1, ("blas.0.zzz", "1", True)),
    (("packages", "mlflow"), "2.0", ("mlflow", "2.0", False)),
    (("packages", "mlflow"), LOST, ("mlflow", "not on record", False)),
    (("packages", "CPU"), "other", ("CPU", "other", False)),
    (("git",), {"commit": "abc", "clean": False}, ("git commit", "abc with changes", False)),
]


@pytest.mark.parametrize(("path", "value", "row"), FACTS, ids=range(len(FACTS)))
def test_a_fact_that_differs_is_named(
    path: tuple[str | int, ...], value: object, row: tuple[str, str, bool]
) -> None:
    assert rows(changed(*path, to=value)) == [row]


@pytest.mark.parametrize("decisive", [{}, [], None, "text"])
def test_of_an_unreadable_record_the_facts_that_decide_are_missing(decisive: object) -> None:
    assert {row[1:] for row in rows(changed("packages", to=LOST))} == {("not on record", False)}
    found = environment_differences(changed("decisive", to=decisive), HERE)
    assert {row.what for row in found} >= {"Python", "NumPy", "BLAS", "BLAS kernel", "CPU", "SIMD"}
    assert {(row.original, row.decides) for row in found} == {("not on record", True)}


def test_a_second_blas_library_is_named() -> None:
    libraries = [*HERE["decisive"]["blas"], {"library": "mkl", "threads": 4}]
    assert rows(changed("decisive", "blas", to=libraries)) == [
        ("blas.1.library", "mkl", True),
        ("blas.1.threads", "4", True),
    ]


def test_of_simd_features_only_those_that_differ_are_named() -> None:
    features: list[str] = copy.copy(HERE["decisive"]["simd"])
    removed = features.pop()
    (row,) = environment_differences(changed("decisive", "simd", to=features), HERE)
    assert row == EnvironmentDifference("SIMD", "without", f"with {removed}", decides=True)


DIGESTS = {
    "aa": ("aa", "bb" * 8),
    "": ("not on record", "bb" * 8),
    "bb" * 9: ("bb" * 9, "bb" * 32),
}


@pytest.mark.parametrize(("then", "shown"), DIGESTS.items())
def test_digests_that_differ_decide(then: str, shown: tuple[str, str]) -> None:
    digests = [("data digest", then, "bb" * 32), ("split digest", "cc", "cc")]
    (row,) = environment_differences(HERE, HERE, digests)
    assert row == EnvironmentDifference("data digest", *shown, decides=True)


def test_an_environment_that_is_not_on_record_is_said_to_be_so() -> None:
    (row,) = environment_differences(None, HERE)
    here = environment_digest()
    assert row == EnvironmentDifference("environment", "not on record", here, decides=True)
