"""T5 and BART against transformers' own forward, with any masks and positions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from genrec.backbones.pretrained_seq2seq import PretrainedSeq2SeqBackbone, SourceCache
from seq2seq_checkpoints import (
    FAMILIES,
    LENGTHS,
    NUM_WORDS,
    POSITIONS,
    START,
    VOCABULARY,
    WIDTH,
    assert_close,
    make_answers,
    make_sources,
    part,
)
from torch import Tensor
from transformers import AutoModelForSeq2SeqLM


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_the_models_own(
    seq2seq_checkpoint: Callable[[str], str], seq2seq: Callable[..., PretrainedSeq2SeqBackbone], family: str
) -> None:
    model, batch = seq2seq(family), make_sources() | make_answers(9)
    logits = model(batch) @ model.vocabulary_vectors().T
    own = AutoModelForSeq2SeqLM.from_pretrained(seq2seq_checkpoint(family)).eval()
    expected = own(
        input_ids=batch["source_tokens"],
        attention_mask=(batch["source_positions"] < LENGTHS[:, None]).long(),
        decoder_input_ids=batch["tokens"],
    ).logits
    assert_close(logits, expected)
    assert logits.std() > 0.3
    edges = torch.tensor([5, 7])
    assert model.edge_vectors(edges, edges).equal(model.vocabulary_vectors()[edges])
    assert model.start_token == START
    assert (model.max_positions == POSITIONS) == (family == "bart")


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_is_the_models_own(
    seq2seq_checkpoint: Callable[[str], str], seq2seq: Callable[..., PretrainedSeq2SeqBackbone], family: str
) -> None:
    """The same numbers are drawn in the same order."""
    model, batch = seq2seq(family).train(), make_sources() | make_answers(9)
    own = AutoModelForSeq2SeqLM.from_pretrained(seq2seq_checkpoint(family)).train()
    torch.manual_seed(3)
    found = model(batch) @ model.vocabulary_vectors().T
    torch.manual_seed(3)
    expected = own(
        input_ids=batch["source_tokens"],
        attention_mask=(batch["source_positions"] < LENGTHS[:, None]).long(),
        decoder_input_ids=batch["tokens"],
    ).logits
    assert_close(found, expected)
    assert (model(batch) @ model.vocabulary_vectors().T - expected).abs().max() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_nothing(seq2seq: Callable[..., PretrainedSeq2SeqBackbone], family: str) -> None:
    model, batch = seq2seq(family), make_sources() | make_answers(9)
    batch["source_reach"] = batch["source_reach"] * (batch["source_positions"] < LENGTHS[:, None])
    batch["reach"] = batch["reach"] * torch.tensor([[1] * 9, [1] * 4 + [0] * 5, [1] * 6 + [0] * 3])
    batch["sees"] = batch["sees"] - (batch["reach"] == 0).long()
    together = model(batch)
    assert together.isfinite().all()
    for row, length in enumerate((9, 4, 6)):
        alone = part(batch, slice(row, row + 1), slice(int(LENGTHS[row])), slice(length))
        assert_close(together[row, :length], model(alone)[0])


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_answers_side_by_side_do_not_see_each_other(
    seq2seq: Callable[..., PretrainedSeq2SeqBackbone], family: str
) -> None:
    """Each with a reach and positions of its own."""
    model, batch = seq2seq(family), make_sources() | make_answers(3, 5, 2)
    first, last = (0, 3, 8), (3, 8, 10)
    batch["reach"] = torch.tensor(
        [[1] * 3 + [3] * 5 + [2] * 2, [2] * 3 + [1] * 5 + [3] * 2, [20] * 3 + [25] * 7]
    )
    batch["positions"] = batch["positions"] + torch.tensor([0] * 3 + [9] * 5 + [4] * 2)
    together = model(batch)
    for start, end in zip(first, last, strict=True):
        alone = model(part(batch, slice(None), slice(None), slice(start, end)))
        assert_close(together[:, start:end], alone)
    batch["source_reach"] = torch.ones_like(batch["source_reach"])  # encoded apart from what comes later
    for row in range(3):  # as much of the source as is seen gives the same as all of it
        cut = int(batch["reach"][row, 0])
        whole = model(part(batch, slice(row, row + 1), slice(None), slice(0, 3)))
        alone = model(part(batch, slice(row, row + 1), slice(cut), slice(0, 3)))
        assert_close(whole, alone)


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_of_the_source_see_what_they_may(
    seq2seq: Callable[..., PretrainedSeq2SeqBackbone], family: str
) -> None:
    model, source = seq2seq(family), make_sources()
    source["source_reach"] = source["source_positions"] + 1
    before = model.encode(*source.values())
    source["source_tokens"] = source["source_tokens"].clone()
    source["source_tokens"][:, 4] = (source["source_tokens"][:, 4] + 1) % VOCABULARY
    after = model.encode(*source.values())
    assert_close(after[:, :4], before[:, :4])
    assert ((after - before).abs().amax(2)[:, 4:] > 1e-4).all()


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_positions_need_not_be_places(seq2seq: Callable[..., PretrainedSeq2SeqBackbone], family: str) -> None:
    """Tokens in another order at the positions that they had are read alike, and at other positions they are not."""
    model, source = seq2seq(family), part(make_sources(), slice(2, 3), slice(None), slice(None))
    states = model.encode(*source.values())
    order = torch.randperm(25, generator=torch.Generator().manual_seed(2))
    moved = {name: values[:, order] for name, values in source.items()}
    assert_close(model.encode(*moved.values()), states[:, order])
    moved["source_positions"] = source["source_positions"]
    assert (model.encode(*moved.values()) - states[:, order]).abs().max() > 0.01


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_words_are_added_to_the_embeddings(
    seq2seq: Callable[..., PretrainedSeq2SeqBackbone], family: str
) -> None:
    model, source = seq2seq(family), make_sources()
    source["source_words"] = source["source_positions"] % NUM_WORDS
    vectors = model.word_vectors.weight.clone()
    vectors[0] = 0  # never added
    encoder = model.lm.get_encoder()
    expected = encoder(
        inputs_embeds=encoder.embed_tokens(source["source_tokens"])
        + vectors[source["source_words"]] / math.sqrt(WIDTH),
        attention_mask=(source["source_positions"] < LENGTHS[:, None]).long(),
    ).last_hidden_state
    assert_close(model.encode(*source.values()), expected)


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_the_cache_keeps_rows_and_keys(
    seq2seq: Callable[..., PretrainedSeq2SeqBackbone], family: str
) -> None:
    """A token that sees some of the keys is the same in whatever order and rows they are kept."""
    model, source, answer = seq2seq(family), make_sources(), make_answers(6)
    expected = model(source | answer)

    def remembered(rows: list[int]) -> SourceCache:
        states = model.encode(*(values[rows] for values in source.values()))
        cache, num_keys = model.remember(states, source["source_positions"][rows])
        assert num_keys == 0
        model.see(cache, LENGTHS[rows, None])
        return cache

    def run(
        cache: SourceCache, rows: list[int], start: int, end: int, mask: list[Any] | None = None
    ) -> Tensor:
        tokens, nodes, positions = (
            answer[name][rows, start:end] for name in ("tokens", "nodes", "positions")
        )
        return model.hidden(tokens, nodes, positions, None if mask is None else torch.tensor(mask), cache)

    cache = remembered([0, 1, 2])
    assert_close(run(cache, [0, 1, 2], 0, 4), expected[:, :4])
    rows = [2, 0]
    model.keep_rows(cache, torch.tensor(rows))
    model.keep_keys(cache, torch.tensor([[3, 1, 0, 2], [0, 3, 2, 1]]))
    assert_close(run(cache, rows, 4, 5, [[[True] * 5]] * 2), expected[rows, 4:5])
    model.keep_keys(cache, torch.tensor([[3, 4, 1], [4, 1, 2]]))
    assert cache.positions_BK.tolist() == [[2, 4, 1], [4, 3, 2]]
    # Both see the tokens at 2, 4 and 5.
    found = run(cache, rows, 5, 6, [[[True, True, False, True]], [[True, False, True, True]]])
    whole = remembered(rows)
    run(whole, rows, 0, 5)
    assert_close(found, run(whole, rows, 5, 6, [[[False, False, True, False, True, True]]] * 2))
