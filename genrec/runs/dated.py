"""Runs beside each other, each named by when it was begun, and a link to the one that answers.

OUT/2026-12-01-031500   a run, named by its moment in UTC
OUT/latest              a link to the newest one that is whole
"""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from genrec.data.files import put_link
from genrec.errors import RunError
from genrec.runs.folder import in_use
from genrec.runs.run import LATEST, looks_like_run

_FORM = "%Y-%m-%d-%H%M%S"


def dated_runs(out: Path) -> list[Path]:
    """The runs in a folder that are named by their moment, oldest first, whole or not; links are none of them."""
    if not out.is_dir():
        return []
    return [
        path
        for path in sorted(out.iterdir())
        if _moment(path) is not None and not path.is_symlink() and path.is_dir() and looks_like_run(path)
    ]


def next_dated(out: Path, *, resume: bool) -> Path:
    """Where the next run goes: a folder of this moment, which is not there yet.

    Args:
        out: the folder of all of them.
        resume: the newest one, if it was stopped before the link was switched to it.

    Raises:
        RunError: `out` is a run itself, or holds something called `latest` that is no link.
    """
    if looks_like_run(out):
        raise RunError(
            f"{out} is a run, and --keep puts runs beside each other: choose a folder for them as --out"
        )
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file: choose a folder for --out")
    link = out / LATEST
    if os.path.lexists(link) and not link.is_symlink():
        raise RunError(f"{link} is no link, and --keep would make one of that name: move it away")
    runs = dated_runs(out)
    if resume and runs and not _leads_to(link, runs[-1]):
        return runs[-1]
    moment = datetime.now(UTC)
    if (
        runs and (newest := _moment(runs[-1])) is not None
    ):  # a clock that was put back would name it as an older one
        moment = max(moment, newest + timedelta(seconds=1))
    while os.path.lexists(out / moment.strftime(_FORM)):
        moment += timedelta(seconds=1)
    return out / moment.strftime(_FORM)


def switch(folder: Path) -> None:
    """Let `latest` lead to a run that is whole; whoever opens it meanwhile finds the old run or this one."""
    put_link(folder.parent / LATEST, folder.name)


def remove_old(out: Path, keep: int) -> list[Path]:
    """Remove all dated runs that are older than the newest `keep` whole ones; those that were removed.

    Nothing else in the folder is touched, nor a run that somebody trains or that `latest` leads to.
    """
    runs = dated_runs(out)
    kept = [path for path in runs if (path / "model").exists()][-keep:]
    gone = []
    for path in runs:
        if kept and path < kept[0] and not _leads_to(out / LATEST, path) and not in_use(path):
            shutil.rmtree(path)
            gone.append(path)
    return gone


def _moment(path: Path) -> datetime | None:
    """The moment that a folder is named by; None: it is named otherwise."""
    try:
        moment = datetime.strptime(path.name, _FORM).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment.strftime(_FORM) == path.name else None  # it reads 1-2-3 as well


def _leads_to(link: Path, folder: Path) -> bool:
    return link.is_symlink() and os.path.realpath(link) == os.path.realpath(folder)
