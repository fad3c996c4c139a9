"""Configs that somebody may put into a store: what is in them, and what a person is told."""

from typing import NamedTuple

CANARY = "canary"


class Fault(NamedTuple):
    """What is wrong, the text, and the words that the refusal must have."""

    name: str
    content: bytes
    says: tuple[str, ...]


def _fault(name: str, text: str, *says: str) -> Fault:
    return Fault(name, text.encode(), says)


def _bomb() -> str:
    """A few lines that stand for ten to the ninth words."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join(10 * [f'*a{n - 1}'])}]" for n in range(1, 9)]
    return "\n".join(lines)


# What is no plain YAML, or too much of it: never becomes a config.
NO_CONFIGS = [
    _fault("tag", "seed: !!int '3'", "line 1, column 7", "tag"),
    _fault("own tag", "seed: !run 3", "line 1, column 7", "'!run'"),
    _fault("tag of a group", "model: !!map {}", "column 8", "tag"),
    _fault("call", f"seed: !!python/object/apply:os.system ['touch {CANARY}']", "os.system"),
    _fault("object", "seed: !!python/object/new:subprocess.Popen [[ls]]", "subprocess.Popen"),
    _fault("module", "seed: !!python/module:antigravity ''", "python/module"),
    _fault("name", "seed: !!python/name:os.system ''", "python/name"),
    _fault("tag directive", "%TAG ! tag:yaml.org,2002:python/\n---\na: !name:os ''", "tag"),
    _fault("anchor", "seed: &here 3", "line 1, column 7", "'here'"),
    _fault("alias", "seed: *here", "alias 'here'"),
    _fault("merge", "model: &m {a: 1}\ndata: {<<: *m}", "line 1, column 8", "'m'"),
    _fault("merge without an alias", "data: {<<: {a: 1}}", "key that is no text"),
    _fault("alias bomb", _bomb(), "line 1, column 5", "'a0'"),
    _fault("list in itself", "a: &a [*a]", "anchor"),
    _fault("300 lists", f"a: {'[' * 300}{']' * 300}", "more than 16 levels"),
    _fault("300 groups", f"a: {'{a: ' * 300}1{'}' * 300}", "more than 16 levels"),
    _fault("a million lists", "a: " + "[" * 1_000_000, "more than 16 levels"),
    _fault("key twice", "seed: 1\nname: x\nseed: 2", "line 3, column 1", "'seed' again"),
    _fault("inner key twice", "model: {a: 1, a: 2}", "line 1, column 15", "'a' again"),
    _fault("number as a key", "1: 2", "line 1, column 1", "no text"),
    _fault("null as a key", "~: 2", "no text"),
    _fault("list as a key", "? [a]\n: 2", "line 1, column 3", "no text"),
    _fault("two documents", "seed: 1\n---\nseed: 2", "line 2", "got documents"),
    _fault("list", "[seed, 1]", "must hold settings", "['seed', 1]"),
    _fault("word", "seed", "must hold settings", "'seed'"),
    _fault("nothing", "", "must hold settings", "None"),
    _fault("open bracket", "seed: [1", "config.yaml, line 2"),
    _fault("tab", "model:\n\ta: 1", "line 2, column 1"),
    _fault("null character", "name: x\nseed: \0", "line 2: must be YAML", r"character '\x00'."),
    _fault("null in quotes", 'data: {path: "a\\0b"}', "data.path: must be a plain value"),
    _fault("half a character", 'data: {path: "\\ud800"}', "config.yaml"),
    Fault("not UTF-8", b"name: \xff", ("byte 7", "UTF-8")),
    Fault("UTF-16", "seed: 1".encode("utf-16"), ("byte 1", "UTF-8")),
    Fault("pickle", b"\x80\x04\x95\x0b\x00\x00\x00.", ("UTF-8",)),
    _fault("environment", "name: ${oc.env:HOME}", "name: must be", "'${oc.env:HOME}'"),
    _fault("decode", "a: {b: ['x', '${oc.decode:x}']}", "a.b[1]: must be a plain value"),
    _fault("hydra", "name: ${hydra:runtime.cwd}", "'${hydra:runtime.cwd}'"),
    _fault("other key", "seed: 1\nname: ${seed}", "name: must be a plain value"),
    _fault("date", "seed: 2026-01-01", "seed: must be a plain value", "datetime.date"),
    _fault("moment", "seed: 2026-01-01 00:00:00", "seed: must be a plain value"),
    _fault("no date", "seed: 2026-99-99", "must be YAML"),
    _fault("moment before time", "seed: 0001-01-01T00:00:00+23:59", "seed"),
    _fault("5,000 digits", f"seed: {'9' * 5000}", "must be YAML"),
    _fault("5,000 digits to the base 16", f"seed: 0x{'f' * 5000}", "seed: must be a plain", "too"),
    _fault("2**70", f"seed: {2**70}", "seed: must be a plain value"),
    _fault("base 60", f"seed: 1{':59' * 2000}", "seed: must be a plain value"),
    _fault("base 60, a fraction", f"seed: 1{':59' * 2000}.5", "must be YAML"),
    _fault("base 60, a megabyte", f"seed: 1{':59' * 300_000}", "at most 8,192 letters"),
    _fault("binary", f"seed: 0b{'1' * 8000}", "seed: must be a plain value"),
    _fault("long key twice", f"{'k' * 500}: 1\n{'k' * 500}: 1", "again"),
    _fault("longest key", f"{'k' * 100_000}: 1", "must be"),
]

# Plain settings, of which ours are not: refused as every wrong setting is.
NO_SETTINGS = [
    _fault("_target_", "model: {_target_: os.system}", "model._target_", "activation"),
    _fault("_target_ at the top", f"_target_: os.system\n_args_: [touch {CANARY}]", "_target_"),
    _fault("_recursive_", "optimizer: {name: sgd, _partial_: true}", "optimizer._partial_"),
    _fault("defaults", "defaults: [{model: small}, /etc/passwd]", "defaults"),
    _fault("hydra settings", "hydra: {run: {dir: canary}}", "hydra"),
    _fault("object as a name", "optimizer: {name: os.system}", "optimizer.name", "os.system"),
    _fault("nan", "optimizer: {name: sgd, learning_rate: .nan}", "optimizer.learning_rate"),
    _fault("inf", "optimizer: {name: sgd, learning_rate: .inf}", "optimizer.learning_rate"),
    _fault("escape in a name", 'name: "\\e[31mred"', "name: must be printable"),
    _fault("escape in a key", '"\\e[2J\\n\\n\\n\\nall well": 1', "must be a setting"),
    _fault("long word as a key", f'"{"k" * 1000}": 1', "must be a setting"),
    _fault("long word in place of a number", f"seed: {'k' * 8000}", "seed: must be"),
    _fault("list in place of a group", "model: [1]", "model: must be a group"),
]
