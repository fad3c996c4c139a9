"""The checkout keeps the rules of the house, and each rule finds the fault planted for it."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rules import files, imports

CHECKOUT = Path(__file__).resolve().parents[1]
Rule = Callable[[Path], Iterator[str]]

RULES: list[Rule] = [
    imports.softnet_knows_numpy_alone,
    imports.libraries_stay_in_their_rooms,
    imports.runner_uses_public_names_of_softnet,
    imports.imports_run_one_way,
    imports.the_command_line_starts_light,
    imports.dependencies_are_declared_and_used,
    files.python_files_hold_one_idea,
    files.config_files_fit_a_glance,
    files.config_groups_give_a_choice,
    files.the_readme_is_short,
    files.names_say_what_is_inside,
    files.modules_open_with_their_purpose,
    files.tests_mirror_the_sources,
    files.nothing_names_this_machine,
]

# A checkout that keeps every rule.
SOUND = {
    "README.md": "Two commands.\n",
    "pyproject.toml": "[project]\ndependencies = ['numpy>=2', 'hydra-core']\n",
    "conf/data/a.yaml": "name: a\n",
    "conf/data/b.yaml": "name: b\n",
    "softnet/__init__.py": "'''Doc.'''\nfrom softnet.layers.linear import Linear\n__all__ = ['Linear']\n",
    "softnet/layers.py": "'''Doc.'''\nimport math\nimport numpy as np\n",
    "runner/__init__.py": "'''Doc.'''\n",
    "runner/cli.py": "'''Doc.'''\ndef main():\n    from runner import compose, build\n",
    "runner/compose.py": "'''Doc.'''\nfrom hydra import main\n",
    "runner/build.py": "'''Doc.'''\nimport softnet\nprint(softnet.Linear)\n",
    "tests/runner/test_build.py": "",
    "tests/runner/cli/test_signals.py": "",
}

# What is added to it, and what the rule must answer.
PLANTED: list[tuple[Rule, dict[str, str], str]] = [
    (
        RULES[0],
        {"softnet/layers.py": "import scipy.special\n"},
        "layers.py:1 imports scipy.special",
    ),
    (
        RULES[0],
        {"softnet/layers.py": "def f():\n    import runner\n"},
        "layers.py:2 imports runner",
    ),
    (RULES[0], {"softnet/layers.py": "from .. import runner\n"}, "layers.py:1 imports "),
    (
        RULES[1],
        {"runner/build.py": "import mlflow.pyfunc as m\n"},
        "build.py:1 imports mlflow.pyfunc",
    ),
    (RULES[1], {"runner/datasheet.py": "import pandas\n"}, "datasheet.py:1 imports pandas"),
    (RULES[1], {"runner/data/files.py": "import rich\n"}, "files.py:1 imports rich"),
    (
        RULES[2],
        {"runner/build.py": "from softnet.layers.linear import Linear\n"},
        "imports softnet.layers.linear",
    ),
    (
        RULES[2],
        {"runner/build.py": "from softnet import layers\n"},
        "build.py:1 takes softnet.layers.linear",
    ),
    (
        RULES[2],
        {"runner/build.py": "import softnet\nsoftnet.layers.x()\n"},
        ":2 takes softnet.layers.linear",
    ),
    (
        RULES[3],
        {"runner/compose.py": "from runner import cli\n"},
        "runner.cli.main <- runner.config.compose",
    ),
    (
        RULES[3],
        {"softnet/layers.py": "def f():\n    from softnet import Linear\n"},
        "softnet.layers.linear",
    ),
    (RULES[4], {"runner/cli.py": "from runner import build\n"}, "layers.py:3 imports numpy"),
    (RULES[4], {"runner/__init__.py": "import numpy\n"}, "__init__.py:1 imports numpy"),
    (RULES[4], {"hydra_plugins/x.py": "'''Doc.'''\nimport numpy\n"}, "x.py:2 imports numpy"),
    (RULES[5], {"runner/build.py": "import yaml\n"}, "yaml is imported, not declared"),
    (RULES[5], {"runner/compose.py": ""}, "hydra is declared, not imported"),
    (RULES[6], {"tests/runner/test_build.py": "\n" * 301}, "test_build.py has 301 lines"),
    (RULES[7], {"conf/data/a.yaml": "#\n" * 16}, "conf/data/a.yaml has 16 lines"),
    (RULES[8], {"conf/model/only.yaml": "name: only\n"}, "conf/model has less than two options"),
    (RULES[9], {"README.md": "\n" * 200}, "README.md has 200 lines"),
    (RULES[10], {"runner/data/utils.py": ""}, "runner/data/utils says nothing"),
    (RULES[10], {"tests/runner/test_helpers.py": ""}, "test_helpers says nothing"),
    (RULES[11], {"runner/build.py": "# only a comment\n"}, "runner/build.py has no docstring"),
    (RULES[12], {"tests/runner/test_gone.py": ""}, "tests/runner/test_gone.py tests no source"),
    (RULES[13], {"README.md": "see /wo" + "rk/main\n"}, "README.md:1 names /wo" + "rk/"),
    (
        RULES[13],
        {"requirements.txt": "# https://PyPi" + ".org/simple\n"},
        "requirements.txt:1 names",
    ),
]


def write(folder: Path, contents: dict[str, str]) -> None:
    for name, text in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    write(tmp_path, SOUND)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_checkout_keeps_the_rule(rule: Rule) -> None:
    found = list(rule(CHECKOUT))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_sound_checkout_passes(rule: Rule, sound: Path) -> None:
    assert list(rule(sound)) == []


@pytest.mark.parametrize(("rule", "contents", "answer"), PLANTED)
def test_a_planted_fault_is_found(
    rule: Rule, contents: dict[str, str], answer: str, sound: Path
) -> None:
    write(sound, contents)
    found = list(rule(sound))
    assert len(found) == 1
    assert re.search(re.escape(answer), found[0])


def test_each_rule_has_a_planted_fault() -> None:
    assert {rule for rule, _, _ in PLANTED} == set(RULES)
