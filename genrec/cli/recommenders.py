"""`genrec recommenders`: what can be trained."""

from __future__ import annotations

from genrec.cli.options import Json
from genrec.cli.recipe import packaged_recipes
from genrec.cli.terminal import print_json, print_table, stdout


def recommenders(as_json: Json = False) -> None:
    """List what can be trained: each recommender with its pipeline and paper, and the recipes."""
    from genrec.recommenders.base import recommenders as registered

    rows = [
        {"name": name, "pipeline": cls.pipeline, "paper": cls.paper, "probabilistic": cls.probabilistic}
        for name, cls in registered().items()
    ]
    recipes = list(packaged_recipes())
    if as_json:
        print_json({"recommenders": rows, "recipes": recipes})
        return
    print_table(
        ["name", "pipeline", "paper", "scores"],
        [
            (
                row["name"],
                row["pipeline"],
                row["paper"],
                "probabilities" if row["probabilistic"] else "no scale",
            )
            for row in rows
        ],
    )
    if recipes:
        stdout().print(f"recipes: {', '.join(recipes)}")
