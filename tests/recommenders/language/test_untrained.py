"""Checkpoints as they are: lists without training, with and without what titles are likely by themselves."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import genrec
import numpy as np
import polars as pl
import pytest
import torch
from checkpoints import TITLES, write
from genrec.data.interactions import Histories, Interactions
from genrec.data.ranking import Rankings
from genrec.errors import ConfigError
from genrec.recommenders.base import Recommender, create, load
from genrec.testing import next_of, ring
from transformers import AutoModelForCausalLM, AutoTokenizer

NUM_ITEMS = len(TITLES)
HISTORIES = Histories.from_lists([[], [3], [1, 2, 3], [14, 0, 1, 2, 3, 4]])
PALR: dict[str, Any] = {"retriever": "itemknn", "num_candidates": 8}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A llama with weights that are anything but even."""
    folder = write("llama", tmp_path_factory.mktemp("untrained") / "llama")
    model = AutoModelForCausalLM.from_pretrained(folder)
    for weight in model.parameters():
        weight.data *= 6 if weight.dim() == 2 else 1
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def walks() -> Interactions:
    return ring(TITLES)


@pytest.fixture(scope="module")
def untrained(checkpoint: str, walks: Interactions) -> Callable[..., Recommender]:
    """Made once for the same options; none of the tests may change it."""
    known: dict[str, Recommender] = {}

    def made(name: str = "genrec", **options: Any) -> Recommender:
        key = f"{name} {options}"
        if key not in known:
            usual = {"backbone": checkpoint, "max_steps": 0}
            known[key] = create(name, **(usual | options)).fit(walks, next_of(walks))
        return known[key]

    return made


def explained(model: Recommender, history: np.ndarray, item: int) -> float:
    """What the decisions along a title come to."""
    pmi = model.config.search.pmi
    decisions = model.why([f"i{row}" for row in history], f"i{item}")
    return sum(
        float(np.log(one.probability)) - (pmi * float(np.log(one.unasked)) if pmi else 0.0)
        for one in decisions
    )


def scores(model: Recommender, histories: Histories = HISTORIES) -> np.ndarray:
    """Of every item, by the exact list; (B, num_items)."""
    found = model.rank(histories, len(model.catalogue), exclude_seen=False, exact=True)
    table_BI = np.zeros(found.items_BK.shape)
    np.put_along_axis(table_BI, found.items_BK, found.scores_BK, axis=1)
    return table_BI


@torch.no_grad()
def test_an_untrained_checkpoint_ranks_by_its_own_likelihood_of_the_catalogue(
    checkpoint: str, untrained: Callable[..., Recommender]
) -> None:
    """Of the model as transformers runs it, over the children of each node."""
    model, codes = untrained(), untrained().codebook_.codes
    theirs, tokenizer = (
        AutoModelForCausalLM.from_pretrained(checkpoint),
        AutoTokenizer.from_pretrained(checkpoint),
    )
    written = [tuple(codes[item].tolist()) for item in range(NUM_ITEMS)]
    (line,) = tokenizer(["\n"], add_special_tokens=False)["input_ids"]
    for row, history in enumerate(HISTORIES):
        asked = [*line, *(token for item in history for token in written[item])]
        for item in (0, 5, 11, 14):
            logits_TV = theirs(torch.tensor([[*asked, *written[item]]])).logits[0, len(asked) - 1 :]
            log_p = 0.0
            for place, token in enumerate(written[item]):
                able = sorted({code[place] for code in written if code[:place] == written[item][:place]})
                log_p += float(logits_TV[place, able].log_softmax(0)[able.index(token)])
            assert scores(model)[row, item] == pytest.approx(log_p, abs=1e-3)
    assert np.exp(scores(model)).sum(axis=1) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("objective", ["catalogue", "token"])
