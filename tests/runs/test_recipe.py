from __future__ import annotations

from pathlib import Path

import pytest
from genrec.errors import ConfigError
from genrec.recommenders.base import create
from genrec.runs.recipe import packaged_recipes, read_recipe


def write(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


def test_a_recommender_is_the_recipe_with_defaults() -> None:
    recipe = read_recipe("popular")
    assert (recipe.recommender, recipe.config, recipe.data, recipe.protocol) == (
        "popular",
        {},
        {},
        "leave-one-out",
    )


def test_a_file_is_read_and_kept_as_it_stands(tmp_path) -> None:
    text = "# mine\nrecommender: itemknn\nconfig: {shrink: 5}\ndata: {min_rating: 4}\nprotocol: temporal\n"
    recipe = read_recipe(write(tmp_path, text))
    assert recipe.text == text
    assert (recipe.recommender, recipe.config) == ("itemknn", {"shrink": 5})
    assert (recipe.data, recipe.protocol) == ({"min_rating": 4}, "temporal")


def test_every_packaged_recipe_makes_its_recommender() -> None:
    for name in packaged_recipes():
        recipe = read_recipe(name)
        assert create(recipe.recommender, **recipe.config).name == recipe.recommender


def test_overrides_are_typed_by_yaml_and_reach_inside() -> None:
    recipe = read_recipe("popular")
    words = ["depth=4", "rate=0.5", "full=true", "name=a b", "limit=null", "lora.rank=8", "lora.on=[q, v]"]
    config = recipe.with_overrides(words).config
    assert config == {
        "depth": 4,
        "rate": 0.5,
        "full": True,
        "name": "a b",
        "limit": None,
        "lora": {"rank": 8, "on": ["q", "v"]},
    }
    assert recipe.config == {}


def test_an_override_changes_only_its_own_key(tmp_path) -> None:
    recipe = read_recipe(write(tmp_path, "recommender: popular\nconfig: {lora: {rank: 4, alpha: 8}}\n"))
    assert recipe.with_overrides(["lora.rank=16"]).config == {"lora": {"rank": 16, "alpha": 8}}
    assert recipe.config == {"lora": {"rank": 4, "alpha": 8}}


@pytest.mark.parametrize("config", ["{epochs: 4, patience: 9}", "{training: {epochs: 4, patience: 9}}"])
@pytest.mark.parametrize(
    "words", [["epochs=3"], ["training.epochs=3"], ["training={epochs: 3}"], ["depth=2", "training.epochs=3"]]
)
def test_overrides_reach_into_a_group_by_either_name(tmp_path, config: str, words: list[str]) -> None:
    recipe = read_recipe(write(tmp_path, f"recommender: sasrec\nconfig: {config}\n")).with_overrides(words)
    assert recipe.config["training"] == {"epochs": 3, "patience": 9}
    assert create("sasrec", **recipe.config).config.training.epochs == 3


def test_overrides_are_read_as_yaml_1_2() -> None:
    words = ["a=12:30:45", "b=off", "c=1e-3", "d=010", "e='=5'", "f==", "g=key=value"]
    config = read_recipe("popular").with_overrides(words).config
    assert config == {"a": "12:30:45", "b": "off", "c": 0.001, "d": 10, "e": "=5", "f": "=", "g": "key=value"}


@pytest.mark.parametrize(
    "words", [["a=1", "a=1"], ["a.b=1", "a={c: 2}"], ["a={c: 2}", "a.b=1"], ["a.b=1", "a.b=2"]]
)
def test_an_override_that_another_would_undo_is_refused(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="given twice"):
        read_recipe("popular").with_overrides(words)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("depth", "not key=value"),
        ("=4", "not key=value"),
        ("depth..inner=4", "not key=value"),
        ("depth=", "is given nothing"),
        ("depth=#3", "comment"),
        ("depth=[1", "is not YAML"),
        ("depth.inner=1", "no options below"),
        ("depth=" + "[" * 100_000, "inside one another"),
        ("d" * 100_000, "not key=value"),
    ],
)
def test_a_wrong_override_is_named(tmp_path, word: str, told: str) -> None:
    recipe = read_recipe(write(tmp_path, "recommender: popular\nconfig: {depth: 2}\n"))
    with pytest.raises(ConfigError, match=told) as caught:
        recipe.with_overrides([word])
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not a recipe"),
        ("just words", "not a recipe"),
        ("recommender: [popular", "is not YAML"),
        ("config: {}", "not a recipe"),
        ("recommender: popular\nseed: 1", "the key 'seed'"),
        ("recommender: popular\nconfig: 3", "config is 3"),
        ("recommender: popular\nconfig: false", "config is False"),
        ("recommender: popular\ndata: []", r"data is \[\]"),
        ("recommender: popular\nconfg: {}", "did you mean config"),
        ("recommender: popular\nprotocol: 3", "protocol is 3"),
        ("recommender: popular\nrecommender: itemknn", "stands there twice"),
        ("recommender: popular\n# " + "x" * 1_000_000, "bytes"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_recipe(write(tmp_path, text))


@pytest.mark.parametrize(
    "words",
    [
        ["epochs=3", "training.epochs=3"],
        ["training.epochs=3", "epochs=3"],
        ["training={epochs: 3}", "epochs=3"],
        ["training.epochs=3", "training={epochs: 3}"],
    ],
)
def test_an_option_given_in_its_group_and_without_is_refused(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="given twice"):
        read_recipe("sasrec").with_overrides(words)


def test_a_recipe_gives_an_option_once(tmp_path) -> None:
    text = "recommender: sasrec\nconfig: {epochs: 4, training: {epochs: 4}}"
    with pytest.raises(ConfigError, match=r"training\.epochs is given twice"):
        read_recipe(write(tmp_path, text)).with_overrides([])


def test_bytes_that_are_no_text_are_refused(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"recommender: \xff\xfe")
    with pytest.raises(ConfigError, match=r"mine\.yaml"):
        read_recipe(str(path))


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean popular"):
        read_recipe("populr")
    with pytest.raises(ConfigError, match="no recipe file"):
        read_recipe("nowhere.yaml")


def test_an_option_that_nobody_knows_gets_the_nearest_or_some() -> None:
    with pytest.raises(ConfigError, match="did you mean validation_users") as caught:
        create("genrec", validaton_users=3)
    assert len(str(caught.value)) < 150
    with pytest.raises(ConfigError, match=r"there are .*backbone, depth, .* and others") as caught:
        create("genrec", **{"q" * 10_000: 3})
    assert len(str(caught.value)) < 500
