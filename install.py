"""Installs into the environment of the interpreter that runs it: by uv where it can, else by pip.

    python install.py "--require-hashes -r requirements.txt" "--no-deps --editable ."

Each argument is what would follow one `pip install`. uv takes a fraction of pip's time for the same
files, and checks the same hashes. pip installs it, and uv is told what a person's environment and
`pip.conf` tell pip: mirrors, folders of wheels, proxies, certificates.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
# A project's `[tool.uv]` is for locking; no project is at the root.
UV = (sys.executable, "-m", "uv", "--project", os.sep, "pip", "install", "--quiet")
# What uv calls the settings of pip.
VARIABLES = {
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "index-url": "UV_DEFAULT_INDEX",
    "no-cache-dir": "UV_NO_CACHE",
    "proxy": "ALL_PROXY",
    "retries": "UV_HTTP_RETRIES",
    "timeout": "UV_HTTP_TIMEOUT",
    "trusted-host": "UV_INSECURE_HOST",
}
# They change nothing here: a constraint has no say in what is pinned, and no-index is a flag of uv.
IRRELEVANT = re.compile(
    "break-system-packages|cache-dir|config-file|constraint|disable-pip-version-check|no-color|"
    "no-index|no-input|no-python-version-warning|progress-bar|quiet|require-virtualenv|"
    "root-user-action|verbose"
)


def main(installs: Sequence[str]) -> int:
    """Carry out several installs, one after the other, and return the exit code."""
    listing = subprocess.run(
        [*PIP, "config", "list"], stdout=subprocess.PIPE, text=True, check=False
    )
    if listing.returncode:
        return listing.returncode  # pip has said what is wrong with its settings
    settings = pip_settings(listing.stdout)
    reason = why_pip(settings)
    if reason is not None:
        print(f"pip installs, which takes longer: {reason}.", flush=True)
    for arguments in map(shlex.split, installs):
        if reason is None and by_uv(arguments, settings) == 0:
            continue
        # Where uv failed, it has said why; pip may have a way there that uv does not have.
        if code := subprocess.run([*PIP, "install", "-qq", *arguments], check=False).returncode:
            return code
    return 0


def why_pip(settings: Mapping[str, str]) -> str | None:
    """Say why uv cannot install; None where it can, being installed itself if it is missing."""
    for name in sorted(settings.keys() - VARIABLES.keys()):
        if not IRRELEVANT.fullmatch(name):
            return f"uv has no counterpart to its setting {name}"
    if find_spec("uv") is None:
        lock = str(Path(__file__).with_name("requirements-uv.txt"))
        only = ("--only-binary", ":all:", "--require-hashes", "-r", lock)
        install = [*PIP, "install", "-qq", *only]
        if subprocess.run(install, capture_output=True, check=False).returncode:
            return "there is no uv for this machine"
    return None


def by_uv(arguments: Sequence[str], settings: Mapping[str, str]) -> int:
    """Have uv install; what it is told by variables of its own counts more than what pip is."""
    no_index = ["--no-index"] if is_on(settings.get("no-index", "")) else []
    variables = {**uv_variables(settings), **os.environ}
    command = [*UV, "--python", sys.executable, *no_index, *arguments]
    return subprocess.run(command, env=variables, check=False).returncode


def pip_settings(listing: str) -> dict[str, str]:
    """Return what files and the environment set for `pip install`, from `pip config list`."""
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.partition(".")
        if section in sections:
            sections[section][name] = ast.literal_eval(value)
    return {**sections["global"], **sections["install"], **sections[":env:"]}


def uv_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings of pip as the environment variables that uv reads."""
    variables = {
        VARIABLES[name]: ("," if name == "find-links" else " ").join(value.split())
        for name, value in settings.items()
        if name in VARIABLES
    }
    # pip, too, looks for a release in all indexes.
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **variables}


def is_on(value: str) -> bool:
    """Read a switch as pip does."""
    return value.lower() in {"1", "true", "yes", "on", "y", "t"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
