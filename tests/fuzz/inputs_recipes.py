"""Recipes as people write them and as nobody should."""

from __future__ import annotations

from pathlib import Path
from random import Random

from inputs import Input, generator
from material import Material, data_words

_GOOD = """recommender: itemknn
config:
  num_neighbours: 5
  shrink: 1.0
data:
  min_history: 3
protocol: leave-one-out
"""
_SAME = (  # spellings of the same recipe
    _GOOD,
    "recommender: itemknn\nconfig: {num_neighbours: 5, shrink: 1.0}\ndata: {min_history: 3}\n",
    '"recommender": "itemknn"\n"config": {"num_neighbours": 5, "shrink": 1.0}\n"data": {"min_history": 3}\n',
    "# mine\n" + _GOOD.replace("\n", "  # so\n"),
    _GOOD.replace("\n", "\r\n"),
    "---\n" + _GOOD,
    _GOOD.replace("1.0", "1"),
)
_WRONG = (
    *(
        "",
        "\n",
        "null",
        "[]",
        "itemknn",
        "recommender:",
        "recommender: [itemknn]",
        "recommender: nobody",
        "config: {}",
    ),
    *(
        "recommender: itemknn\nrecommender: popular\n",
        "recommender: itemknn\nmodel: x\n",
        "recommender: itemknn\n\tconfig: {}",
    ),
    *(
        f"recommender: itemknn\nconfig: {value}\n"
        for value in ("[1]", "5", "text", "{: 1}", "{num_neighbours: 5", "{5: 5}")
    ),
    *(
        f"recommender: itemknn\ndata: {value}\n"
        for value in ("[1]", "5", "{layout: 5}", "{min_rating: x}", "{nothing: 1}")
    ),
    *(
        f"recommender: itemknn\ndata: {{{value}}}\n"
        for value in ("columns: [a]", "ordered: 3", "k_core: 1.5", "unrated: maybe")
    ),
    *(f"recommender: itemknn\nprotocol: {value}\n" for value in ("", "[]", "leave-two-out", "1", "{}")),
    "recommender: itemknn\nconfig: {num_neighbours: 12:30:45}\n",
    "recommender: itemknn\nconfig: {num_neighbours: 5, num_neighbours: 6}\n",
    "recommender: !!python/object/apply:os.system ['touch owned']\n",
    "recommender: itemknn\nconfig: !!python/name:os.system\n",
    "recommender: itemknn\nconfig: &a [*a]\n",
    "a: &a [x,x,x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join(['*a' + (str(n - 1) if n else '')] * 9)}]\n" for n in range(9)),
    "recommender: itemknn\n---\nrecommender: popular\n",
    "recommender: " + "x" * 100_000 + "\n",
    "recommender: itemknn\nconfig: " + "[" * 5000 + "]" * 5000 + "\n",
    "recommender: itemknn\nconfig: " + "{a: " * 500 + "1" + "}" * 500 + "\n",
    "recommender: itemknn\nconfig: {num_neighbours: " + "9" * 5000 + "}\n",
    "recommender: itemknn\x00\n",
    "\ufeff\ufeffrecommender: itemknn\n",
)
_VALUES = (
    *(
        "5",
        "-5",
        "0",
        "5.0",
        "5e0",
        "1e400",
        ".nan",
        ".inf",
        "null",
        "~",
        "true",
        "yes",
        "no",
        "on",
        "0x10",
        "0o17",
        "010",
    ),
    *(
        "'5'",
        '"5"',
        "text",
        "[5]",
        "{a: 5}",
        "2024-05-31",
        "1_000",
        "+5",
        "5 ",
        "?",
        "|",
        ">",
        "*a",
        "&a 5",
        "!!int '5'",
        "@",
        "`",
    ),
    *("%", '"\\u0000"', '"\\ud800"', "'", '"', "[", "{", "- 5", "é", "# 5", "", "5 # five", "1,5", "5\n6"),
)


@generator
def recipes(rng: Random, folder: Path, material: Material) -> Input:
    """A recipe is trained."""
    path = folder / "mine.yaml"
    words = ["train", "mine.yaml", *data_words(material.shop), "--out", "made"]
    made = ("made", "made/*")
    how = rng.random()
    if how < 0.15:
        text = rng.choice(_SAME)
        path.write_bytes(text.encode())
        return Input(words, f"a good recipe {text!r}", "answered", makes=made)
    if how < 0.5:
        text = rng.choice(_WRONG)
        path.write_bytes(text.encode())
        return Input(words, f"{text!r:.200}", "refused")
    lines = _GOOD.rstrip().split("\n")
    at = rng.randrange(len(lines))
    if how < 0.9:
        lines[at] = f"{lines[at].partition(':')[0]}: {rng.choice(_VALUES)}"
    else:
        other = rng.randrange(len(lines))
        lines[at], lines[other] = lines[other], rng.choice(("", "  ", " ")) + lines[at].strip()
    text = "\n".join(lines)
    path.write_bytes(text.encode(rng.choice(("utf-8", "utf-8", "utf-8", "utf-16"))))
    return Input(words, f"{text!r}", makes=made)
