"""Sizes, names and addresses of what the checkout holds.

A rule takes a checkout's folder and yields one line for each place that breaks it.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.rules.imports import CODE, python_files

VAGUE = {"utils", "helpers", "common", "misc", "base"}
# In pieces, so that this file does not break its own rule.
ADDRESSES = ("py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "deb" + "ian.org")
PLACES = ("/wo" + "rk/", "/ro" + "ot/", "/opt/" + "wheels", "sha" + "red/", "index-" + "url")


def python_files_hold_one_idea(root: Path) -> Iterator[str]:
    for path in python_files(root, *CODE, "tests", "benchmarks"):
        lines = len(path.read_text("utf-8").splitlines())
        if lines > 300:
            yield f"{path.relative_to(root)} has {lines} lines"


def config_files_fit_a_glance(root: Path) -> Iterator[str]:
    for path in sorted((root / "conf").rglob("*.yaml")):
        lines = len(path.read_text("utf-8").splitlines())
        if lines > 15:
            yield f"{path.relative_to(root)} has {lines} lines"


def config_groups_give_a_choice(root: Path) -> Iterator[str]:
    for group in sorted(path for path in (root / "conf").iterdir() if path.is_dir()):
        if len(list(group.glob("*.yaml"))) < 2:
            yield f"{group.relative_to(root)} has less than two options"


def the_readme_is_short(root: Path) -> Iterator[str]:
    lines = len((root / "README.md").read_text("utf-8").splitlines())
    if lines >= 200:
        yield f"README.md has {lines} lines"


def names_say_what_is_inside(root: Path) -> Iterator[str]:
    for path in python_files(root, *CODE, "tests", "benchmarks"):
        where = path.relative_to(root).with_suffix("")
        if VAGUE & {part.removeprefix("test_") for part in where.parts}:
            yield f"{where} says nothing"


def modules_open_with_their_purpose(root: Path) -> Iterator[str]:
    for path in python_files(root, *CODE, "benchmarks"):
        if not ast.get_docstring(ast.parse(path.read_text("utf-8"))):
            yield f"{path.relative_to(root)} has no docstring"


def tests_mirror_the_sources(root: Path) -> Iterator[str]:
    for path in python_files(root, "tests/softnet", "tests/runner", "tests/hydra_plugins"):
        where = path.relative_to(root)
        mirrored = root.joinpath(*where.parts[1:-1])
        source = mirrored / where.stem.removeprefix("test_")
        # A folder of tests may also stand for one module that needs many.
        modules = [source.with_suffix(".py"), source / "__init__.py", mirrored.with_suffix(".py")]
        if where.name.startswith("test_") and not any(module.is_file() for module in modules):
            yield f"{where} tests no source"


def nothing_names_this_machine(root: Path) -> Iterator[str]:
    listing = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
        text=True,
    )
    pattern = re.compile("|".join(map(re.escape, (*ADDRESSES, *PLACES))), re.IGNORECASE)
    for name in filter(None, listing.stdout.split("\0")):
        path = root / name
        # A deleted file stays listed until its deletion is committed.
        text = path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
        for number, line in enumerate(text.splitlines(), start=1):
            if found := pattern.search(line):
                yield f"{name}:{number} names {found[0]}"