@pytest.mark.parametrize("pmi", [0.4, 1.0])
def test_what_a_title_is_likely_by_itself_is_taken_off(
    untrained: Callable[..., Recommender], tmp_path: Path, pmi: float, objective: str
) -> None:
    plain, model = untrained(objective=objective), untrained(pmi=pmi, objective=objective)
    expected = scores(plain) - pmi * scores(plain)[0]  # of somebody without a history
    np.testing.assert_allclose(scores(model), expected, atol=2e-4)
    found = model.rank(HISTORIES, 4, exact=True)
    assert found.exact_B.all()
    for row, history in enumerate(HISTORIES):
        expected[row, history] = -np.inf
    np.testing.assert_allclose(found.scores_BK, -np.sort(-expected)[:, :4], atol=2e-4)
    again = load(model.save(tmp_path / "saved"))
    np.testing.assert_array_equal(again.rank(HISTORIES, 4).items_BK, model.rank(HISTORIES, 4).items_BK)
    assert {item.probability for item in again.recommend([["i3"]], k=3)[0].items} == {None}


@pytest.mark.parametrize("name", ["genrec", "palr"])
@pytest.mark.parametrize("pmi", [0.0, 0.7])
def test_decisions_come_to_the_score(untrained: Callable[..., Recommender], name: str, pmi: float) -> None:
    model = untrained(name, pmi=pmi, **(PALR if name == "palr" else {}))
    likelihood = next((score for score in getattr(model, "scores", []) if score.name == "recommend"), None)
    everything = Rankings(
        np.tile(np.arange(NUM_ITEMS, dtype=np.int32), (len(HISTORIES), 1)),
        np.zeros((len(HISTORIES), NUM_ITEMS), np.float32),
        np.ones(len(HISTORIES), bool),
    )
    found_BI = scores(model) if likelihood is None else likelihood.of(HISTORIES, everything)
    for row, history in enumerate(HISTORIES):
        for item in (0, 7, 14):
            assert found_BI[row, item] == pytest.approx(explained(model, history, item), abs=2e-4)


def test_a_changed_catalogue_is_weighed_anew_and_comes_back(
    untrained: Callable[..., Recommender], checkpoint: str, walks: Interactions, tmp_path: Path
) -> None:
    model = create("genrec", backbone=checkpoint, max_steps=0, pmi=1.0).fit(walks)
    before = scores(model)
    model.add_items(pl.DataFrame({"item_id": ["new"], "title": ["Comet Harbour 9"]}))
    assert scores(model)[0] == pytest.approx(
        0, abs=2e-4
    )  # nothing is known of nobody, whatever the catalogue
    new = model.catalogue.ids.index("new")
    for row, history in enumerate(HISTORIES):
        decisions = model.why([f"i{seen}" for seen in history], "new")
        expected = sum(np.log(one.probability) - np.log(one.unasked) for one in decisions)
        assert scores(model)[row, new] == pytest.approx(expected, abs=2e-4)
    again = load(model.save(tmp_path / "saved"))
    np.testing.assert_allclose(scores(again), scores(model), atol=1e-4)
    model.remove_items(["new"])
    np.testing.assert_allclose(scores(model), before, atol=1e-4)


