"""The loss of items and texts side by side, against one answer and one token at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from genrec.backbones.compact_seq2seq import CompactSeq2SeqBackbone
from genrec.codes.trie import Codes, Trie
from genrec.prompts.template import HISTORY
from genrec.training.encoder_rows import Answer, Asked, EncoderLayout
from genrec.training.layout import Span
from genrec.training.objectives import CodeLoss, TaskLoss
from torch import Tensor

CODES = Codes.from_lists(
    [[10, 11, 9], [10, 11, 12, 9], [10, 13, 9], [14, 9], [15, 16, 17, 9], [15, 16, 18, 9]]
)
TRIE = Trie.build(CODES)
LAYOUT = EncoderLayout(TRIE, lambda texts: [], [1], [], start_token=3)


def backbone() -> CompactSeq2SeqBackbone:
    torch.manual_seed(0)
    made = CompactSeq2SeqBackbone(
        30, depth=1, width=32, dropout=0.0, num_nodes=TRIE.num_nodes, start_token=3
    ).eval()
    for weight in made.parameters():
        weight.data.mul_(3)
    return made


def asked(source: list[int], answers: list[int | list[int]]) -> Asked:
    """Items by number and texts by their tokens, asked for after some items."""
    question = LAYOUT.source([HISTORY], {"history": np.array(source)})
    words = [LAYOUT.item(answer) if isinstance(answer, int) else Span.of_text(answer) for answer in answers]
    return LAYOUT.asked(question, words)


def cost(model: CompactSeq2SeqBackbone, example: Asked, answer: Answer, objective: str) -> Tensor:
    """What one answer costs, by the rule of its kind."""
    hidden_LD = model(LAYOUT.collate([Asked(example.source, [answer])]))[0]
    logits_LV = hidden_LD[:-1] @ model.vocabulary_vectors().T
    tokens = torch.as_tensor(answer.tokens)
    of_tokens = -logits_LV.log_softmax(1)[torch.arange(len(tokens)), tokens]
    (word,) = answer.spans
    if not word.is_item:
        return of_tokens.mean()
    if objective == "token":
        return of_tokens.sum()
    total = torch.zeros(())
    for place, node in enumerate(word.nodes[word.nodes > 0].tolist()):
        siblings = torch.nonzero(torch.as_tensor(TRIE.parent_N) == TRIE.parent_N[node]).flatten()
        siblings = siblings[siblings > 0]
        vectors = model.edge_vectors(torch.as_tensor(TRIE.token_N).long()[siblings], siblings)
        log_p = (vectors @ hidden_LD[place]).log_softmax(0)
        total = total - log_p[siblings == node].squeeze()
    return total


BOTH = [asked([0, 4], [2, [20, 21, 22, 9]]), asked([3], [[23, 9], 1, 5]), asked([5, 5, 1], [3])]
ITEMS = [asked([0, 4], [2, 1]), asked([3], [5])]
TEXTS = [asked([0, 4], [[20, 9]]), asked([3], [[23, 24, 25, 26, 9], [9]])]


@pytest.mark.parametrize("examples", [BOTH, ITEMS, TEXTS], ids=["both", "items", "texts"])
@pytest.mark.parametrize("objective", ["catalogue", "token"])
def test_it_is_the_mean_over_answers(objective: str, examples: list[Asked]) -> None:
    model = backbone()
    loss = TaskLoss(TRIE, objective, torch.device("cpu"), torch.float32)
    batch = LAYOUT.collate(examples)
    costs = [cost(model, example, answer, objective) for example in examples for answer in example.answers]
    found = loss(model, batch)
    torch.testing.assert_close(found, torch.stack(costs).mean(), rtol=1e-5, atol=1e-5)
    assert loss.num_items(batch) == len(costs)
    found.backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None for weight in model.lm.model.layers.parameters())


@pytest.mark.parametrize("objective", ["catalogue", "token"])
def test_items_alone_cost_what_they_do_without_texts(objective: str) -> None:
    model, batch = backbone(), LAYOUT.collate(ITEMS)
    plain, tasks = (
        kind(TRIE, objective, torch.device("cpu"), torch.float32) for kind in (CodeLoss, TaskLoss)
    )
    torch.testing.assert_close(tasks(model, batch), plain(model, batch))
    assert tasks.num_items(batch) == plain.num_items(batch)


def test_a_text_of_any_length_counts_once() -> None:
    """Repeating a batch leaves the mean as it is, and so do parts weighted by their answers."""
    model, loss = backbone(), TaskLoss(TRIE, "catalogue", torch.device("cpu"), torch.float32)
    whole = loss(model, LAYOUT.collate(BOTH))
    torch.testing.assert_close(loss(model, LAYOUT.collate(BOTH * 2)), whole)
    parts = [LAYOUT.collate(BOTH[:1]), LAYOUT.collate(BOTH[1:])]
    weights = [loss.num_items(part) for part in parts]
    shares = [loss(model, part) * weight for part, weight in zip(parts, weights, strict=True)]
    torch.testing.assert_close(torch.stack(shares).sum() / sum(weights), whole)
