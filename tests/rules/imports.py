"""Who may import whom, read off the sources with `ast`; nothing is imported to find out.

A rule takes a checkout's folder and yields one line for each place that breaks it.
"""

import ast
import graphlib
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CODE = ("softnet", "runner", "hydra_plugins")

# Who may know a library. A name stands for the module and for what is inside it.
ROOMS = {
    "hydra": ("runner.config.compose", "hydra_plugins"),
    "omegaconf": ("runner.config.compose", "hydra_plugins"),
    "mlflow": ("runner.tracking",),
    "matplotlib": ("runner.figures",),
    # MLflow hands a loaded model its rows as a pandas table, and wants the like back.
    "pandas": (
        "runner.training.data",
        "runner.training.data.splits",
        "runner.training.preprocessing",
        "runner.tracking.models.served_model",
    ),
    "sklearn": (
        "runner.training.data",
        "runner.training.data.splits",
        "runner.training.preprocessing",
    ),
    "rich": ("runner.report", "runner.report.progress"),
    "scipy": ("runner.training.statistics",),
}
# What `runner --help` must not wait for.
HEAVY = {"matplotlib", "mlflow", "numpy", "pandas", "pyarrow", "pydantic", "rich"}
HEAVY |= {"scipy", "sklearn"}
IMPORTED_AS = {"hydra-core": "hydra", "pyyaml": "yaml", "scikit-learn": "sklearn"}
PART_OF = {"pydantic_core": "pydantic"}


@dataclass(frozen=True)
class Import:
    """One imported module; `name` is what is taken from it, `lazy` where a function does it."""

    module: str
    name: str | None
    line: int
    lazy: bool


def python_files(root: Path, *folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (root / folder).rglob("*.py"))


def module_name(root: Path, path: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def imports(root: Path, path: Path) -> list[Import]:
    package = module_name(root, path).split(".")
    if path.name != "__init__.py":
        package.pop()
    found: list[Import] = []

    def visit(node: ast.AST, lazy: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, None, node.lineno, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            found.extend(Import(module, alias.name, node.lineno, lazy) for alias in node.names)
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        inside = lazy or typing_only or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(ast.parse(path.read_text("utf-8")), lazy=False)
    return found


def top(module: str) -> str:
    return module.partition(".")[0]


def within(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def softnet_knows_numpy_alone(root: Path) -> Iterator[str]:
    allowed = {"softnet", "numpy"} | sys.stdlib_module_names - {"logging"}
    for path in python_files(root, "softnet"):
        for each in imports(root, path):
            if top(each.module) not in allowed:
                yield f"{path.relative_to(root)}:{each.line} imports {each.module}"


def libraries_stay_in_their_rooms(root: Path) -> Iterator[str]:
    for path in python_files(root, "runner", "hydra_plugins"):
        for each in imports(root, path):
            rooms = ROOMS.get(top(each.module))
            if rooms and not within(module_name(root, path), rooms):
                yield f"{path.relative_to(root)}:{each.line} imports {each.module}"


def runner_uses_public_names_of_softnet(root: Path) -> Iterator[str]:
    public = set[str]()
    for statement in ast.parse((root / "softnet/__init__.py").read_text("utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            public.update(ast.literal_eval(statement.value))
    public.add("__file__")
    for path in python_files(root, "runner", "hydra_plugins"):
        where = path.relative_to(root)
        for each in imports(root, path):
            if top(each.module) == "softnet" and "." in each.module:
                yield f"{where}:{each.line} imports {each.module}"
            elif each.module == "softnet" and each.name and each.name not in public:
                yield f"{where}:{each.line} takes softnet.{each.name}"
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and ast.unparse(node.value) == "softnet"
                and node.attr not in public
            ):
                yield f"{where}:{node.lineno} takes softnet.{node.attr}"


def import_graph(root: Path, *, lazy: bool) -> dict[str, set[str]]:
    files = {module_name(root, path): path for path in python_files(root, *CODE)}
    graph: dict[str, set[str]] = {name: set() for name in files}
    for name, path in files.items():
        for each in imports(root, path):
            inner = f"{each.module}.{each.name}"
            target = inner if inner in files else each.module
            if target in files and target != name and (lazy or not each.lazy):
                graph[name].add(target)
    return graph


def imports_run_one_way(root: Path) -> Iterator[str]:
    try:
        graphlib.TopologicalSorter(import_graph(root, lazy=True)).prepare()
    except graphlib.CycleError as error:
        yield " <- ".join(error.args[1])


def the_command_line_starts_light(root: Path) -> Iterator[str]:
    graph = import_graph(root, lazy=False)
    # Hydra imports its plugins whenever it starts, in any program of the environment.
    plugins = [name for name in graph if top(name) == "hydra_plugins"]
    waiting, loaded = ["runner.cli.main", "runner.__main__", *plugins], set[str]()
    while waiting:
        name = waiting.pop()
        if name in graph and name not in loaded:
            loaded.add(name)
            waiting += [*graph[name], name.rpartition(".")[0]]
    for path in python_files(root, *CODE):
        for each in imports(root, path) if module_name(root, path) in loaded else []:
            if not each.lazy and top(each.module) in HEAVY:
                yield f"{path.relative_to(root)}:{each.line} imports {each.module}"


def dependencies_are_declared_and_used(root: Path) -> Iterator[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.split(r"[<>=!~\[; ]", line)[0] for line in project["dependencies"]}
    declared = {IMPORTED_AS.get(name, name) for name in names}
    files = python_files(root, *CODE)
    found = {top(each.module) for path in files for each in imports(root, path)}
    imported = {PART_OF.get(name, name) for name in found - sys.stdlib_module_names - set(CODE)}
    yield from sorted(f"{name} is imported, not declared" for name in imported - declared)
    yield from sorted(f"{name} is declared, not imported" for name in declared - imported)
