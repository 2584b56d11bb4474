from __future__ import annotations

import genrec
from genrec.runs.recipe import packaged_recipes


def test_json_tells_pipeline_and_paper(cli) -> None:
    found = cli("recommenders", "--json").json
    rows = {row["name"]: row for row in found["recommenders"]}
    assert {"popular", "itemknn"} <= set(rows)
    for name, recommender in genrec.recommenders().items():
        assert rows[name]["pipeline"] == recommender.pipeline
        assert rows[name]["paper"] == recommender.paper
    assert found["recipes"] == list(packaged_recipes())


def test_the_options_of_one_are_listed_as_they_could_be_given(cli, tmp_path) -> None:
    lines = cli("recommenders", "p5").out.splitlines()
    options = {line.split()[0]: line for line in lines[1:]}
    assert list(options) == list(genrec.recommenders()["p5"].Config.all_options())
    assert "whole number from 1 to 64" in options["backbone.depth"]
    assert "number from 0 and below 1" in options["backbone.dropout"]
    assert "whole number from 16 to 16,384 or null" in options["backbone.width"]
    assert "title, random, sequential" in options["code.kind"]
    assert "compact, pretrained" in options["backbone.kind"]
    assert "0.002; 0.0003 (pretrained)" in options["training.learning_rate"]
    assert "{next: 5, choose: 5," in options["times"]
    schema = cli("recommenders", "sasrec", "--json").json
    assert set(schema) == set(genrec.recommenders()["sasrec"].Config.all_options())
    assert schema["training.epochs"]["default"] == 100


def test_every_one_can_be_listed(cli) -> None:
    lines = cli("recommenders", "recsysllm").out.splitlines()
    (families,) = [line for line in lines if line.startswith("families")]
    assert "sequential (items)" in families
    for name in genrec.recommenders():
        assert cli("recommenders", name).out


def test_options_of_one_that_nobody_knows(mistake) -> None:
    assert "did you mean sasrec" in mistake("recommenders", "sasrek")


def test_the_table_has_a_line_for_each(cli) -> None:
    lines = cli("recommenders").out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("itemknn", "popular"))] == [
        "itemknn",
        "popular",
    ]
