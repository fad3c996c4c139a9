"""Faults of YAML text: file, line and column, and what stands there instead of YAML."""

from __future__ import annotations

import re

from yaml import MarkedYAMLError, YAMLError
from yaml.reader import ReaderError

from runner.system.errors import ConfigError


def explain_yaml(error: YAMLError) -> ConfigError:
    """Translate what the YAML reader says."""
    if isinstance(error, ReaderError):
        place = f"{error.name}, character {error.position + 1}"
        return ConfigError.plain(f"{place}: must be printable text, got {chr(error.character)!r}.")
    if not isinstance(error, MarkedYAMLError):
        return ConfigError.plain(f"YAML: {error}")
    mark = error.problem_mark or error.context_mark
    place = f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}" if mark else "YAML"
    return ConfigError.plain(f"{place}: must be {_fault(error)}.")


def _fault(error: MarkedYAMLError) -> str:
    problem = error.problem or ""
    if tag := re.search(r"constructor for the tag '(.*)'", problem):
        written = tag[1].replace("tag:yaml.org,2002:", "!!")
        return f"a number, text, a list or a mapping, got the tag {written!r}"
    if key := re.search(r"found duplicate key (.*)", problem):
        return f"a key that is not there yet, got {key[1]!r} again"
    if r"'\t'" in problem:
        return "indented with spaces, got a tab"
    begun = ""
    if error.context and error.context_mark:
        start = error.context_mark
        begun = f" ({error.context} from line {start.line + 1}, column {start.column + 1})"
    return f"YAML, got a fault: {problem}{begun}"


def explain_text(error: UnicodeDecodeError) -> ConfigError:
    """Translate a file that is no text."""
    got = error.object[error.start : error.start + 1]
    return ConfigError.plain(
        f"{_file_being_read(error)}, byte {error.start + 1}: must be UTF-8 text, got {got!r}."
    )


def _file_being_read(error: BaseException) -> str:
    """Look the path up where Hydra keeps it while it reads: its error does not carry it."""
    trace, path = error.__traceback__, "a YAML file"
    while trace is not None:
        path = str(trace.tb_frame.f_locals.get("full_path", path))
        trace = trace.tb_next
    return path
