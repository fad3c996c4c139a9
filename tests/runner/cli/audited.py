"""Reruns of folders in one process, under an audit hook that notes what Python is asked to do.

Started as a script, with the folders to repeat as arguments: the first is honest. What it prints is
a JSON list: for each folder how the command ended, what it said, and what was done meanwhile.
"""

import importlib
import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import CodeType

from runner.cli import main as cli
from runner.report.table import say
from runner.system.errors import RunnerError

NOTED = ("import", "exec", "compile", "open", "socket.connect", "socket.getaddrinfo", "ctypes.")
NOTED += ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.rename")
NOTED += ("os.remove", "os.mkdir", "os.listdir", "os.scandir", "os.symlink", "pickle.find_class")
NOTED += ("os.truncate", "shutil.", "sqlite3.", "urllib.", "http.client.", "pty.spawn")

noted: list[str] | None = None


def note(event: str, arguments: tuple[object, ...]) -> None:
    if noted is not None and event.startswith(NOTED):
        subject = arguments[0] if arguments else ""
        # Of code it is where it stands; other objects may act when they are looked at.
        if isinstance(subject, CodeType):
            subject = subject.co_filename
        noted.append(f"{event} {subject if isinstance(subject, str | bytes | Path) else ''}")


def repeat(folder: str) -> dict[str, object]:
    global noted  # noqa: PLW0603  (a hook cannot be taken away again)
    printed = io.StringIO()
    noted = []
    with redirect_stdout(printed), redirect_stderr(printed):
        try:
            code = cli.carry_out(["rerun", folder, "--check"])
        except RunnerError as error:
            say(str(error))
            code = error.exit_code
    done, noted = noted, None
    # Every record has files of the same names.
    events = sorted({event.replace(str(Path(folder)), "FOLDER") for event in done})
    return {"code": code, "said": printed.getvalue(), "events": events}


if __name__ == "__main__":
    sys.addaudithook(note)
    # What Python itself imports to spell out an escape, and to look for a person's home.
    "\x1b".encode("unicode_escape")
    Path("~").expanduser()
    importlib.import_module("pwd")
    repeat(sys.argv[1])  # whatever is imported once is imported
    sys.stdout.write(json.dumps([repeat(folder) for folder in sys.argv[1:]]))