@pytest.mark.parametrize("templated", [True, False])
def test_a_prompt_that_wants_a_chat_gets_the_template_of_the_checkpoint(
    checkpoint: str, walks: Interactions, tmp_path: Path, templated: bool
) -> None:
    folder, titles = tmp_path / "chat", tuple(f"{TITLES[item]}\n" for item in (3, 6))
    shutil.copytree(checkpoint, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if templated:
        tokenizer.chat_template = (
            "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
            "{% if add_generation_prompt %}<s>answer: {% endif %}"
        )
        tokenizer.save_pretrained(folder)
    prompt = tmp_path / "mine.yaml"  # ours is longer than such a small checkpoint reads
    prompt.write_text('chat: true\nparaphrases: [{before: "Mine:\\n", after: "Next?"}]\n')
    options = {"prompt": str(prompt), "max_steps": 0, "max_items": 2}
    model = create("genrec", backbone=str(folder), **options).fit(walks)
    model = load(model.save(tmp_path / "saved"))
    row = model.rows_.question(np.array([3, 6]))
    said = ["Mine:\n", *titles, "Next?"]
    said = ["<s>user: ", *said, "</s><s>answer: "] if templated else ["\n", *said]
    expected = [token for ids in tokenizer(said, add_special_tokens=False)["input_ids"] for token in ids]
    assert row.tokens_T.tolist() == expected
    assert (expected[0] == tokenizer.bos_token_id) == templated
    assert model.rank(HISTORIES, 3).items_BK.min() >= 0
    with pytest.raises(ConfigError, match="packed examples have no place for a prompt's words"):
        create("genrec", backbone=str(folder), **options | {"max_steps": 1}).fit(walks)


def test_worked_examples_stand_before_a_question(
    checkpoint: str, walks: Interactions, tmp_path: Path
) -> None:
    prompt = tmp_path / "mine.yaml"
    prompt.write_text('paraphrases: [{before: "In:\\n", after: "Out:\\n"}]\n')
    options = {"prompt": str(prompt), "max_steps": 0, "max_items": 3, "code_length": "shortest", "pmi": 0.5}
    model = create("genrec", backbone=checkpoint, shots=1, **options).fit(walks)
    other = create("genrec", backbone=checkpoint, shots=1, seed=1, **options).fit(walks)
    assert model.shots_ != other.shots_
    ((*history, answer),) = model.shots_
    assert [*history, answer] in [items[-6:].tolist() for items in walks.histories]
    shown = [f"{TITLES[item]}{' (2)' if item == 14 else ''}" for item in (*history[-3:], answer)]
    expected = ["In:", *shown[:-1], "Out:", shown[-1], "In:", "Paper Tigers", "Paper Tigers, Again", "Out:"]
    again = load(model.save(tmp_path / "saved"))
    for one in (model, again):
        row = one.rows_.question(np.array([10, 11]))
        assert one.codebook_.tokenizer.decode(row.tokens_T).strip().split("\n") == expected
    np.testing.assert_allclose(scores(again), scores(model), atol=1e-5)
    assert scores(model)[1, 5] == pytest.approx(explained(model, HISTORIES[1], 5), abs=2e-4)
    with pytest.raises(
        ConfigError, match="shots=2 shows a checkpoint how questions are answered, which takes words"
    ):
        create("genrec", backbone=checkpoint, shots=2)


def test_a_training_goes_by_what_the_model_has_become(checkpoint: str, walks: Interactions) -> None:
    options = {"epochs": 2, "batch_tokens": 600, "learning_rate": 3e-3, "evaluations": 2, "bf16": False}
    model = create("genrec", backbone=checkpoint, pmi=1.0, **options).fit(walks, next_of(walks))
    assert scores(model)[0] == pytest.approx(0, abs=2e-4)
    for item in (0, 7):
        assert scores(model)[2, item] == pytest.approx(explained(model, HISTORIES[2], item), abs=2e-4)


def test_nothing_is_learnt_and_the_run_is_whole(
    untrained: Callable[..., Recommender], checkpoint: str, tmp_path: Path
) -> None:
    weights = untrained().backbone_.lm.state_dict()
    assert [name for name in weights if "lora_B" in name]
    assert not any(weight.any() for name, weight in weights.items() if "lora_B" in name)
    rows = [f"u{user},item {(user + step) % 12},{step}" for user in range(9) for step in range(5)]
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\n" + "\n".join(rows))
    options = {"backbone": checkpoint, "max_steps": 0, "pmi": 1.0}
    run = genrec.train("genrec", tmp_path / "log.csv", tmp_path / "run", floors=False, **options)
    assert run.metrics["validation"]["num_users"] == 9
    assert 0 <= run.evaluate("test", floor=False)["HR@10"] <= 1
    assert not list((tmp_path / "run").rglob("checkpoint-*"))
    assert "max_steps: 0" in (tmp_path / "run" / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("genrec", {"max_steps": 0}, "backbone=items knows nothing before: take a checkpoint"),
        ("genrec-seq2seq", {"max_steps": 0}, "backbone=compact knows nothing before: take a checkpoint"),
        (
            "palr",
            {"pmi": 1.0},
            r"pmi=1.0 is about how likely titles are as text, and backbone=items reads items",
        ),
        (
            "genrec",
            {"backbone": "compact", "pmi": 0.5, "prior": ["transitions"]},
            r"pmi=0.5 is for a language model that writes alone, and there is a prior: take prior=\[\]",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        create(name, **options)
    assert "\n" not in str(caught.value)
