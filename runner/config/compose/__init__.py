"""THE Hydra room: the command line and YAML in, one plain dict per job out.

Hydra only composes here. What it is given as "the job" collects the composed config, so that all
jobs of a sweep are known, and can be checked, before the first of them trains; and whatever goes
wrong inside Hydra is about the config.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, cast

import hydra
from hydra._internal.hydra import Hydra  # which hydra.main itself uses
from hydra._internal.utils import get_args_parser  # as it does this parser
from hydra.core.utils import JobReturn
from hydra.types import RunMode
from omegaconf import DictConfig

from runner.config.compose.hydra_errors import explain_composition
from runner.config.compose.hydra_settings import hydra_settings
from runner.config.compose.job import Job, job_of, resolved
from runner.config.compose.overrides import with_quotes
from runner.config.compose.variations import Variations
from runner.system.errors import CommandError
from runner.system.paths import config_folder, expanded, require_targets

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

    from runner.config.compose.ranges import Draw, Space

__all__ = ["Job", "asks_for_sweep", "compose", "plain_config"]

_FULL_ERROR = "HYDRA_FULL_ERROR"
# Hydra's parser needs some milliseconds for each item of a list.
_LONGEST_LIST = 2000

Launch = Callable[[Sequence[Sequence[str]], int], Sequence[JobReturn]]


def compose(
    arguments: Sequence[str],
    help_template: str,
    on_sweep: Callable[[int], None] = lambda _: None,
    draw: Draw | None = None,
) -> list[Job] | None:
    """Carry out a Hydra command line up to the point where jobs would run.

    `help_template` is what ``--help`` shows, with Hydra's placeholders; it and its like raise
    `SystemExit`. `on_sweep` is called with the number of jobs of a sweep before they are composed.
    The result is None where Hydra was asked to show something (``--cfg``, ``--info``), and has.
    """
    arguments = [with_quotes(argument) for argument in arguments]
    flags = _parse(arguments)
    if flags.config_dir:
        require_targets(expanded(flags.config_dir))
    # It asks for Hydra's own traceback.
    untranslated = os.environ.get(_FULL_ERROR) == "1"
    try:
        with (
            hydra_settings(help_template),
            _shown_to_hydra(arguments, flags.overrides),
            _composed_once(is_sweep=flags.multirun),
        ):
            jobs = _compose_all(draw, on_sweep)
    except Exception as error:
        if untranslated:
            raise
        raise explain_composition(error, flags.overrides, flags.config_dir) from error
    except SystemExit as end:
        # Hydra has printed an error and ends with 1.
        raise SystemExit(CommandError.exit_code if end.code == 1 else end.code) from None
    if flags.cfg or flags.info or flags.shell_completion:
        return None
    if not jobs:
        # All others with no value at all have been refused by now.
        raise CommandError(
            "the sweep: must have at least one job, got a glob that finds nothing; it looks for "
            "the options of a group: optimizer=glob(*)."
        )
    return jobs


def plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config that Hydra's compose API has made as plain data.

    Raises `ConfigError` if a setting is missing, or refers to one that is not there.
    """
    try:
        with hydra_settings(""):  # which has what the shipped YAML refers to
            return resolved(cast("DictConfig", config))
    except Exception as error:
        raise explain_composition(error, ()) from error


def asks_for_sweep(arguments: Sequence[str]) -> bool:
    """Tell whether a command line asks for a sweep, even of a single job."""
    flags = _parse(arguments)
    return bool(flags.multirun) or "hydra.mode=MULTIRUN" in flags.overrides


