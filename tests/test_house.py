"""Rules of the house that neither ruff, mypy nor import-linter can hold.

Each takes a checkout's folder, and yields one line for each place that breaks it.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
CODE = ("softnet", "runner", "hydra_plugins")
IMPORTED_AS = {
    "charset-normalizer": "charset_normalizer",
    "hydra-core": "hydra",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}
PART_OF = {"pydantic_core": "pydantic"}
# In pieces, so that this file does not break its own rule.
ADDRESSES = ("py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "deb" + "ian.org")
FLAGS = ("--index-" + "url", "--extra-" + "index-url")
MACHINE = ("/wo" + "rk/", "/ro" + "ot/", "/opt/" + "wheels", "sha" + "red/", *FLAGS)

Rule = Callable[[Path], Iterator[str]]


def modules(root: Path, *folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(path for folder in folders for path in (root / folder).rglob("*.py")):
        yield path.relative_to(root), ast.parse(path.read_text("utf-8"))


def dependencies_are_declared_and_used(root: Path) -> Iterator[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    needed = _packages(project["dependencies"])
    declared = needed | _packages(
        [line for extra in project.get("optional-dependencies", {}).values() for line in extra]
    )
    imported = set[str]()
    for _, module in modules(root, *CODE):
        for node in ast.walk(module):
            if isinstance(node, ast.Import):
                imported.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "find_spec":
                imported.update(ast.literal_eval(name) for name in node.args)  # its files are read
    imported -= sys.stdlib_module_names | set(CODE)
    imported = {PART_OF.get(name, name) for name in imported}
    yield from sorted(f"{name} is imported, not declared" for name in imported - declared)
    yield from sorted(f"{name} is declared, not imported" for name in needed - imported)


def _packages(requirements: list[str]) -> set[str]:
    names = (re.split(r"[<>=!~\[; ]", line)[0] for line in requirements)
    return {IMPORTED_AS.get(name, name) for name in names}


def config_groups_offer_a_choice(root: Path) -> Iterator[str]:
    for group in sorted(path for path in (root / "conf").iterdir() if path.is_dir()):
        if len(list(group.glob("*.yaml"))) < 2:
            yield f"{group.relative_to(root)} has less than two options"


def docstrings_say_what_a_module_does(root: Path) -> Iterator[str]:
    """Not what it does not do, or must not."""
    pattern = re.compile(r"[Mm]ust not (know|import)|[Kk]nows (neither|nothing|no)\b")
    for path, module in modules(root, *CODE, "benchmarks"):
        if found := pattern.search(" ".join((ast.get_docstring(module) or "").split())):
            yield f"{path} says {found[0]!r}"


def folders_of_tests_mirror_the_sources(root: Path) -> Iterator[str]:
    tests = root / "tests"
    for folder in sorted({path.parent for path in tests.rglob("test_*.py")}):
        source = root / folder.relative_to(tests)
        # A folder may also stand for one module that needs many tests.
        mirrored = source.is_dir() or source.with_suffix(".py").is_file()
        if folder.name not in {"cluster", "conformance", "faults"} and not mirrored:
            yield f"{folder.relative_to(root)} tests no source"


def nothing_names_this_machine(root: Path) -> Iterator[str]:
    listing = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
        text=True,
    )
    pattern = re.compile("|".join(map(re.escape, (*ADDRESSES, *MACHINE))), re.IGNORECASE)
    for name in filter(None, listing.stdout.split("\0")):
        path = root / name
        # A deleted file stays listed until its deletion is committed.
        text = path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
        for number, line in enumerate(text.splitlines(), start=1):
            if found := pattern.search(line):
                yield f"{name}:{number} names {found[0]}"


# For each rule, files that break it, and what it must answer.
FAULTS: list[tuple[Rule, dict[str, str], str]] = [
    (
        dependencies_are_declared_and_used,
        {"runner/build.py": "import numpy, yaml.x\n"},
        "yaml is imported, not declared",
    ),
    (
        dependencies_are_declared_and_used,
        {"runner/compose.py": ""},
        "hydra is declared, not imported",
    ),
    (config_groups_offer_a_choice, {"conf/model/only.yaml": ""}, "model has less than two"),
    (
        docstrings_say_what_a_module_does,
        {"runner/build.py": "'''Builds. It must not\nknow Hydra.'''\n"},
        "build.py says 'must not know'",
    ),
    (
        folders_of_tests_mirror_the_sources,
        {"tests/runner/gone/test_x.py": ""},
        "gone tests no source",
    ),
    (nothing_names_this_machine, {"README.md": "/wo" + "rk/x\n"}, "README.md:1 names /wo" + "rk/"),
    (nothing_names_this_machine, {"a.txt": "https://PyPi" + ".org/x\n"}, "a.txt:1 names"),
]
RULES = list(dict.fromkeys(rule for rule, _, _ in FAULTS))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_checkout_keeps_the_rule(rule: Rule) -> None:
    broken = list(rule(CHECKOUT))
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(("rule", "files", "answer"), FAULTS)
def test_a_planted_fault_is_found(
    rule: Rule, files: dict[str, str], answer: str, tmp_path: Path
) -> None:
    sound = {
        "pyproject.toml": "[project]\ndependencies = ['numpy>=2', 'hydra-core']\n",
        "conf/data/a.yaml": "",
        "conf/data/b.yaml": "",
        "runner/compose.py": "from hydra import main\n",
        "runner/build.py": "'''Doc.'''\ndef f():\n    import numpy as np\n    import math\n",
        "tests/runner/build/test_numbers.py": "",
    }
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for name, text in sound.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    assert list(rule(tmp_path)) == []
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    (broken,) = rule(tmp_path)
    assert answer in broken
