"""How long a training is when nothing validates it: as long as validation chose for the one before it.

A recommender trains in its run and in folders of its parts there (`prior/0`, `retriever`). The same folders of another
run get `length.json` with the share of the updates that came before the best validation, and a training in such a
folder stops there. Its learning rate falls as in the whole training, so that a share means the same for more data.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from genrec.data.files import read_json, write_json
from genrec.errors import RunError
from genrec.training.checkpoints import newest_checkpoint, state_of

_LENGTH = "length.json"


class _Length(BaseModel):
    """What `length.json` holds."""

    share: float = Field(gt=0, le=1)


def plan_lengths(run: Path, again: Path) -> None:
    """Let the trainings below `again` be as long as validation chose those below `run`.

    Where nothing was trained below `run`, as its parts were somewhere else, a `length.json` there counts.

    Raises:
        RunError: a training below `run` has no checkpoint any more that tells, or has not ended.
    """
    for log in sorted(run.rglob("log.jsonl")):
        if log.is_relative_to(again):
            continue
        newest = newest_checkpoint(log.parent / "checkpoints")
        state = None if newest is None else state_of(newest)
        if state is None or not state.stopped:
            raise RunError(
                f"{log.parent / 'checkpoints'} does not hold the last checkpoint, which tells how long validation "
                "chose to train: restore it from a copy, or train into another folder"
            )
        if state.best_step is not None:
            folder = again / log.parent.relative_to(run)
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / _LENGTH, {"share": state.best_step / state.num_updates})
    for known in sorted(run.rglob(_LENGTH)):
        if not known.is_relative_to(again) and not (known.parent / "log.jsonl").exists():
            folder = again / known.parent.relative_to(run)
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / _LENGTH, read_json(known, _Length).model_dump())


def last_update(folder: Path, num_updates: int) -> int:
    """The update after which a training of `num_updates` in `folder` ends: the last one, unless planned otherwise.

    Raises:
        RunError: `length.json` is damaged.
    """
    path = folder / _LENGTH
    if not path.exists():
        return num_updates
    return max(1, round(read_json(path, _Length).share * num_updates))
