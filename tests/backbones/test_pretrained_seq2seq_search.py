"""T5 and BART in a search, against scoring every item by itself, and in training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from genrec.backbones.base import Prefix
from genrec.backbones.pretrained_seq2seq import PretrainedSeq2SeqBackbone
from genrec.codes.trie import Codes, Trie
from genrec.decoding.beam import BeamSearch, Normalise
from genrec.decoding.constraint import Constraint, TrieTensors
from genrec.training.objectives import CodeLoss
from seq2seq_checkpoints import FAMILIES, LENGTHS, NUM_WORDS, START, assert_close, make_answers, make_sources
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence


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
                    "sees": torch.zeros_like(place_L).expand(num_items, -1),
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
    seq2seq: Callable[..., PretrainedSeq2SeqBackbone], family: str, normalise: Normalise
) -> None:
    case = make_case(seq2seq(family))
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
    seq2seq: Callable[..., PretrainedSeq2SeqBackbone], family: str, tuning: str, objective: str
) -> None:
    model = seq2seq(family, tuning=tuning, lora_targets=("all-linear",) if tuning == "lora" else ()).train()
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
