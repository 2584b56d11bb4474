"""Every option of every recommender: its type, its bounds, and what is told of it."""

from __future__ import annotations

import types
import typing
from typing import Any

import annotated_types
import numpy as np
import pytest
import torch
from genrec.errors import ConfigError
from genrec.recommenders.base import create, recommenders
from genrec.recommenders.options import GROUPS, flattened
from genrec.testing.option_types import plain_types
from pydantic.fields import FieldInfo

every_recommender = pytest.mark.parametrize("name", recommenders())


def options(name: str) -> dict[str, FieldInfo]:
    return recommenders()[name].Config.all_options()


def given(name: str, option: str, value: Any) -> dict[str, Any]:
    """Keywords for a recommender with this option, in its group if it is one of a group."""
    group, _, inner = option.partition(".")
    if not inner:
        return {option: value}
    kind = next(kind for kind in recommenders()[name].Config.groups()[group] if inner in kind.model_fields)
    required = {key: "some/path" for key, field in kind.model_fields.items() if field.is_required()}
    return {group: {**required, inner: value}}


def limits(metadata: list[Any]) -> tuple[list[float], list[float]]:
    """Lower and upper bounds."""
    low = [entry.ge for entry in metadata if isinstance(entry, annotated_types.Ge)]
    low += [entry.gt for entry in metadata if isinstance(entry, annotated_types.Gt)]
    high = [entry.le for entry in metadata if isinstance(entry, annotated_types.Le)]
    high += [entry.lt for entry in metadata if isinstance(entry, annotated_types.Lt)]
    return low, high


@every_recommender
def test_every_option_is_described(name: str) -> None:
    assert [option for option, field in options(name).items() if not field.description] == []


@every_recommender
def test_every_number_lies_within_finite_bounds_and_every_text_within_a_length(name: str) -> None:
    for option, field in options(name).items():
        for kind, metadata in plain_types(field.annotation, field.metadata):
            if kind in (int, float):
                low, high = limits(metadata)
                assert len(low) == len(high) == 1, option
                assert np.isfinite([*low, *high]).all()
                assert low[0] < high[0]
            elif kind in (str, tuple):
                assert any(isinstance(entry, annotated_types.MaxLen) for entry in metadata), option
            else:
                named = kind in (bool, types.NoneType, dict, Any) or typing.get_origin(kind) is typing.Literal
                assert named, (option, kind)


@every_recommender
def test_defaults_are_what_an_option_may_be(name: str) -> None:
    defaults = create(name).config
    assert create(name, **defaults.model_dump(mode="json")).config == defaults


@every_recommender
def test_numbers_outside_their_bounds_or_of_another_kind_are_refused_in_one_short_line(name: str) -> None:
    for option, field in options(name).items():
        numbers = [
            part for part in plain_types(field.annotation, field.metadata) if part[0] in (int, float)
        ]  # `times` has them inside a mapping
        if not numbers or option == "times":
            continue
        (low,), (high,) = limits(numbers[0][1])
        wrong = [
            low - 1,
            high + 1,
            -(10**30),
            10**30,
            float("nan"),
            float("inf"),
            True,
            "3",
            [],
            {},
            "x" * 9999,
        ]
        for value in [*wrong, *([2.5, 2.0] if numbers[0][0] is int else [])]:
            with pytest.raises(ConfigError) as caught:
                create(name, **given(name, option, value))
            assert option in str(caught.value)
            assert name in str(caught.value)
            assert "\n" not in str(caught.value)
            assert len(str(caught.value)) < 500


@every_recommender
def test_every_name_without_its_group_means_one_option(name: str) -> None:
    config = recommenders()[name].Config
    names = [
        *config.model_fields,
        *(option.split(".")[-1] for option in config.all_options() if "." in option and "kind" not in option),
    ]
    assert sorted(names) == sorted(set(names))
    defaults = create(name).config.model_dump(mode="json")
    flat = flattened(defaults)
    assert [value for option, value in flat.items() if option in GROUPS and isinstance(value, dict)] == []
    assert create(name, **flat).config.model_dump(mode="json") == defaults
    assert config.nested(flat) == config.nested(defaults)
    assert flattened(flat) == flat


