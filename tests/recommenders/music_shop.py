"""Invented reviews of a music shop with plain rules, and a few short prompts to ask about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from genrec.data.interactions import Histories

NUM_ITEMS, NUM_USERS, LENGTH = 8, 16, 5
TINY: dict[str, Any] = {
    "depth": 1,
    "width": 64,
    "vocab_size": 500,
    "dropout": 0.0,
    "epochs": 16,
    "batch_tokens": 200,
    "learning_rate": 3e-3,
    "warmup_steps": 50,
    "evaluations": 1,
    "beams": 10,
    "bf16": False,
    "families": ("rating", "sequential", "explanation", "review"),
    "times": {"rating": 1, "next": 1, "explanation": 1, "review": 1},
}


# A prompt of each kind, short to be learnt quickly, and its like that is held out.
PROMPTS = {
    "rating": ('group: stars, target: "{stars}"', "Stars {user} {item} :", "{user} on {item} ?"),
    "sequential": ('group: next, target: "{item}"', "Next {history}", "{history} then"),
    "explanation": ('group: sentence, target: "{explanation}"', "Why {user} {item}", "{item} {user} why"),
    "about": (
        'group: about, target: "{explanation}"',
        "Why {feature} {user} {item}",
        "{item} {user} {feature}",
    ),
    "review": ('group: headline, target: "{headline}"', "Title {review}", "{review} in short"),
    "judgement": ('group: stars, target: "{stars}"', "Judge {review}", "{review} in stars"),
}
NEW = """
family: new
prompts:
  - {id: new-1, group: stars, target: "{stars}", source: "{title} : {user} stars", held_out: true}
  - {id: new-2, group: sentence, target: "{explanation}", source: "{user} on {title}", held_out: true}
"""
FAMILY_OF = {"about": "explanation", "judgement": "review"}


def write_prompts(folder: Path) -> str:
    """The folder with these prompts, a file a family."""
    entries: dict[str, list[str]] = {}
    for name, (what, learnt, held_out) in PROMPTS.items():
        entries.setdefault(FAMILY_OF.get(name, name), []).extend(
            [
                f'  - {{id: {name}-1, {what}, source: "{learnt}"}}',
                f'  - {{id: {name}-2, {what}, source: "{held_out}", held_out: true}}',
            ]
        )
    for family, lines in entries.items():
        (folder / f"{family}.yaml").write_text("\n".join([f"family: {family}", "prompts:", *lines]) + "\n")
    return str(folder)


USERS, ITEMS = ["u3", "u3", "u10", "stranger"], np.array([2, 5, 0, 7])


def predict_rating(model: Any, users: Sequence[str], items_N: Any, **asked: Any) -> Any:
    """Stars that users give items."""
    return model.answer("rating", _of_items(users, items_N), **asked)


def explain(
    model: Any, users: Sequence[str], items_N: Any, features: Sequence[str] | None = None, **asked: Any
) -> Any:
    """Sentences on why users take to items, on a feature each where features are given."""
    questions = _of_items(users, items_N)
    if features is None:
        return model.answer("explanation", questions, **asked)
    questions = [question | {"feature": word} for question, word in zip(questions, features, strict=True)]
    return model.answer("explanation-with-feature", questions, **asked)


def of_reviews(model: Any, task: str, texts: Sequence[str], **asked: Any) -> Any:
    """Headlines or stars of reviews."""
    return model.answer(task, [{"review": text} for text in texts], **asked)


def rank_candidates(
    model: Any, histories: Histories, candidates_BC: Any, users: Sequence[str] | None = None, **asked: Any
) -> Any:
    """The candidates of each user, best first."""
    names = users if users is not None else [None] * len(histories)
    rows = zip(names, histories, candidates_BC, strict=True)
    questions = [{"user": user, "history": history, "candidates": row} for user, history, row in rows]
    return model.answer("direct", questions, **asked)


def _of_items(users: Sequence[str], items_N: Any) -> list[dict[str, Any]]:
    return [{"user": user, "item": int(item)} for user, item in zip(users, items_N, strict=True)]
