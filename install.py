"""Installs into the environment of the interpreter that runs it, by uv where it can, else by pip.

    python install.py "--require-hashes -r requirements.txt" "--no-deps --editable ."

Each argument is what follows one `pip install`. uv takes a tenth of pip's time for the same files
with the same hashes. It is installed by pip, and it is told what pip is told by a person's
environment and `pip.conf`: mirrors, folders of wheels, proxies, certificates.
"""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

UV = Path(__file__).with_name("requirements-uv.txt")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
# What uv calls a setting of pip; of those in the second line it takes several.
VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "retries": "UV_HTTP_RETRIES",
    "no-cache-dir": "UV_NO_CACHE",
}
SEPARATORS = {"find-links": ","}  # else a space
# They change nothing that uv would do; a constraint, nothing of what is pinned.
IRRELEVANT = {
    "constraint",
    *("break-system-packages", "cache-dir", "disable-pip-version-check", "no-color", "no-input"),
    *("no-python-version-warning", "progress-bar", "quiet", "require-virtualenv"),
    *("root-user-action", "use-pep517", "verbose"),
}


def main(installs: Iterable[str]) -> int:
    """Carry out several `pip install`, one after the other; return the exit code of the last."""
    listing = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=True)
    settings = pip_settings(listing.stdout)
    flags, variables = ["--no-index"] if is_on(settings.pop("no-index", "")) else [], {}
    unknown = sorted(settings.keys() - VARIABLES.keys() - IRRELEVANT)
    if unknown:
        print(f"pip installs, since uv does not have pip's setting {unknown[0]}; it takes longer.")
    elif not has_uv():
        print("pip installs, since there is no uv for this machine; it takes longer.")
    else:
        variables = uv_variables(settings)
    by_uv = [*PIP[:2], "uv", "pip", "install", "--quiet", "--project", os.sep, "--python", sys.executable, *flags]
    command = by_uv if variables else [*PIP, "install", "-qq"]
    for arguments in installs:
        code = subprocess.run(
            [*command, *shlex.split(arguments)], env={**variables, **os.environ}, check=False
        ).returncode
        if code:
            return code
    return 0


def has_uv() -> bool:
    """Tell whether uv is installed; install it where that is possible."""
    if find_spec("uv") is None:
        only = ("--only-binary", ":all:", "--require-hashes", "-r", str(UV))
        subprocess.run([*PIP, "install", "-qq", *only], stderr=subprocess.DEVNULL, check=False)
        return subprocess.run([*PIP[:2], "uv", "--version"], capture_output=True, check=False).returncode == 0
    return True


def pip_settings(listing: str) -> dict[str, str]:
    """Return what `pip install` is told by files and the environment, from `pip config list`."""
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.partition(".")
        if section in sections:
            sections[section][name] = ast.literal_eval(value)
    # The later ones count.
    return {name: value for section in sections.values() for name, value in section.items() if value}


def uv_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings of pip as the environment variables that uv reads."""
    # pip takes the best release that any index has; hashes say which file it may be.
    variables = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for name, value in settings.items():
        if name in VARIABLES:
            variables[VARIABLES[name]] = SEPARATORS.get(name, " ").join(value.split())
    return variables


def is_on(value: str) -> bool:
    """Read a switch as pip does."""
    return value.lower() in {"1", "true", "yes", "on", "y", "t"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
