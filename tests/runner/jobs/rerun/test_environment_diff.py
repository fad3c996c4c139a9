"""What differs between two environments, whatever anybody wrote into the record of one."""

import copy
import json

import pytest

from runner.jobs.rerun.environment_diff import EnvironmentDifference, environment_differences
from runner.system.environment import environment, environment_digest

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


def without(*path: str) -> object:
    """Return today's environment after a way through JSON, with one fact missing."""
    record = json.loads(json.dumps(HERE))
    place = record
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return record


@pytest.mark.parametrize("path", [("packages",), ("packages", "mlflow"), ("git",)])
def test_a_fact_that_decides_nothing_decides_nothing_where_it_is_missing(path: tuple[str, ...]):
    found = environment_differences(without(*path), HERE)
    assert not any(each.decides for each in found)
    if path[0] == "packages":
        assert {each.original for each in found} == {"not on record"}
        assert "mlflow" in {each.what for each in found}


def test_a_package_that_is_not_known_here_decides_nothing() -> None:
    (found,) = environment_differences(changed("packages", "foo", to="1"), HERE)
    assert found == EnvironmentDifference("foo", "1", "not known", decides=False)


@pytest.mark.parametrize("decisive", [{}, [], None, "text"])
def test_of_an_unreadable_record_the_facts_that_decide_are_missing(decisive: object) -> None:
    found = environment_differences(changed("decisive", to=decisive), HERE)
    assert {each.what for each in found} >= {"Python", "NumPy", "BLAS", "BLAS kernel", "CPU"}
    assert {each.original for each in found} == {"not on record"}
    assert all(each.decides for each in found)
    (simd,) = [each.here for each in found if each.what == "SIMD"]
    assert simd == " ".join(HERE["decisive"]["simd"])


def test_a_fact_that_decides_and_is_missing_still_decides() -> None:
    (found,) = environment_differences(without("decisive", "libc"), HERE)
    assert (found.what, found.original, found.decides) == ("C library", "not on record", True)


def test_no_package_stands_for_a_fact_that_decides() -> None:
    record = json.loads(json.dumps(HERE))
    record["packages"]["CPU"] = record["decisive"]["machine"]["cpu"]
    record["decisive"]["machine"]["cpu"] = "other"
    found = {(each.what, each.decides) for each in environment_differences(record, HERE)}
    assert found == {("CPU", True), ("CPU", False)}


def test_of_two_blas_libraries_on_record_both_are_told() -> None:
    known = HERE["decisive"]["blas"][0]
    other = {"library": "mkl", "version": "2", "kernel": "AVX", "threads": 4}
    record = changed("decisive", "blas", to=[other, known])
    found = {each.what: each.original for each in environment_differences(record, HERE)}
    assert found == {
        "BLAS": f"mkl 2 and {known['library']} {known['version']}",
        "BLAS kernel": f"AVX and {known['kernel']}",
        "BLAS threads": "4 and 1",
    }


@pytest.mark.parametrize(
    ("path", "to", "row"),
    [
        (("decisive", "zzz"), "other", ("zzz", "other", "not known")),
        (("decisive", "blas", 0, "threads"), "1", ("BLAS threads", "'1'", "1")),
        (("decisive", "blas", 0, "threads"), True, ("BLAS threads", "True", "1")),
    ],
)
def test_whatever_changes_the_digest_is_shown(
    path: tuple[str | int, ...], to: object, row: tuple[str, str, str]
) -> None:
    found = environment_differences(changed(*path, to=to), HERE)
    assert [(each.what, each.original, each.here, each.decides) for each in found] == [(*row, True)]


@pytest.mark.parametrize("path", [("machine", "zzz"), ("blas", 0, "zzz"), ("machine",)])
def test_what_no_row_names_is_told_by_its_digest(path: tuple[str | int, ...]) -> None:
    record = json.loads(json.dumps(HERE))
    place = record["decisive"]
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = place["machine"] | {"zzz": 1} if path == ("machine",) else 1
    (found,) = environment_differences(record, HERE)
    assert (found.what, found.decides) == ("other facts", True)
    assert found.here == environment_digest() != found.original


def test_texts_that_are_alike_where_they_are_cut_are_told_apart() -> None:
    features = [[f"F{n}"] for n in range(100)]
    here = {**HERE, "decisive": {**HERE["decisive"], "code": [*features, 1]}}
    (found,) = environment_differences(changed("decisive", "code", to=[*features, 2]), here)
    assert found.original != found.here


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
    assert found.here == environment_digest()


def test_a_digest_that_is_missing_is_said_to_be_so() -> None:
    digests = [("split digest", "", "bb")]
    (found,) = environment_differences(json.loads(json.dumps(HERE)), HERE, digests)
    assert (found.what, found.original) == ("split digest", "not on record")


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
