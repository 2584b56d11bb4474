from __future__ import annotations

import genrec
from genrec.cli.recipe import packaged_recipes


def test_json_tells_pipeline_and_paper(cli) -> None:
    found = cli("recommenders", "--json").json
    rows = {row["name"]: row for row in found["recommenders"]}
    assert {"popular", "itemknn"} <= set(rows)
    for name, recommender in genrec.recommenders().items():
        assert rows[name]["pipeline"] == recommender.pipeline
        assert rows[name]["paper"] == recommender.paper
    assert found["recipes"] == list(packaged_recipes())


def test_the_table_has_a_line_for_each(cli) -> None:
    lines = cli("recommenders").out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("itemknn", "popular"))] == [
        "itemknn",
        "popular",
    ]
