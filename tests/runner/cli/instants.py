"""Instants at which a command does something to itself: is killed, interrupted, or stands still.

Who looks at it from outside, be it many times a second, comes too late on a busy machine. Each of
these is Python for `sweeping.start` to run before the command; marks are folders where that starts.
"""

import signal

# The names inside the program that these texts change or wait for.
STACK = "runner.jobs.worker.stack_run"
SHOWN_AFTER = f"{STACK}._SHOWN_AFTER_S"
SAVED_EVERY = f"{STACK}._SAVED_EVERY_S"
LOGGED = f"{STACK}._StackRun._log"  # a method: logs the metrics of its `_open` runs
# The event of a job that has ended, where workers make one: position, outcome, ...
ENDED = (f"{STACK}.Ended", "runner.jobs.worker.recording.Ended")
EXECUTOR = "runner.jobs.executors.local"
GRACE = f"{EXECUTOR}._GRACE_S"
ON_SIGTERM = f"{EXECUTOR}.raise_on_sigterm"  # called by workers
END_WORKERS = f"{EXECUTOR}.LocalProcesses._end"
# Called when all is planned, when there is a sweep, for each job that has ended, for each group
# whose first job has, and for all jobs.
SWEEP = "runner.jobs.sweep.parent_runs"
PLANNED = f"{SWEEP}._Sweep._begin"
BEGUN = f"{SWEEP}.SweepFolder.write_plan"
JOB_ENDED = f"{SWEEP}.Groups.take"
GROUP_BEGUN = f"{SWEEP}.Groups._begin_group"
JOBS_DONE = "runner.jobs.sweep.results.store_results"

KILL_ALL = "os.killpg(0, signal.SIGKILL)"
STOP_ALL = "os.killpg(0, signal.SIGSTOP)"
KILL_WORKER = "os.kill(os.getpid(), signal.SIGKILL)"
# To its own thread, where Python raises it at once.
INTERRUPT = "signal.raise_signal(signal.SIGINT)"

PREAMBLE = """
import os, pkgutil, signal, sys, time
parent = os.getpid()

def replace(name, value):
    owner, _, attribute = name.rpartition(".")
    owner = pkgutil.resolve_name(owner)
    before = getattr(owner, attribute)
    setattr(owner, attribute, value(before) if callable(before) else value)

def is_first(mark):
    # Only once, whichever process comes first, and whoever starts the command again.
    try:
        os.mkdir(mark)
    except FileExistsError:
        return False
    return True
"""
# Runs that last long are shown and saved after seconds that a test does not have.
SHOWN_AT_ONCE = f"replace({SHOWN_AFTER!r}, 0.0)\n"
SAVED_ALWAYS = f"replace({SAVED_EVERY!r}, 0.0)\n"


def when_saved(act: str) -> str:
    """Act when a training, saved at each evaluation, is about to be saved for the third time."""
    return f"""{SAVED_ALWAYS}
saved = []
def act_at_third(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith(".npz"):
        saved.append(arguments)
        if len(saved) == 3:
            {act}
sys.addaudithook(act_at_third)
"""


def when_shown(act: str) -> str:
    """Act in one worker when the runs of its stack are shown, and have their first metrics."""
    return f"""{SHOWN_AT_ONCE}
def log_and_act(log):
    def wrapped(self):
        log(self)
        if self._open and is_first("shown"):
            {act}
    return wrapped
replace({LOGGED!r}, log_and_act)
"""


def at_call(name: str, call: int, number: signal.Signals, *, all_of_it: bool = False) -> str:
    """Send the command a signal where it is about to call a function for the n-th time.

    It goes to the process that is about to, or to `all_of_it`: the command with its workers.
    """
    send = f"os.killpg(0, {int(number)})" if all_of_it else f"signal.raise_signal({int(number)})"
    return f"""
def call_or_be_signalled(function):
    if hasattr(function, "n_calls"):
        return function  # Dask loads what it preloads twice
    def wrapped(*arguments, **named):
        wrapped.n_calls += 1
        if wrapped.n_calls == {call}:
            {send}
        return function(*arguments, **named)
    wrapped.n_calls = 0
    return wrapped
replace({name!r}, call_or_be_signalled)
"""


def workers_stand_still(at: int, status: str) -> str:
    """Have a worker stand still with its n-th job of a status, until it is ended or left alone.

    That job is in the store, and the parent has not heard of it.
    """
    return f"""
statuses = []
def end_or_stand_still(ended):
    def wrapped(position, outcome, *more):
        statuses.append(outcome.status)
        if statuses.count({status!r}) >= {at}:
            is_first("unheard")
            while os.getppid() == parent:
                time.sleep(0.1)  # in turns: a signal just before one is dealt with after it
        return ended(position, outcome, *more)
    return wrapped
for name in {ENDED!r}:
    replace(name, end_or_stand_still)
"""


# Else a worker writes all jobs of a small stack before it tells of one.
ONE_AT_A_TIME = "replace('runner.tracking.backend.embedded.EmbeddedStore.runs_at_once', 1)\n"

# With the former: workers are not ended before one of them stands still.
ENDED_UNHEARD = f"""
def wait_and_end(end):
    def wrapped(self, **named):
        while not os.path.isdir("unheard"):
            time.sleep(0.01)
        end(self, **named)
    return wrapped
replace({END_WORKERS!r}, wait_and_end)
"""

# Workers that nothing but SIGKILL ends, and a parent that would wait for them for ever; it makes a
# mark when it begins to.
DEAF_WORKERS = f"""
def mark_and_end(end):
    def wrapped(self, **named):
        os.mkdir("ending")
        end(self, **named)
    return wrapped
replace({GRACE!r}, 1e6)
replace({ON_SIGTERM!r}, lambda _: lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))
replace({END_WORKERS!r}, mark_and_end)
"""
