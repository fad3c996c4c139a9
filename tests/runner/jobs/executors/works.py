"""What executors are given to run in their tests; workers elsewhere import it from here."""

import os
import signal
import time
from collections.abc import Callable, Generator
from pathlib import Path

from runner.system.errors import StoreError

Task = tuple[object, ...]
Stop = Callable[[], bool]
Events = Generator[object, None, None]


def twice(task: Task, stop: Stop) -> Events:
    yield (os.getpid(), task, "begun")
    yield (os.getpid(), task, "done")


def dying(task: Task, stop: Stop) -> Events:
    yield task
    if task == (2,):
        os.kill(os.getpid(), signal.SIGKILL)


def failing(task: Task, stop: Stop) -> Events:
    yield task
    if task == (1,):
        raise StoreError("there: disk full\nsecond line")


def endless(task: Task, stop: Stop) -> Events:
    """Work until stopped, and leave a file then; the task is (number, folder)."""
    try:
        yield task
        while not stop():
            time.sleep(0.01)
            yield "busy"
    finally:
        Path(str(task[1]), str(task[0])).touch()


def meeting(task: Task, stop: Stop) -> Events:
    """Wait for the other; the task is (number, folder)."""
    folder = Path(str(task[1]))
    (folder / str(task[0])).touch()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    yield task


def waiting(file: str) -> None:
    """Keep a worker busy until there is a file."""
    while not Path(file).exists():
        time.sleep(0.01)
