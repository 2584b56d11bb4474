"""The compact encoder–decoder: answers side by side against answers alone, and a search against every item."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from genrec.backbones.base import Prefix
from genrec.backbones.compact_seq2seq import CompactSeq2SeqBackbone
from genrec.codes.trie import Codes, Trie
from genrec.decoding.beam import BeamSearch, Normalise
from genrec.decoding.constraint import Constraint, TrieTensors
from genrec.training.objectives import CodeLoss
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

VOCABULARY, NUM_NODES, NUM_WORDS, START = 12, 20, 6, 3
LENGTHS = torch.tensor([7, 3, 11])
Batch = dict[str, Tensor]


def backbone(**options: float) -> CompactSeq2SeqBackbone:
    """A random one, with weights large enough to tell inputs apart."""
    torch.manual_seed(0)
    sizes = {"depth": 2, "width": 32, "dropout": 0.0, "num_nodes": NUM_NODES, "num_words": NUM_WORDS}
    model = CompactSeq2SeqBackbone(VOCABULARY, start_token=START, **(sizes | options))  # type: ignore[arg-type]
    for weight in model.parameters():
        if weight.dim() == 2:
            weight.data *= 6
    return model.eval()


def make_sources() -> Batch:
    """Three sources of different lengths, each token seeing all of its own."""
    generator = torch.Generator().manual_seed(1)
    shape = (3, int(LENGTHS.max()))

    def numbers(below: int) -> Tensor:
        return torch.randint(below, shape, generator=generator)

    return {
        "source_tokens": numbers(VOCABULARY),
        "source_nodes": numbers(NUM_NODES),
        "source_positions": numbers(3).cumsum(1),  # not consecutive
        "source_words": numbers(NUM_WORDS),
        "source_reach": LENGTHS[:, None].repeat(1, shape[1]),
    }


def make_answers() -> Batch:
    """Answers of 2, 4 and 3 tokens side by side in each row, each after its start token; the last row has two."""
    generator = torch.Generator().manual_seed(2)
    lengths = torch.tensor([3, 5, 4])
    step = torch.cat([torch.arange(int(length)) for length in lengths])
    answer = torch.arange(3).repeat_interleave(lengths).repeat(3, 1)
    answer[2, 8:] = -1
    tokens = torch.randint(VOCABULARY, (3, 12), generator=generator)
    nodes = torch.randint(NUM_NODES, (3, 12), generator=generator)
    tokens[:, step == 0], nodes[:, step == 0] = START, 0
    reach = torch.tensor([[2, 7, 4], [1, 2, 3], [11, 5, 0]]).repeat_interleave(lengths, dim=1)
    return {"tokens": tokens, "nodes": nodes, "positions": step + reach + 2, "sees": answer, "reach": reach}


def pick(batch: Batch, row: int, source: int, answer: slice) -> Batch:
    """One row of a batch, with the first tokens of its source and some of its answers."""
    return {
        name: values[row : row + 1, : source if name.startswith("source") else None][
            :, slice(None) if name.startswith("source") else answer
        ]
        for name, values in batch.items()
    }


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_answers_side_by_side_are_those_asked_alone() -> None:
    """Each from a source cut off at its reach, by `read` and then token by token."""
    model, batch = backbone(), make_sources() | make_answers()
    place_T = torch.arange(int(LENGTHS.max()))
    batch["source_reach"] = torch.minimum(place_T + 1, LENGTHS[:, None])  # nobody sees what comes later
    together = model(batch)
    for row in range(3):
        for start, end in ((0, 3), (3, 8), (8, 12))[: 2 if row == 2 else 3]:
            reach = int(batch["reach"][row, start])
            prefix = Prefix(
                *(
                    batch[f"source_{name}"][row : row + 1, :reach]
                    for name in ("tokens", "nodes", "positions")
                ),
                length_B=torch.tensor([reach]),
                start_B=batch["positions"][row : row + 1, start + 1],
                words_BT=batch["source_words"][row : row + 1, :reach],
                reach_BT=batch["source_reach"][row : row + 1, :reach],
            )
            reading = model.prefill(prefix)
            assert_close(together[row, start], reading.hidden_BD[0])
            for place in range(start + 1, end):
                own = torch.ones(1, place - start, dtype=torch.bool)
                visible_BK = torch.cat([reading.visible_BK, own], dim=1)
                one = [
                    batch[name][row : row + 1, place : place + 1] for name in ("tokens", "nodes", "positions")
                ]
                hidden_BTD = model.hidden(*one, visible_BK[:, None], reading.cache)
                assert_close(together[row, place], hidden_BTD[0, 0])


@torch.no_grad()
def test_padding_changes_nothing() -> None:
    model, batch = backbone(), make_sources() | make_answers()
    place_T = torch.arange(int(LENGTHS.max()))
    batch["source_reach"][place_T >= LENGTHS[:, None]] = 1
    together = model(batch)
    assert together.isfinite().all()
    for row, end in enumerate((12, 12, 8)):
        assert_close(together[row : row + 1, :end], model(pick(batch, row, int(LENGTHS[row]), slice(0, end))))


@torch.no_grad()
def test_a_token_of_the_source_never_sees_beyond_its_reach() -> None:
    model, source = backbone(), make_sources()
    reach_BT = torch.tensor([[2, 2, 4, 4, 5, 6, 11, 11, 11, 11, 11]]).repeat(3, 1)
    source["source_reach"] = reach_BT
    before = model.encode(*source.values())
    for changed in range(11):
        tokens = source["source_tokens"].clone()
        tokens[:, changed] = (tokens[:, changed] + 1) % VOCABULARY
        after = model.encode(tokens, *list(source.values())[1:])
        # Two layers: what a token sees has itself seen as much as its own reach.
        seen = torch.arange(11) < reach_BT[0][:, None]
        deep = (seen.float() @ seen.float() > 0) | seen
        hidden = ~deep[:, changed] & (torch.arange(11) != changed)
        assert_close(after[:, hidden], before[:, hidden])
        assert ((after - before).abs().amax(2)[:, seen[:, changed]] > 1e-4).all()


@torch.no_grad()
def test_distances_from_answer_to_source_matter_and_nothing_else_of_positions() -> None:
    model, batch = backbone(), make_sources() | make_answers()
    real = batch["sees"] >= 0
    plain = model(batch)[real]
    both = batch | {name: batch[name] + 50 for name in ("positions", "source_positions")}
    torch.testing.assert_close(model(both)[real], plain, rtol=1e-3, atol=1e-3)
    states = model.encode(*make_sources().values())
    heard = []
    for shift in (0, 9):
        cache, num_keys = model.remember(states, batch["source_positions"])
        one, mask = torch.ones(3, 1, dtype=torch.int64), torch.ones(3, 1, num_keys + 1, dtype=torch.bool)
        heard.append(model.hidden(one * 4, one * 5, one * (40 + shift), mask, cache))
    assert (heard[1] - heard[0]).abs().amax(2).min() > 1e-3


@torch.no_grad()
def test_tables_of_nodes_and_words_are_added() -> None:
    model, source = backbone(), make_sources()
    assert model.num_words == NUM_WORDS
    assert model.word_vectors is not None
    assert model.node_vectors is not None
    states = model.encode(*source.values())
    model.word_vectors.weight[0] += 5  # never added
    assert model.encode(*source.values()).equal(states)
    shift = torch.randn(32)
    model.word_vectors.weight[2] += shift * 32**0.5
    with_word = model.encode(*source.values())
    model.word_vectors.weight[2] -= shift * 32**0.5
    here = source["source_words"] == 2
    assert here.any()
    # The same vector by way of the node table: every token that has the word gets a node of its own.
    nodes = torch.where(here, NUM_NODES + torch.arange(here.numel()).view_as(here), source["source_nodes"])
    table = torch.cat([model.node_vectors.weight, torch.zeros(here.numel(), 32)])
    table[nodes[here]] = model.node_vectors.weight[source["source_nodes"][here]] + shift
    model.node_vectors = torch.nn.Embedding.from_pretrained(table)
    assert_close(model.encode(source["source_tokens"], nodes, *list(source.values())[2:]), with_word)
    assert (with_word - states).abs().max() > 0.1
    assert backbone(num_words=0).num_words == 0


@torch.no_grad()
def test_dropout_is_for_training_only() -> None:
    model, source = backbone(dropout=0.5), make_sources()
    assert model.encode(*source.values()).equal(model.encode(*source.values()))
    model.train()
    assert not model.encode(*source.values()).equal(model.encode(*source.values()))


@torch.no_grad()
@pytest.mark.parametrize("tables", [{}, {"num_nodes": 0, "num_words": 0}])
def test_save_and_load(tmp_path: Path, capfd: pytest.CaptureFixture[str], tables: dict[str, int]) -> None:
    model, batch = backbone(**tables), make_sources() | make_answers()
    model.save(tmp_path / "deep/folder")
    again = CompactSeq2SeqBackbone.load(tmp_path / "deep/folder").eval()
    assert again(batch).equal(model(batch))
    assert again.arguments == model.arguments
    assert (again.start_token, again.num_words) == (START, model.num_words)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("objective", ["catalogue", "token"])
def test_gradients_reach_every_weight(objective: str) -> None:
    model = backbone().train()
    codes = [[4, 5, 2], [4, 6, 2], [5, 2], [6, 7, 2], [6, 8, 2]]
    trie = Trie.build(Codes.from_lists(codes))
    batch = make_sources()
    code, path = torch.tensor([START, 4, 6, 2]), torch.tensor([0, *trie.paths[1]])
    table = {"tokens": code, "nodes": path, "positions": torch.arange(12, 16), "sees": torch.zeros(4)}
    batch |= {name: values.long().repeat(3, 1) for name, values in table.items()}
    batch["reach"] = LENGTHS[:, None].repeat(1, 4)
    batch["learnt"] = torch.tensor([False, True, True, True]).repeat(3, 1)
    loss = CodeLoss(trie, objective, torch.device("cpu"), torch.float32)(model, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.to_dense().abs().max() > 1e-9, name


@pytest.mark.parametrize("normalise", ["children", "vocabulary"])
def test_searches_find_what_scoring_every_item_does(normalise: Normalise) -> None:
    generator = torch.Generator().manual_seed(7)
    codes: set[tuple[int, ...]] = set()
    while len(codes) < 40:
        length = int(torch.randint(1, 5, (1,), generator=generator))
        codes.add((*torch.randint(4, 7, (length,), generator=generator).tolist(), 2))
    trie = Trie.build(Codes.from_lists(sorted(codes)))
    model, source = backbone(num_nodes=trie.num_nodes), make_sources()
    source["source_nodes"] %= trie.num_nodes
    prefix = Prefix(
        *(source[f"source_{name}"] for name in ("tokens", "nodes", "positions")),
        length_B=LENGTHS,
        start_B=torch.tensor([9, 30, 25]),
        words_BT=source["source_words"],
    )
    log_p_BI = every_item(model, trie, sorted(codes), source, prefix.start_B, normalise)
    if normalise == "children":
        assert_close(log_p_BI.logsumexp(1).exp(), torch.ones(3))
    search = BeamSearch(model, TrieTensors.of(trie, "cpu"), normalise)
    constraint, best = Constraint(search.trie), log_p_BI.topk(8)
    for found in (
        search.search(prefix, constraint, k=8, width=40),
        search.search_best_first(prefix, constraint, k=8, width=40),
        search.search_exact(prefix, lambda rows: constraint, k=8, width=4),
    ):
        assert found.exact_B.all()
        assert found.item_Bk.equal(best.indices)
        torch.testing.assert_close(found.score_Bk, best.values, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def every_item(
    model: CompactSeq2SeqBackbone,
    trie: Trie,
    codes: list[tuple[int, ...]],
    source: Batch,
    start_B: Tensor,
    normalise: Normalise,
) -> Tensor:
    """log p(item | source) of each row and item (B, I): every item in a row of its own."""
    code_IL = pad_sequence([torch.tensor((START, *code)) for code in codes], True, -1)
    path_IL = pad_sequence([torch.tensor([0, *path]) for path in trie.paths], True)
    path_IL = torch.nn.functional.pad(path_IL, (0, code_IL.shape[1] - path_IL.shape[1]))
    step_L, parent_N = torch.arange(code_IL.shape[1]), torch.from_numpy(trie.parent_N)
    token_N = torch.from_numpy(trie.token_N).long().clamp_min(0)
    rows = []
    for row, length in enumerate(LENGTHS.tolist()):
        batch = {
            name: values[row : row + 1, :length].repeat(len(codes), 1) for name, values in source.items()
        }
        batch |= {"tokens": code_IL.clamp_min(0), "nodes": path_IL}
        batch["positions"] = (start_B[row] - 1 + step_L).repeat(len(codes), 1)
        batch["sees"], batch["reach"] = torch.zeros_like(code_IL), torch.full_like(code_IL, length)
        states_ILD = model(batch)[:, :-1]
        if normalise == "children":
            logits = states_ILD @ model.edge_vectors(token_N, torch.arange(len(token_N))).T
            siblings = parent_N[path_IL[:, 1:]][:, :, None] == parent_N
            log_p = logits.masked_fill(~siblings, -torch.inf).log_softmax(2)
            chosen_IL, real_IL = path_IL[:, 1:], path_IL[:, 1:] > 0
        else:
            log_p = (states_ILD @ model.vocabulary_vectors().T).log_softmax(2)
            chosen_IL, real_IL = code_IL[:, 1:].clamp_min(0), code_IL[:, 1:] >= 0
        log_p_IL = log_p.gather(2, chosen_IL[:, :, None]).squeeze(2)
        rows.append(log_p_IL.masked_fill(~real_IL, 0).sum(1))
    return torch.stack(rows)
