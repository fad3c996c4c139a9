"""Sweeps of a person with files of their own, composed by us and by Hydra alone."""

from pathlib import Path

from runner.config.compose import Job, compose
from runner.system.errors import RunnerError

# What the person has written, below --config-dir.
FILES = {
    "params": "defaults: [config, _self_]\nhydra: {sweeper: {params: {seed: 'range(0,3)'}}}\n",
    "both": "defaults: [config, _self_]\nhydra: {sweeper: {params: {name: 'a,b', model: mlp}}}\n",
    "experiment/numbered": "seed: ${hydra:job.num}\nname: job-${hydra:job.id}\n",
    "experiment/linked": "split: {seed: '${seed}'}\nname: '${optimizer.name} ${model}'\n",
    "experiment/around": "hydra: {job: {name: 'n${seed}'}}\nname: ${hydra:job.name}\n",
    "experiment/outside": "name: ${oc.env:RUN_NAME}\ndata: {path: '${shipped:data}'}\n",
    "experiment/set": "hydra: {job: {env_set: {RUN_NAME: b}}}\nname: ${oc.env:RUN_NAME}\n",
    "experiment/apart": "hydra: {sweep: {subdir: '${seed}'}}\n",
    "experiment/moved": "hydra: {job: {chdir: true}}\n",
    "experiment/alias": "other: ${optimizer}\nlist: [1, {a: 2}, null]\nescaped: '\\${seed}'\n",
    "experiment/chosen": "a: 1\nb: 2\nboth: '${${name}}'\n",
    "experiment/keys": "numbers: {1: x}\nempty: {}\nnothing: null\nhole: ???\n",
    "experiment/group": "defaults: [/gap: one]\nname: group\n",
    "gap/one": "# @package _global_\ngap: 1\n",
}
# Hydra composes each job for itself.
BASIC = ("hydra/launcher=basic", "hydra/sweeper=basic")


def write_files(folder: Path) -> None:
    for name, content in FILES.items():
        file = folder / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        package = "# @package _global_\n" if name.startswith("experiment/") else ""
        file.write_text(package + content, encoding="utf-8")


def words(line: str) -> list[str]:
    """Split at spaces outside of quotes and brackets, and keep both."""
    found, depth, quote = [""], 0, ""
    for letter in line:
        if letter in "'\"" and quote in ("", letter):
            quote = "" if quote else letter
        depth += (letter in "([{") - (letter in ")]}")
        if letter == " " and not depth and not quote:
            found.append("")
        else:
            found[-1] += letter
    return found


def sweep(line: str, *more: str) -> list[Job]:
    jobs = compose(["--multirun", "--config-dir", ".", *words(line), *more], "help")
    assert jobs is not None
    return jobs


def outcome(line: str, *more: str) -> list[tuple[str, ...]] | tuple[type, str, int]:
    """Return the jobs, told apart by the types of their values too, or what is said instead."""
    try:
        return [(repr(job.config), repr(job.choices), *job.overrides) for job in sweep(line, *more)]
    except RunnerError as error:
        return (type(error), str(error), error.exit_code)
