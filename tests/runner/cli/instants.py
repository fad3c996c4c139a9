"""Instants at which a command does something to itself: is killed, interrupted, or stands still.

Who looks at it from outside, be it many times a second, comes too late on a busy machine. Each of
these is Python for `sweeping.start` to run before the command; marks are folders where that starts.
"""

import signal

KILL_ALL = "os.killpg(0, signal.SIGKILL)"
STOP_ALL = "os.killpg(0, signal.SIGSTOP)"
KILL_WORKER = "os.kill(os.getpid(), signal.SIGKILL)"
# To its own thread, where Python raises it at once.
INTERRUPT = "signal.raise_signal(signal.SIGINT)"

# Only once, whichever process comes first, and whoever starts the command again.
ONCE = """
def is_first(mark):
    try:
        os.mkdir(mark)
    except FileExistsError:
        return False
    return True
"""


def when_saved(act: str) -> str:
    """Act when a training has been saved for the second time."""
    return f"""
import os, signal
import runner.jobs.worker.stack_run as at_work
write_state, saved = at_work.write_state, []
def write_state_and_act(*arguments):
    write_state(*arguments)
    saved.append(arguments)
    if len(saved) == 2:
        {act}
at_work.write_state = write_state_and_act
"""


def when_shown(act: str) -> str:
    """Act in one worker when the runs of its stack are shown, and told their first metrics."""
    return f"""
import os, signal
from runner.jobs.worker.stack_run import StackAtWork
{ONCE}
log = StackAtWork._log
def log_and_act(self):
    log(self)
    if self._runs and is_first("shown"):
        {act}
StackAtWork._log = log_and_act
"""


def at_call(name: str, call: int, number: signal.Signals) -> str:
    """Send the command a signal where it is about to call a function for the n-th time.

    Parameters
    ----------
    name : str
        Of the function, as in ``runner.jobs.session.say_start``.
    """
    place, _, function = name.rpartition(".")
    return f"""
import pkgutil, signal
place, calls = pkgutil.resolve_name({place!r}), []
function = getattr(place, {function!r})
def call_or_be_signalled(*arguments, **named):
    calls.append(arguments)
    if len(calls) == {call}:
        signal.raise_signal({int(number)})
    return function(*arguments, **named)
setattr(place, {function!r}, call_or_be_signalled)
"""


def workers_stand_still(at: int, status: str) -> str:
    """Have a worker stand still with its n-th job of a status, until it is ended or left alone.

    That job is in the store, and the parent has not heard of it.
    """
    return f"""
import os, time
import runner.jobs.worker.stack_run as at_work
{ONCE}
parent, Ended, statuses = os.getpid(), at_work.Ended, []
def ended_or_stand_still(position, outcome, judgement):
    statuses.append(outcome.status)
    if statuses.count({status!r}) >= {at}:
        is_first("unheard")
        while os.getppid() == parent:
            time.sleep(0.1)  # in turns: a signal that comes just before one is dealt with after it
    return Ended(position, outcome, judgement)
at_work.Ended = ended_or_stand_still
"""


# With the former: workers are not ended before one of them stands still.
ENDED_UNHEARD = """
import os, time
import runner.jobs.executors.local as engine
end = engine.Engine._end
def wait_and_end(self, **named):
    while not os.path.isdir("unheard"):
        time.sleep(0.01)
    end(self, **named)
engine.Engine._end = wait_and_end
"""


# Workers that nothing but SIGKILL ends, and a parent that would wait for them for ever; it makes a
# mark when it begins to.
DEAF_WORKERS = """
import os, signal
import runner.jobs.executors.local as engine
engine._GRACE_S = 1e6
engine.raise_on_sigterm = lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN)
end = engine.Engine._end
def mark_and_end(self, **named):
    os.mkdir("ending")
    end(self, **named)
engine.Engine._end = mark_and_end
"""