@every_recommender
def test_an_option_given_in_its_group_and_without_is_refused(name: str) -> None:
    defaults = create(name).config.model_dump()
    for flat, (group, option) in recommenders()[name].Config.flat_names().items():
        if option in defaults[group]:
            with pytest.raises(ConfigError, match=f"{group}.{option} is given twice") as caught:
                create(name, **{flat: 1, group: {option: 1}})
            assert "\n" not in str(caught.value)


def test_options_of_a_group_may_stand_within_or_without() -> None:
    within = create("sasrec", training={"epochs": 3, "learning_rate": np.float64(0.5)}, depth=1).config
    assert within == create("sasrec", epochs=3, learning_rate=0.5, depth=1).config
    assert within == create("sasrec", epochs=3, training={"learning_rate": 0.5}, depth=1).config
    assert within == create("sasrec", training=within.training, depth=1).config
    assert (within.training.epochs, within.training.learning_rate) == (3, 0.5)
    changed = within.changed(epochs=4, training={"patience": 2})
    assert (changed.training.epochs, changed.training.patience, changed.training.learning_rate) == (4, 2, 0.5)


@every_recommender
def test_runs_from_before_there_were_groups_have_the_options_of_both_backbones(name: str) -> None:
    config = recommenders()[name].Config
    if "backbone" not in config.groups():
        return
    compact, pretrained = create(name).config, create(name, backbone="some/path").config
    for one, other in ((compact, pretrained), (pretrained, compact)):
        old = (
            flattened(other.model_dump(mode="json")) | flattened(one.model_dump(mode="json")) | config.dropped
        )
        assert create(name, **old).config == one


