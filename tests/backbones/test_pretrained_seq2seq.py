"""T5 and BART against transformers' own forward, and searches against scoring every item by itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import write
from genrec.backbones.base import Prefix
from genrec.backbones.pretrained import PretrainedBackbone
from genrec.backbones.pretrained_seq2seq import PretrainedSeq2SeqBackbone
from genrec.codes.trie import Codes, Trie
from genrec.decoding.beam import BeamSearch, Normalise
from genrec.decoding.constraint import Constraint, TrieTensors
from genrec.errors import BackendMissingError, ConfigError
from genrec.training.objectives import CodeLoss
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForSeq2SeqLM, BartConfig, T5Config, T5EncoderModel
from transformers import BartForConditionalGeneration as Bart
from transformers import T5ForConditionalGeneration as T5

VOCABULARY, WIDTH, POSITIONS, START = 40, 16, 64, 3
NUM_WORDS = 5
T5_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": WIDTH,
    "d_kv": 6,  # heads need not add up to the width
    "d_ff": 24,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 2,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 20,
    "decoder_start_token_id": START,
}
BART_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": WIDTH,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "max_position_embeddings": POSITIONS,
    "init_std": 0.3,
    "scale_embedding": True,
    "attention_dropout": 0.1,
    "activation_dropout": 0.1,
    "pad_token_id": 1,
    "decoder_start_token_id": START,
}
FAMILIES = ["t5", "t5-gated", "bart"]


def make(family: str) -> Any:
    """A random model; that of version 1.1 has a head of its own."""
    torch.manual_seed(0)
    if family == "bart":
        return Bart(BartConfig(**BART_SIZES))
    gated = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    model = T5(T5Config(**T5_SIZES, **(gated if family == "t5-gated" else {})))
    for stack in (model.encoder, model.decoder):
        nn.init.normal_(stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight)
    if family == "t5-gated":
        model.lm_head.weight = nn.Parameter(torch.randn(VOCABULARY, WIDTH))
    return model


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Folder of a random checkpoint of a family, written once."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def written(family: str) -> str:
        if not (folder / family).exists():
            make(family).save_pretrained(folder / family)
        return str(folder / family)

    return written


@pytest.fixture(scope="module")
def backbone(checkpoint: Callable[[str], str]) -> Callable[[str], PretrainedSeq2SeqBackbone]:
    """A backbone over that checkpoint, with words, ready to answer."""

    def loaded(family: str, **options: Any) -> PretrainedSeq2SeqBackbone:
        torch.manual_seed(1)
        options = {"tuning": "full", "num_words": NUM_WORDS} | options
        return PretrainedSeq2SeqBackbone(checkpoint(family), **options).eval()

    return loaded


LENGTHS = torch.tensor([7, 3, 25])
Batch = dict[str, Tensor]


def make_sources() -> Batch:
    """Three sources as a batch of training has them, of which one is longer than T5's distances reach."""
    generator = torch.Generator().manual_seed(5)
    shape = (3, int(LENGTHS.max()))
    tokens_BT = torch.randint(VOCABULARY, shape, generator=generator)
    return {
        "source_tokens": tokens_BT,
        "source_nodes": torch.zeros_like(tokens_BT),
        "source_positions": torch.arange(shape[1]).expand(shape),
        "source_words": torch.zeros_like(tokens_BT),
        "source_reach": LENGTHS[:, None].expand(shape),
    }


def make_answers(*lengths: int) -> Batch:
    """Answers of these lengths side by side in each of three rows, each after its start token at position 0."""
    generator = torch.Generator().manual_seed(6)
    tokens_BL = torch.randint(VOCABULARY, (3, sum(lengths)), generator=generator)
    positions = torch.cat([torch.arange(length) for length in lengths])
    tokens_BL[:, positions == 0] = START
    number = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    return {
        "tokens": tokens_BL,
        "nodes": torch.zeros_like(tokens_BL),
        "positions": positions.expand(3, -1),
        "answer": number.expand(3, -1),
        "reach": LENGTHS[:, None].expand_as(tokens_BL),
    }


