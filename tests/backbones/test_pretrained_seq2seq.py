"""T5 and BART against transformers' own forward, and searches against scoring every item by itself."""

from __future__ import annotations

import json
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
from genrec.backbones.pretrained_seq2seq import PretrainedSeq2SeqBackbone, SourceCache
from genrec.codes.trie import Codes, Trie
from genrec.decoding.beam import BeamSearch, Normalise
from genrec.decoding.constraint import Constraint, TrieTensors
from genrec.errors import BackendMissingError, ConfigError
from genrec.training.objectives import CodeLoss
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AutoModelForSeq2SeqLM,
    BartConfig,
    BartForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

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
        return BartForConditionalGeneration(BartConfig(**BART_SIZES))
    gated = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    model = T5ForConditionalGeneration(T5Config(**T5_SIZES, **(gated if family == "t5-gated" else {})))
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
def test_dropout_is_the_models_own(
    checkpoint: Callable[[str], str], backbone: Callable[..., PretrainedSeq2SeqBackbone], family: str
) -> None:
    """The same numbers are drawn in the same order."""
    model, batch = backbone(family).train(), make_sources() | make_answers(9)
    own = AutoModelForSeq2SeqLM.from_pretrained(checkpoint(family)).train()
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
def test_padding_changes_nothing(backbone: Callable[..., PretrainedSeq2SeqBackbone], family: str) -> None:
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
def test_positions_need_not_be_places(
    backbone: Callable[..., PretrainedSeq2SeqBackbone], family: str
) -> None:
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
    """A token that sees some of the keys is the same in whatever order and rows they are kept."""
    model, source, answer = backbone(family), make_sources(), make_answers(6)
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


@dataclass
class Case:
    """A small catalogue and three histories."""

    model: PretrainedSeq2SeqBackbone
    trie: Trie
    codes: list[Tensor]
    prefix: Prefix

    @property
    def tensors(self) -> TrieTensors:
        return TrieTensors.of(self.trie, "cpu")

    @torch.no_grad()
    def log_probabilities(self, normalise: Normalise) -> Tensor:
        """log p(item | history) of each user and item (B, I): a row an item, without a cache."""
        prefix, num_items = self.prefix, len(self.codes)
        code_IL = pad_sequence(self.codes, batch_first=True, padding_value=-1)
        paths = [torch.from_numpy(path).long() for path in self.trie.paths]
        path_IL = pad_sequence(paths, batch_first=True)
        token_N, parent_N = self.tensors.token_N.clamp_min(0), torch.from_numpy(self.trie.parent_N)
        place_L = torch.arange(code_IL.shape[1] + 1)
        rows = []
        for user in range(len(prefix.length_B)):
            of_user = prefix.take(torch.tensor([user] * num_items))
            length_I1 = of_user.length_B[:, None]
            hidden_ILD = self.model(
                {
                    "source_tokens": of_user.tokens_BT,
                    "source_nodes": of_user.nodes_BT,
                    "source_positions": of_user.positions_BT,
                    "source_words": of_user.words_BT,
                    "source_reach": length_I1.expand_as(of_user.tokens_BT),
                    "tokens": nn.functional.pad(code_IL.clamp_min(0), (1, 0), value=START),
                    "nodes": nn.functional.pad(path_IL, (1, 0)),
                    "positions": of_user.start_B[:, None] - 1 + place_L,
                    "answer": torch.zeros_like(place_L).expand(num_items, -1),
                    "reach": length_I1.expand(-1, len(place_L)),
                }
            )[:, :-1]
            if normalise == "children":
                logits = hidden_ILD @ self.model.edge_vectors(token_N, token_N).T
                siblings_ILN = parent_N[path_IL][:, :, None] == parent_N
                log_p = logits.masked_fill(~siblings_ILN, -torch.inf).log_softmax(2)
                chosen, real = path_IL, path_IL > 0
            else:
                log_p = (hidden_ILD @ self.model.vocabulary_vectors().T).log_softmax(2)
                chosen, real = code_IL.clamp_min(0), code_IL >= 0
            log_p_IL = log_p.gather(2, chosen[:, :, None]).squeeze(2)
            rows.append(log_p_IL.masked_fill(~real, 0).sum(1))
        return torch.stack(rows)