@pytest.mark.parametrize("name", ["genrec", "palr", "genrec-seq2seq", "p5", "recsysllm"])
def test_a_checkpoint_has_defaults_of_its_own(name: str) -> None:
    config = create(name, backbone="some/path").config
    assert (config.training.learning_rate, config.training.epochs, config.training.weight_decay) == (
        3e-4,
        5,
        0,
    )
    assert (config.code.length, config.search.beams) == ("full", 10)
    given = create(
        name, backbone={"path": "some/path"}, epochs=3, search={"beams": 7}, code="sequential"
    ).config
    assert (given.training.epochs, given.search.beams) == (3, 7)
    assert (given.code.kind, given.code.length) == ("sequential", "full")
    assert (create(name).config.code.length, create(name).config.search.beams) == ("shortest", 50)


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("genrec", {"lora_rank": 8}, "lora_rank belongs to a checkpoint .*; backbone is items"),
        (
            "p5",
            {"backbone": "compact", "tuning": "full"},
            "tuning belongs to a checkpoint .*; backbone is compact",
        ),
        (
            "genrec",
            {"backbone": {"path": "x/y"}, "depth": 2},
            "depth belongs to a model that reads items .* is x/y",
        ),
        ("genrec", {"backbone": {"kind": "compact", "path": "x"}}, "no option 'backbone.path'"),
        ("genrec", {"backbone": {"kind": "other"}}, "'other' found using 'kind'"),
        ("genrec", {"backbone": "x", "code": {"kind": "title"}, "code_length": 3}, r"code\.length=3"),
        ("genrec", {"code": "title", "code.kind": "title"}, "no option 'code.kind'"),
        ("palr", {"stride": 1}, "palr has no option 'stride'"),
        ("p5", {"stride": 1}, "p5 has no option 'stride'"),
        ("recsysllm", {"word_vectors": "order"}, "recsysllm has no option 'word_vectors'"),
        ("sasrec", {"lora_rank": 8}, "sasrec has no option 'lora_rank'"),
    ],
)
def test_options_that_mean_nothing_are_refused_in_words(name: str, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        create(name, **given)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"training": 3}, "training=3 is no group of options"),
        ({"training": None}, "training=None is no group of options"),
        ({"training": {"kind": 3}}, "no option 'training.kind'"),
        ({"training": {"path": 3}}, "no option 'training.path'"),
        ({"training": {"epoch": 3}}, "no option 'training.epoch'; did you mean training.epochs"),
        ({"epoch": 3}, "no option 'epoch'; did you mean epochs"),
        ({"training": {"epochs": -1}}, r"option training\.epochs=-1 of sasrec"),
        ({"epochs": "3"}, r"option training\.epochs='3' of sasrec"),
    ],
)
def test_wrong_options_of_a_group_are_told_by_their_place(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        create("sasrec", **given)


@pytest.mark.parametrize(
    ("name", "option", "value", "told"),
    [
        ("genrec", "backbone", "", "at least 1 character"),
        ("genrec", "batch_tokens", 900, "batch_tokens=900 is about tokens, and backbone=items reads items"),
        ("genrec", "max_tokens", 900, "max_tokens=900 is about tokens"),
        ("genrec", "stride", 3, "stride=3 is about tokens"),
        ("genrec", "num_heads", 3, "num_heads=3 does not divide width=64"),
        ("palr", "ranking", "list", "ranking=list is about tokens.* or take backbone=compact"),
        ("palr", "tasks", ["candidates"], "tasks=candidates is about tokens"),
        ("palr", "prompt", "palr", "prompt=palr is about tokens"),
        ("palr", "profile", "chat", "profile=chat is read in a prompt"),
        ("genrec", "backbone", "a\0b", "pattern"),
        ("genrec", "prompt", "x" * 5000, "at most 1000"),
        ("genrec", "bf16", 1, "valid boolean"),
        ("genrec", "bf16", "yes", "valid boolean"),
        ("genrec", "report_to", "wandb", "valid tuple"),
        ("genrec", "report_to", [3], "valid string"),
        ("genrec", "report_to", ["t"] * 51, "at most 50"),
        ("p5", "width", 100, "take a multiple of 32"),
        ("p5", "width", 33, "take a multiple of 32"),
        ("sasrec", "num_heads", 3, "does not divide"),
        ("bsarec", "num_frequencies", 26, "no more than 25"),
        ("p5", "times", {"next": 1001}, "times.next=1001"),
        ("p5", "times", {"nxt": 1}, "there is no 'nxt'"),
        ("palr", "tasks", [], "at least 1 item"),
        ("recsysllm", "levels", [], "at least 1 item"),
        ("union", "members", [], "at least one"),
    ],
)
def test_values_that_no_training_can_be_meant_by(name: str, option: str, value: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        create(name, **{option: value})
    assert len(str(caught.value)) < 500


def test_numpy_and_torch_take_every_seed_there_is() -> None:
    for seed in (0, 2**32 - 1):
        assert create("genrec", seed=seed).config.seed == seed
        np.random.default_rng((seed, 1))
        np.random.RandomState(seed)
        torch.Generator().manual_seed(seed)


def test_lists_from_a_file_become_tuples() -> None:
    assert create("p5", families=["sequential"]).config.families == ("sequential",)
    assert create("palr", backbone="compact", tasks=["candidates"]).config.tasks == ("candidates",)
    assert create("genrec", learning_rate=1).config.training.learning_rate == 1.0


def test_numbers_of_numpy_are_numbers() -> None:
    config = create("genrec", depth=np.int64(3), dropout=np.float32(0.25), bf16=np.False_).config
    assert (config.backbone.depth, config.backbone.dropout, config.training.bf16) == (3, 0.25, False)
    with pytest.raises(ConfigError, match=r"backbone\.depth=2\.5 of genrec"):
        create("genrec", depth=np.float64(2.5))