def part(batch: Batch, rows: slice, sources: slice, answers: slice) -> Batch:
    """Some rows of a batch, and of them some tokens of the sources and of the answers."""
    return {
        name: values[rows, sources if name.startswith("source") else answers]
        for name, values in batch.items()
    }


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_the_models_own(
    checkpoint: Callable[[str], str], backbone: Callable[..., PretrainedSeq2SeqBackbone], family: str
) -> None:
    model, batch = backbone(family), make_sources() | make_answers(9)
    logits = model(batch) @ model.vocabulary_vectors().T
    own = AutoModelForSeq2SeqLM.from_pretrained(checkpoint(family)).eval()
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
def test_padding_changes_nothing(
    backbone: Callable[..., PretrainedSeq2SeqBackbone], family: str
) -> None:
    model, batch = backbone(family), make_sources() | make_answers(9)
    batch["source_reach"] = batch["source_reach"] * (batch["source_positions"] < LENGTHS[:, None])
    batch["reach"] = batch["reach"] * torch.tensor([[1] * 9, [1] * 4 + [0] * 5, [1] * 6 + [0] * 3])
    batch["answer"] = batch["answer"] - (batch["reach"] == 0).long()
    together = model(batch)
    assert together.isfinite().all()
    for row, length in enumerate((9, 4, 6)):
        alone = part(batch, slice(row, row + 1), slice(int(LENGTHS[row])), slice(length))
        assert_close(together[row, :length], model(alone)[0])


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_answers_side_by_side_do_not_see_each_other(
    backbone: Callable[..., PretrainedSeq2SeqBackbone], family: str
) -> None:
    """Each with a reach and positions of its own."""
    model, batch = backbone(family), make_sources() | make_answers(3, 5, 2)
    first, last = (0, 3, 8), (3, 8, 10)
    batch["reach"] = torch.tensor([[1] * 3 + [3] * 5 + [2] * 2, [2] * 3 + [1] * 5 + [3] * 2, [20] * 3 + [25] * 7])
    batch["positions"] = batch["positions"] + torch.tensor([0] * 3 + [9] * 5 + [4] * 2)
    together = model(batch)
    for start, end in zip(first, last, strict=True):
        alone = model(part(batch, slice(None), slice(None), slice(start, end)))
        assert_close(together[:, start:end], alone)
    for row in range(3):  # as much of the source as is seen gives the same as all of it
        cut = int(batch["reach"][row, 0])
        batch["source_reach"] = batch["source_reach"].clamp_max(1)  # encoded apart from what comes later
        whole = model(part(batch, slice(row, row + 1), slice(None), slice(0, 3)))
        alone = model(part(batch, slice(row, row + 1), slice(cut), slice(0, 3)))
        assert_close(whole, alone)


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_of_the_source_see_what_they_may(
    backbone: Callable[..., PretrainedSeq2SeqBackbone], family: str
) -> None:
    model, source = backbone(family), make_sources()
    source["source_reach"] = source["source_positions"] + 1
    before = model.encode(*source.values())
    source["source_tokens"] = source["source_tokens"].clone()
    source["source_tokens"][:, 4] = (source["source_tokens"][:, 4] + 1) % VOCABULARY
    after = model.encode(*source.values())
    assert_close(after[:, :4], before[:, :4])
    assert ((after - before).abs().amax(2)[:, 4:] > 1e-4).all()


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_positions_need_not_be_places(backbone: Callable[..., PretrainedSeq2SeqBackbone], family: str) -> None:
    """Tokens in another order at the positions that they had are read alike, and at other positions they are not."""
    model, source = backbone(family), part(make_sources(), slice(2, 3), slice(None), slice(None))
    states = model.encode(*source.values())
    order = torch.randperm(25, generator=torch.Generator().manual_seed(2))
    moved = {name: values[:, order] for name, values in source.items()}
    assert_close(model.encode(*moved.values()), states[:, order])
    moved["source_positions"] = source["source_positions"]
    assert (model.encode(*moved.values()) - states[:, order]).abs().max() > 0.01


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_words_are_added_to_the_embeddings(
    backbone: Callable[..., PretrainedSeq2SeqBackbone], family: str
) -> None:
    model, source = backbone(family), make_sources()
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
    backbone: Callable[..., PretrainedSeq2SeqBackbone], family: str
) -> None:
    """A token that sees some of the keys, in another order and in fewer rows, is as in one whole call."""
    model, source, answer = backbone(family), make_sources(), make_answers(6)
    expected = model(source | answer)
    cache, num_keys = model.remember(model.encode(*source.values()), source["source_positions"])
    assert num_keys == 0
    model.see(cache, LENGTHS[:, None])

    def run(rows: list[int], start: int, end: int, mask: Tensor | None) -> Tensor:
        tokens, nodes, positions = (answer[name][rows, start:end] for name in ("tokens", "nodes", "positions"))
        return model.hidden(tokens, nodes, positions, mask, cache)

    assert_close(run([0, 1, 2], 0, 4, None), expected[:, :4])
    rows = torch.tensor([2, 0])
    model.keep_rows(cache, rows)
    model.keep_keys(cache, torch.tensor([[3, 1, 0, 2], [0, 3, 2, 1]]))
    seen = torch.ones(2, 1, 5, dtype=torch.bool)
    assert_close(run([2, 0], 4, 5, seen), expected[rows, 4:5])
    model.keep_keys(cache, torch.tensor([[3, 4, 1], [4, 1, 2]]))  # positions 2, 4, 1 and 4, 3, 2
    assert cache.positions_BK.tolist() == [[2, 4, 1], [4, 3, 2]]
    seen = torch.tensor([[[True, True, False, True]], [[True, False, True, True]]])
    own = {"tokens": 1, "nodes": 1, "positions": 1}
    for row, (user, visible) in enumerate(((2, [2, 4, 5]), (0, [2, 4, 5]))):
        again, _ = model.remember(
            model.encode(*(values[[user]] for values in source.values())), source["source_positions"][[user]]
        )
        model.see(again, LENGTHS[[user], None])
        for name in own:
            assert name in answer
        model.hidden(*(answer[name][[user], :4] for name in own), None, again)
        model.hidden(*(answer[name][[user], 4:5] for name in own), torch.ones(1, 1, 5, dtype=torch.bool), again)
        mask = torch.zeros(1, 1, 6, dtype=torch.bool)
        mask[0, 0, visible] = True
        alone = model.hidden(*(answer[name][[user], 5:] for name in own), mask, again)
        if row == 0:
            together = run([2, 0], 5, 6, seen)
        assert_close(together[row], alone[0])
