"""Run folders with a file that came to harm, under every command that reads them."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from random import Random

import damage
from inputs import Input, generator
from material import HISTORY, LONGER, STOPPABLE, WEIGHTS, Material, data_words, train_words

_MODEL = ("config.yaml", "data.json", "model/*")
_EVALUATED = (*_MODEL, "environment.json", "metrics.json")
_READS = {
    "recommend": _MODEL,
    "ask": _MODEL,
    "evaluate": _EVALUATED,
    "audit": (*_MODEL, "metrics.json", "rankings-test.parquet"),
    "compare": (
        *("config.yaml", "data.json", "environment.json", "metrics.json"),
        *("rankings-test.parquet", "log.jsonl"),
    ),
}
# Sealed: of the first every byte, of the second every value.
_BYTES = ("config.yaml", "recipe.yaml", "environment.json", "rankings-*.parquet", "model/*")
_VALUES = ("data.json", "metrics.json", "model/recommender.json")
_SIBLINGS = (
    "config.yaml",
    "environment.json",
    "recipe.yaml",
)  # with another run's data.json they are strangers
_OPTIONAL = ("metrics.json", "log.jsonl", "rankings-test.parquet")  # a run without them is a younger one


@generator
def runs(rng: Random, folder: Path, material: Material) -> Input:
    """One file of a finished run is damaged, and a command reads the run."""
    name = rng.choice(sorted(material.runs))
    run = damage.copy_run(material.runs[name], folder / "run")
    files = sorted(path for path in run.rglob("*") if path.is_file() and "checkpoints" not in path.parts)
    path = rng.choice(files)
    where = str(path.relative_to(run))
    about, certain = _harm(rng, path, material.other_runs[name] / where)
    certain |= _sealed(where, about)
    command = rng.choice(sorted(_READS))
    read = any(fnmatch(where, pattern) for pattern in _READS[command])
    missing = about in ("deleted", "a link to itself") and where in _OPTIONAL
    return Input(
        _words(rng, command, name, run, folder, material),
        f"{name}: {where} {about}; {command}",
        "refused" if read and not missing and certain else "either",
        (path.name, *_SIBLINGS, "has not finished") if read and not missing else (),
        ("run/metrics.json", "run/rankings-*.parquet") if command == "evaluate" else (),
        answer=_same_list(material.lists[name]) if command == "recommend" else None,
        exits=(1,) if command == "audit" else (),
    )


def _sealed(where: str, about: str) -> bool:
    """Whether a change is one that the seals of a run tell."""
    if any(fnmatch(where, pattern) for pattern in _VALUES):
        of_value = " in place of " in about or about.startswith(("without", "taken from"))
        return of_value and "seal" not in about and "all" not in about.rpartition(" ")[2]
    return any(fnmatch(where, pattern) for pattern in _BYTES)


def _harm(rng: Random, path: Path, other: Path) -> tuple[str, bool]:
    """Damage a file: what was done, and whether any reader has to see it."""
    while True:
        how = rng.choice((*damage.CERTAIN, *damage.CHANGED, None))
        about = damage.replaced(path, other) if how is None else how(rng, path)
        if about is not None:
            return about, how in damage.CERTAIN


def _words(rng: Random, command: str, name: str, run: Path, folder: Path, material: Material) -> list[str]:
    """A command that asks something of the run."""
    if command == "recommend":
        return ["recommend", str(run), *HISTORY, "-k", "3", "--json"]
    if command == "ask":
        tasks = [["recommend", *HISTORY], ["rank", *HISTORY, "--candidate", "i2", "--candidate", "i3"]]
        if name in ("p5", "recsysllm"):
            tasks += [["rating", "--user", "u1", "--item", "i2"], ["headline", "--review", "My tuner came."]]
        return ["ask", str(run), *rng.choice(tasks), "--json"]
    if command == "compare":
        return [
            "compare",
            str(run),
            str(material.runs["popular" if name != "popular" else "itemknn"]),
            "--json",
        ]
    return [command, str(run), "--json"]


def _same_list(expected: object):  # type: ignore[no-untyped-def]
    def check(out: str) -> None:
        found = json.loads(out)["items"]
        assert found == expected, f"another list than the undamaged run gives: {found}"

    return check


@generator
def resumed(rng: Random, folder: Path, material: Material) -> Input:
    """One file of a stopped run is damaged, and the training is to go on."""
    run = damage.copy_run(material.stopped, folder / "run")
    path = rng.choice(sorted(path for path in run.rglob("*") if path.is_file()))
    other = material.other_runs[STOPPABLE] / path.relative_to(run)
    about, certain = _harm(rng, path, other)
    words = [*train_words(STOPPABLE, material.shop, run, **LONGER), "--resume"]
    where = str(path.relative_to(run))
    begun = where in ("config.yaml", "data.json")

    def ends_the_same(out: str) -> None:
        assert (run / WEIGHTS).read_bytes() == material.weights, (
            "other weights than those of a whole training"
        )

    return Input(
        words,
        f"{where} {about}; train --resume",
        "refused" if certain and begun and about != "deleted" else "either",
        ("config.yaml", "data.json") if begun and about != "deleted" else (),
        touches=("run/*",),  # a training that went on before it met the damage has checkpoints to show
        answer=ends_the_same,
    )


@generator
def repeated(rng: Random, folder: Path, material: Material) -> Input:
    """The `config.yaml` of a run, damaged, is given as a recipe."""
    name = rng.choice(("popular", "itemknn", "tfidf"))
    recipe = folder / "config.yaml"
    recipe.write_bytes((material.runs[name] / "config.yaml").read_bytes())
    about, certain = _harm(rng, recipe, material.other_runs[name] / "data.json")
    words = ["train", str(recipe), *data_words(material.shop), "--out", str(folder / "made")]
    certain = certain and not about.startswith("cut")  # YAML may end anywhere
    return Input(
        words,
        f"{name}: config.yaml {about}; train config.yaml",
        "refused" if certain else "either",
        ("config.yaml", "option", "Is a directory", "data option", "recommender", "protocol", "split"),
        makes=("made", "made/*"),
    )
