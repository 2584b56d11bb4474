from __future__ import annotations

from pathlib import Path

import pytest
from genrec.errors import ConfigError
from genrec.recommenders.base import create
from genrec.recommenders.options import GROUPS, flattened
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


def test_the_options_of_a_recipe_may_stand_without_their_groups() -> None:
    for name in packaged_recipes():
        recipe = read_recipe(name)
        assert not [
            value for option, value in recipe.options.items() if option in GROUPS and isinstance(value, dict)
        ]
        config = create(recipe.recommender, **recipe.config).config
        assert create(recipe.recommender, **recipe.options).config == config
        assert create(recipe.recommender, **config.model_dump(mode="json")).config == config


# The `config.yaml` of a run of ee8b571: without groups, with the options of both kinds of backbone, and with options
# that could have one value only.
OLD = """\
recommender: recsysllm
config:
  {backbone: compact, depth: 1, width: 64, dropout: 0.0, vocab_size: 400, node_vectors: true, tuning: lora,
    lora_rank: 8, lora_alpha: 16, lora_dropout: 0.05, code: title, code_length: shortest, objective: catalogue,
    max_items: 20, max_tokens: 4096, stride: 0, epochs: 3, max_steps: null, batch_tokens: 700,
    gradient_accumulation_steps: 1,
    learning_rate: 0.004, weight_decay: 0.05, max_grad_norm: 1.0, warmup_steps: 100, lr_scheduler_type: linear,
    bf16: false, evaluations: 1, patience: 0, validation_users: 500, search: best-first, beams: 10, seed: 0,
    threads: null, report_to: [], lora_targets: [], prompts: p5, families: [sequential], word_vectors: none,
    user_tokens: true, named_users: 0.0, users_share: 1.0, other_words: 0.0, dropped_words: 0.0, draws: 0,
    packed: true, held_share: 0.05, times: {next: 1}, pretraining_epochs: 2, levels: [entity, sentence,
      document], mask_share: 0.15, whole_entities: true, chronological: true, two_dimensional: true, dynamic: true}
"""


def test_the_recipe_of_a_run_from_before_there_were_groups_is_read(tmp_path) -> None:
    recipe = read_recipe(write(tmp_path, OLD))
    config = create("recsysllm", **recipe.config).config
    assert {name: recipe.config[name] for name in recipe.options if name not in config.names()} == {
        "stride": 0,
        "word_vectors": "none",
    }
    flat = flattened(config.model_dump(mode="json"))
    assert {name: flat[name] for name in recipe.config if name in flat} == {
        name: value for name, value in recipe.config.items() if name in flat
    }
    assert set(recipe.config) - set(flat) == {
        "stride",
        "word_vectors",
        "tuning",
        "lora_rank",
        "lora_alpha",
        "lora_dropout",
        "lora_targets",
    }
    assert recipe.with_overrides(["epochs=2"]).config["training"]["epochs"] == 2
    other = recipe.with_overrides(["backbone=some/path"])
    assert other.config["backbone"] == {"path": "some/path"}  # what nothing read is no choice of the user's
    assert create("recsysllm", **other.config).config.training.epochs == config.training.epochs


def test_another_backbone_leaves_out_what_a_recipe_says_of_its_own(tmp_path) -> None:
    paper = read_recipe("genrec-paper")
    small = create("genrec", **paper.with_overrides(["backbone=compact", "depth=1"]).config).config
    assert small.backbone.model_dump(exclude={"vocab_size", "node_vectors"}) == {
        "kind": "compact",
        "depth": 1,
        "width": None,
        "dropout": 0.5,
    }
    assert small.training.learning_rate == 3e-4  # what the recipe spells out stays
    other = paper.with_overrides(["backbone=another/path", "backbone.tuning=full"]).config["backbone"]
    assert (other["path"], other["tuning"], other["lora_rank"]) == ("another/path", "full", 8)
    large = read_recipe("genrec-best").with_overrides(["backbone=another/path"])
    assert create("genrec", **large.config).config.backbone.path == "another/path"
    with pytest.raises(ConfigError, match=r"lora_rank belongs to a checkpoint .*; backbone is items"):
        create("genrec", **read_recipe("genrec-best").with_overrides(["lora_rank=4"]).config)


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
    with pytest.raises(ConfigError, match=r"there are .*backbone, code, .* and others") as caught:
        create("genrec", **{"q" * 10_000: 3})
    assert len(str(caught.value)) < 500