def make_case(model: PretrainedSeq2SeqBackbone) -> Case:
    """Sixty items whose codes branch at every token, forced runs among them."""
    generator = torch.Generator().manual_seed(7)
    pieces = [[4], [5], [6, 7, 6]]
    codes: set[tuple[int, ...]] = set()
    while len(codes) < 60:
        chosen = torch.randint(3, (int(torch.randint(1, 7, (1,), generator=generator)),), generator=generator)
        codes.add((*(token for piece in chosen.tolist() for token in pieces[piece]), 2))
    trie = Trie.build(Codes.from_lists(sorted(codes)))
    source = make_sources()
    words_BT = source["source_positions"] % NUM_WORDS
    prefix = Prefix(
        source["source_tokens"],
        source["source_nodes"],
        source["source_positions"] * 2,
        LENGTHS,
        torch.tensor([1, 4, 20]),
        words_BT,
    )
    return Case(model, trie, [torch.tensor(code) for code in sorted(codes)], prefix)


@pytest.mark.parametrize("normalise", ["children", "vocabulary"])
@pytest.mark.parametrize("family", FAMILIES)
def test_searches_find_what_scoring_every_item_does(
    backbone: Callable[..., PretrainedSeq2SeqBackbone], family: str, normalise: Normalise
) -> None:
    case = make_case(backbone(family))
    log_p_BI = case.log_probabilities(normalise)
    if normalise == "children":
        assert_close(log_p_BI.logsumexp(1).exp(), torch.ones(3))
    search, constraint = BeamSearch(case.model, case.tensors, normalise), Constraint(case.tensors)
    best = log_p_BI.topk(8)
    for found in (
        search.search(case.prefix, constraint, k=8, width=60),
        search.search_best_first(case.prefix, constraint, k=8, width=60),
        search.search_exact(case.prefix, lambda rows: constraint, k=8, width=8),
    ):
        assert found.exact_B.all()
        assert found.item_Bk.equal(best.indices)
        torch.testing.assert_close(found.score_Bk, best.values, rtol=1e-4, atol=1e-4)
    narrow = search.search(case.prefix, constraint, k=3, width=3)
    torch.testing.assert_close(narrow.score_Bk, log_p_BI.gather(1, narrow.item_Bk), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("objective", ["catalogue", "token"])
@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_weight_that_is_trained_learns(
    backbone: Callable[..., PretrainedSeq2SeqBackbone], family: str, tuning: str, objective: str
) -> None:
    model = backbone(family, tuning=tuning, lora_targets=("all-linear",) if tuning == "lora" else ()).train()
    case = make_case(model)
    code, path = case.codes[20], torch.from_numpy(case.trie.paths[20]).long()
    batch = make_sources() | make_answers(len(code) + 1, len(code) + 1)
    batch["source_words"] = batch["source_positions"] % NUM_WORDS
    batch["tokens"] = torch.cat([torch.tensor([START]), code]).repeat(2).expand(3, -1)
    nodes = nn.functional.pad(path, (1, len(code) - len(path)))
    batch["nodes"] = nodes.repeat(2).expand(3, -1)
    batch["learnt"] = batch["positions"] > 0
    loss = CodeLoss(case.trie, objective, torch.device("cpu"), torch.float32)(model, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert "word_vectors.weight" in trained
    assert tuning == "full" or all("lora_" in name or "word" in name for name in trained)
    for name, weight in trained.items():
        assert weight.grad is not None, name
        # A key's bias adds the same to all scores of a query; lora_A waits for lora_B, which starts with noughts.
        if "k_proj.bias" not in name and "lora_A" not in name:
            assert weight.grad.to_dense().abs().max() > 1e-9, name


def changed(model: PretrainedSeq2SeqBackbone) -> PretrainedSeq2SeqBackbone:
    """As after a step of training."""
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += 0.1 * torch.randn_like(weight)
    return model


@torch.no_grad()
@pytest.mark.parametrize("num_words", [0, NUM_WORDS])
@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_save_and_load(
    backbone: Callable[..., PretrainedSeq2SeqBackbone],
    tmp_path: Path,
    family: str,
    tuning: str,
    num_words: int,
) -> None:
    model = changed(backbone(family, tuning=tuning, num_words=num_words))
    batch = make_sources() | make_answers(4)
    batch["source_words"] = batch["source_positions"] % NUM_WORDS
    expected = model(batch)
    assert (expected - backbone(family, tuning=tuning, num_words=num_words)(batch)).abs().max() > 1e-2
    model.save(tmp_path)
    again = PretrainedSeq2SeqBackbone.load(tmp_path).eval()
    assert_close(again(batch), expected)
    assert {name: weight.requires_grad for name, weight in again.named_parameters()} == {
        name: weight.requires_grad for name, weight in model.named_parameters()
    }
    assert {path.suffix for path in tmp_path.iterdir()} <= {".safetensors", ".json", ".md"}
    assert (tmp_path / "model.safetensors").exists() == (tuning == "full")


@pytest.mark.parametrize(("family", "ending"), [("t5", ("q", "v")), ("bart", ("q_proj", "v_proj"))])
def test_the_usual_adapters(
    backbone: Callable[..., PretrainedSeq2SeqBackbone], family: str, ending: tuple[str, str]
) -> None:
    model = backbone(family, tuning="lora", num_words=0)
    layers = {name.split(".lora_")[0] for name, weight in model.named_parameters() if weight.requires_grad}
    assert {layer.rsplit(".", 1)[-1] for layer in layers} == set(ending)
    assert len(layers) == 2 * (2 + 3 + 3)  # of the encoder, and twice of the decoder


def broken(family: str, folder: Path) -> str:
    """A checkpoint with something wrong with it."""
    model = make("bart" if family == "bias" else "t5")
    if family == "bias":
        model.final_logits_bias[0, 7] = 0.01
    elif family == "unknown start":
        model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = None
    model.save_pretrained(folder)
    if family == "half":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"num_decoder_layers": 4}))
    return str(folder)


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("bias", "output head of .* is more than a product"),
        ("unknown start", "set decoder_start_token_id in its config.json"),
        ("half", r"lacks weights of a T5ForConditionalGeneration \(decoder\.block\.3.*give a checkpoint"),
    ],
)
def test_broken_checkpoints_are_refused(tmp_path: Path, family: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        PretrainedSeq2SeqBackbone(broken(family, tmp_path), tuning="full")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_models_of_another_kind_are_refused(tmp_path: Path, family: str) -> None:
    folder = str(write(family, tmp_path))
    with pytest.raises(
        ConfigError, match=r"not an encoder-decoder that is known .*google/flan-t5-small.*bart"
    ):
        PretrainedSeq2SeqBackbone(folder)
    with pytest.raises(ConfigError, match="there is no folder"):
        PretrainedSeq2SeqBackbone(folder + "/missing")


def test_options_are_checked_as_for_decoders(
    checkpoint: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"is called q_proj: set lora_targets .*\(k, o, q, v, wi, wo\)"):
        PretrainedSeq2SeqBackbone(checkpoint("t5"), lora_targets=("q_proj",))
    monkeypatch.setattr("genrec.backbones.pretrained.is_bitsandbytes_available", lambda: False)
    with pytest.raises(BackendMissingError, match="qlora needs bitsandbytes"):
        PretrainedSeq2SeqBackbone(checkpoint("bart"), tuning="qlora")
    with pytest.raises(ConfigError, match=r"not a decoder-only language model .T5ForConditionalGeneration"):
        PretrainedBackbone(checkpoint("t5"))


def test_nothing_is_printed(
    checkpoint: Callable[[str], str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = checkpoint("t5-gated")
    for tuning in ("full", "lora"):
        capfd.readouterr()
        PretrainedSeq2SeqBackbone(folder, tuning=tuning).save(tmp_path / tuning)  # type: ignore[arg-type]
        PretrainedSeq2SeqBackbone.load(tmp_path / tuning)
        assert capfd.readouterr() == ("", "")
