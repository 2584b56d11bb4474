"""Invented reviews of a music shop with plain rules, and a few short prompts to ask about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

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