def _compose_all(draw: Draw | None, on_sweep: Callable[[int], None]) -> list[Job]:
    jobs: list[Job] = []
    problems: list[Exception] = []
    variations = Variations()
    spaces: list[Space] = []

    def collect(config: DictConfig) -> None:
        try:
            jobs.append(job_of(config))
        except Exception as error:  # noqa: BLE001  (raised below: in here, Hydra would announce it)
            problems.append(error)

    def points(overrides: Sequence[Override], config: DictConfig) -> list[list[str]] | None:
        # Help and completion do without the settings of a search, and what these load.
        from runner.config.compose import ranges

        return ranges.points(overrides, config, draw, spaces)

    def collect_all(sweep: Sequence[Sequence[str]], first_number: int, launch: Launch) -> None:
        on_sweep(len(sweep))
        for number, overrides in enumerate(sweep, first_number):
            job = variations.job(overrides)
            if job is not None:
                jobs.append(job)
                continue
            (returned,) = launch([overrides], number)  # it calls collect
            if problems:
                raise problems[0]
            variations.learn(overrides, jobs[-1], returned)

    # The sweeper and launcher of this program look for them; any others call collect for every job.
    vars(collect).update(points=points, collect_all=collect_all)
    program = hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")
    program(collect)()
    if problems:
        raise problems[0]
    for space in spaces:
        space.make, space.ends = variations.job, jobs[space.n_jobs :]
        jobs = [replace(job, space=space) for job in jobs[: space.n_jobs]]
    return jobs


def _parse(arguments: Sequence[str]) -> Namespace:
    """Read the flags as Hydra will, and refuse those that it would not explain in three lines."""
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise CommandError(f"{message[:1].upper()}{message[1:]}. See runner --help.")

    parser.error = refuse  # type: ignore[method-assign]  # argparse has no other way to be told
    flags = parser.parse_intermixed_args(list(arguments))
    if flags.experimental_rerun is not None:
        raise CommandError(
            "--experimental-rerun unpickles a file, which can run anything; it is not supported."
        )
    for override in flags.overrides:
        key, _, value = override.partition("=")
        n_items = value.count(",") + 1
        if value.startswith("[") and n_items > _LONGEST_LIST:
            raise CommandError(
                f"{key}: must be a list of at most {_LONGEST_LIST:,} items on the command line "
                f"(a longer one goes into a YAML file), got {n_items:,} items."
            )
    return flags


@contextmanager
def _shown_to_hydra(arguments: Sequence[str], overrides: Sequence[str]) -> Iterator[None]:
    """Show Hydra the command line with the overrides first, and have it raise its errors.

    Its parser takes only one unbroken row of overrides; ``runner experiment=iris -m seed=1,2`` is
    what people type. It would otherwise print an error and end the process.
    """
    rest = list(arguments)
    for override in overrides:
        rest.remove(override)
    before = sys.argv, os.environ.get(_FULL_ERROR)
    sys.argv, os.environ[_FULL_ERROR] = [sys.argv[0], *overrides, *rest], "1"
    try:
        yield
    finally:
        sys.argv = before[0]
        del os.environ[_FULL_ERROR]
        os.environ |= {} if before[1] is None else {_FULL_ERROR: before[1]}


@contextmanager
def _composed_once(*, is_sweep: bool) -> Iterator[None]:
    """Have Hydra use the config that it composes to learn ``hydra.mode``, and not compose it anew.

    Where the command line asks for a sweep, nothing is left to learn.
    """
    learn = Hydra.get_mode

    def mode(hydra: Hydra, config_name: str | None, overrides: list[str]) -> RunMode | None:
        if is_sweep:
            return None
        loader = hydra.config_loader
        try:
            config = loader.load_configuration(config_name, overrides, RunMode.RUN)
        except Exception as error:  # noqa: BLE001  (what Hydra will find again)
            if "--multirun" not in str(error):
                return None
            # Values of a sweep are no fault where a config asks for one.
            return cast("RunMode | None", learn(hydra, config_name, overrides))

        def composed(*_: object, **__: object) -> DictConfig:
            del vars(loader)["load_configuration"]
            return config

        if config.hydra.mode != RunMode.MULTIRUN:
            vars(loader)["load_configuration"] = composed
        return cast("RunMode | None", config.hydra.mode)

    Hydra.get_mode = mode  # type: ignore[assignment, method-assign]  # there is no setting for it
    try:
        yield
    finally:
        Hydra.get_mode = learn  # type: ignore[method-assign]
