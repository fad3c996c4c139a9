"""The command `runner export`: a run as a folder that needs no store to be repeated."""

from __future__ import annotations

import shlex

from runner.announcements import say
from runner.places import expanded
from runner.records import Original, write_folder
from runner.tracking import find_original


def export(run_id: str, folder: str, uri: str | None) -> None:
    """Write all that is needed to repeat a run.

    Parameters
    ----------
    run_id : str
        MLflow's id.
    folder : str
        Must not be there, or be empty.
    uri : str or None
        The store, as ``tracking.uri``.

    Raises
    ------
    RunnerError
        If there is no such run, its record is of no use, or the disk fails.
    """
    place = expanded(folder)
    write_folder(Original.read(find_original(uri, run_id)), place)
    # A bare name of 32 digits would be taken for an id.
    argument = str(place) if place.is_absolute() else f"./{place}"
    say(f"Exported to {place}. To repeat it: runner rerun {shlex.quote(argument)}")
