"""Draws docs/architecture.svg: the rooms of the program, and who imports whom.

    python docs/draw_architecture.py

All of it is read off the sources: rooms are the folders of `runner/`, `softnet` and the plugins of
Hydra; a room is one floor above the highest room that it imports. Imports for annotations alone
(`if TYPE_CHECKING:`) do not count, as they do not for import-linter.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from textwrap import wrap

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
OURS = ("runner", "softnet", "hydra_plugins")
IMPORTED_AS = {"sklearn": "scikit-learn"}
INK, LINE, BAND, PAPER = "#222222", "#3b6ea5", "#f1f4f7", "#ffffff"
READING = (
    "A dot with a number: so many modules of the room at the left import the one that the arrow"
    " leads to."
    " In a room: its folders and modules, and the libraries that it imports."
)
# In units of the axes, which are inches.
WIDTH, HEIGHT, STEP_X, STEP_Y = 2.15, 1.0, 1.0, 1.16

Imports = dict[str, Counter[str]]


def room_of(module: str) -> str | None:
    """Return the room that a module is in; None for what is none of ours, or above all rooms."""
    top, *rest = module.split(".")
    if top == "runner":
        return rest[0] if rest and (ROOT / "runner" / rest[0]).is_dir() else None
    return top if top in OURS else None


def imported_modules(tree: ast.Module) -> Iterator[str]:
    """Yield the names of the modules that a module imports when it runs, wherever it does so."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module in OURS:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            todo += ast.iter_child_nodes(node)


def read_imports() -> tuple[Imports, dict[str, set[str]]]:
    """Return how many modules of each room import each other room, and the rooms' libraries."""
    rooms: Imports = {}
    libraries: dict[str, set[str]] = {}
    for path in sorted(path for top in OURS for path in (ROOT / top).rglob("*.py")):
        room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        if room is None or room == "__init__":
            continue
        names = set(imported_modules(ast.parse(path.read_text("utf-8"))))
        others = {other for other in map(room_of, names) if other and other != room}
        rooms.setdefault(room, Counter()).update(sorted(others))
        tops = {name.partition(".")[0] for name in names}
        libraries.setdefault(room, set()).update(tops - sys.stdlib_module_names - set(OURS))
    return rooms, libraries


def floors_of(rooms: Imports) -> dict[str, int]:
    """Return the floor of each room; those that import no other stand on the first."""

    @cache
    def floor(room: str) -> int:
        return 1 + max(map(floor, rooms[room]), default=0)

    return {room: floor(room) for room in rooms}


def contents_of(room: str) -> str:
    """Return what lies in a room, folders with a slash."""
    folder = ROOT / room if room in OURS else ROOT / "runner" / room
    found = [path for path in folder.iterdir() if not path.name.startswith(("_", "."))]
    folders = sorted(f"{path.name}/" for path in found if path.is_dir())
    return ", ".join([*folders, *sorted(path.stem for path in found if path.suffix == ".py")])


def draw_box(axes: Axes, room: str, libraries: set[str], x: float, y: float) -> None:
    """Draw a room, with what lies in it and the libraries that it imports."""
    shape = FancyBboxPatch(
        (x, y), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=PAPER, edgecolor=INK, linewidth=1, zorder=3,
    )  # fmt: skip
    axes.add_patch(shape)
    name = f"{room}/" if room in OURS else f"runner/{room}/"
    axes.text(x + 0.08, y + HEIGHT - 0.07, name, va="top", fontsize=9, weight="bold", zorder=4)
    inside = "\n".join(wrap(contents_of(room), 42))
    axes.text(x + 0.08, y + HEIGHT - 0.26, inside, va="top", fontsize=6, color="#444444", zorder=4)
    if libraries:
        named = ", ".join(sorted(IMPORTED_AS.get(name, name) for name in libraries))
        below = "\n".join(wrap(named, 42))
        axes.text(x + 0.08, y + 0.06, below, fontsize=6, color=LINE, style="italic", zorder=4)


def draw(rooms: Imports, libraries: dict[str, set[str]]) -> Figure:
    """Draw the rooms down a staircase; each import goes to the right, and down to what it needs."""
    floors = floors_of(rooms)
    # Of one floor, those that are imported from most rooms stand last, near the rooms below.
    n_users = Counter(other for imported in rooms.values() for other in imported)
    ordered = sorted(rooms, key=lambda room: (-floors[room], n_users[room], room))
    place = {room: (n * STEP_X, -n * STEP_Y) for n, room in enumerate(ordered)}
    width = STEP_X * (len(ordered) - 1) + WIDTH
    figure = Figure((width + 0.9, STEP_Y * len(ordered) + 0.75))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.7, width + 0.2), ylim=(-STEP_Y * (len(ordered) - 1) - 0.2, HEIGHT + 0.65))
    axes.axis("off")
    for floor in sorted(set(floors.values())):
        rows = [place[room][1] for room in ordered if floors[room] == floor]
        low, high = min(rows) - 0.08, max(rows) + HEIGHT + 0.08
        if floor % 2:
            axes.axhspan(low, high, color=BAND, linewidth=0, zorder=0)
        axes.text(-0.45, (low + high) / 2, str(floor), va="center", ha="center", color="#777777")
    for room in ordered:
        draw_box(axes, room, libraries[room], *place[room])
    # A line down to each room that is imported, one to the right from each room that imports, and
    # a dot with the number of importing modules where the two are joined.
    for room, imported in rooms.items():
        x, y = place[room]
        if imported:
            ends = [place[other][0] + WIDTH - 0.2 for other in imported]
            axes.plot([x + WIDTH, max(ends)], [y + HEIGHT / 2] * 2, color=LINE, lw=1, zorder=1)
            for other, end in zip(imported, ends, strict=True):
                axes.plot(end, y + HEIGHT / 2, "o", color=LINE, markersize=4, zorder=5)
                axes.text(end + 0.05, y + HEIGHT / 2 + 0.04, str(imported[other]), fontsize=6)
    for room in ordered:
        above = [place[user][1] for user in ordered if rooms[user][room]]
        if above:
            x, y = place[room][0] + WIDTH - 0.2, place[room][1] + HEIGHT
            style = {"arrowstyle": "-|>", "color": LINE, "lw": 1, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", (x, y), (x, max(above) + HEIGHT / 2), arrowprops=style, zorder=2)
    axes.text(-0.6, HEIGHT + 0.5, "Who imports whom", fontsize=11, weight="bold", va="top")
    axes.text(-0.6, HEIGHT + 0.28, READING, fontsize=7, va="top", color="#444444")
    return figure


def main() -> None:
    """Draw the picture anew."""
    # Text as text, so that a reader can search it.
    mpl.rcParams.update({"svg.hashsalt": "architecture", "svg.fonttype": "none"})
    draw(*read_imports()).savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
