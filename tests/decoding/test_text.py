"""Texts that are written and answers that are scored, against whole rows without a cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from genrec.backbones.base import Prefix
from genrec.backbones.compact_seq2seq import CompactSeq2SeqBackbone
from genrec.codes.trie import Codes, Trie
from genrec.decoding.beam import BeamSearch
from genrec.decoding.constraint import Constraint, TrieTensors
from genrec.decoding.text import answer_scores, most_alike, write_text
from genrec.prompts.template import HISTORY
from genrec.recommenders.language.seq2seq import Sources
from genrec.training.encoder_rows import Answer, Asked, EncoderLayout, Source
from genrec.training.layout import Span
from torch import Tensor

VOCABULARY, END, START = 14, 2, 3
CODES = Codes.from_lists([[5, 6, 2], [5, 6, 7, 2], [5, 8, 2], [9, 2], [10, 11, 12, 2], [10, 11, 13, 2]])
TRIE = Trie.build(CODES)
LAYOUT = EncoderLayout(TRIE, lambda texts: [], [1], [], start_token=START)
SOURCES = [
    LAYOUT.source([HISTORY], {"history": np.array(items, int)})
    for items in ([0, 3, 5], [], [1], [2, 2, 4, 0])
]


@pytest.fixture(scope="module")
def model() -> CompactSeq2SeqBackbone:
    torch.manual_seed(3)
    made = CompactSeq2SeqBackbone(
        VOCABULARY, depth=2, width=32, dropout=0.0, num_nodes=TRIE.num_nodes, start_token=START
    ).eval()
    for weight in made.parameters():
        if weight.dim() == 2:
            weight.data *= 12
    return made


@torch.no_grad()
def logits(model: CompactSeq2SeqBackbone, source: Source, tokens: list[int]) -> Tensor:
    """Of each token that may follow each part of a text; (1 + tokens, V)."""
    word = Span.of_text(tokens)
    states_LD: Tensor = model(LAYOUT.collate([LAYOUT.asked(source, [word])]))[0]
    return states_LD @ model.vocabulary_vectors().T


def tokens_of(model: CompactSeq2SeqBackbone, prefix: Prefix, end: int, *options: Any) -> list[list[int]]:
    return [written.tokens for written in write_text(model, prefix, end, *options)]


def written_slowly(
    model: CompactSeq2SeqBackbone, source: Source, max_tokens: int, opening: Sequence[int] = ()
) -> list[int]:
    written = list(opening)
    while len(written) < max_tokens:
        token = int(logits(model, source, written)[-1].argmax())
        if token == END:
            break
        written.append(token)
    return written


@pytest.mark.parametrize("max_tokens", [0, 1, 25])
def test_each_token_is_the_likeliest(model: CompactSeq2SeqBackbone, max_tokens: int) -> None:
    prefix = Sources(SOURCES).prefix(np.arange(4))
    found = tokens_of(model, prefix, END, max_tokens)
    assert found == [written_slowly(model, source, max_tokens) for source in SOURCES]
    if max_tokens == 25:
        assert len({tuple(text) for text in found}) == 4  # sources matter


def test_a_text_ends_where_the_model_ends_it(model: CompactSeq2SeqBackbone) -> None:
    """Whatever token that is: each that comes late in some text, and not in every."""
    texts = [written_slowly(model, source, 25) for source in SOURCES]
    prefix = Sources(SOURCES).prefix(np.arange(4))
    ends = {token for text in texts for token in text[1:]}
    assert ends
    for end in ends:
        expected = [text[: text.index(end)] if end in text else text for text in texts]
        assert tokens_of(model, prefix, end, 25) == expected


def test_a_text_goes_on_from_its_opening(model: CompactSeq2SeqBackbone) -> None:
    prefix = Sources(SOURCES).prefix(np.arange(4))
    openings: list[list[int]] = [[5], [], [7, 9, 11], [5, 6]]
    found = write_text(model, prefix, END, 25, openings)
    expected = [
        written_slowly(model, source, 25, opening) for source, opening in zip(SOURCES, openings, strict=True)
    ]
    assert [written.tokens for written in found] == expected
    assert any(
        tokens[len(opening) :] != written_slowly(model, source, 25)[len(opening) :]
        for tokens, opening, source in zip(expected, openings, SOURCES, strict=True)
    )
    assert tokens_of(model, prefix, END, 2, openings)[2] == [7, 9]  # no longer than it may be


def test_texts_tell_how_likely_their_tokens_are(model: CompactSeq2SeqBackbone) -> None:
    prefix = Sources(SOURCES).prefix(np.arange(4))
    for max_tokens in (3, 25):
        for source, written in zip(
            SOURCES, write_text(model, prefix, END, max_tokens, [[5]] * 4), strict=True
        ):
            tokens = [*written.tokens, END][:max_tokens]
            log_p = logits(model, source, tokens[:-1]).log_softmax(1)[range(len(tokens)), tokens]
            assert written.log_p == pytest.approx(float(log_p.mean()), abs=1e-4)


def asked(row: int, answers: list[int | list[int]]) -> Asked:
    """Items by their number and texts by their tokens, asked for after a source."""
    source = SOURCES[row]
    words = [LAYOUT.item(answer) if isinstance(answer, int) else Span.of_text(answer) for answer in answers]
    return LAYOUT.asked(source, words)


@torch.no_grad()
def log_p(model: CompactSeq2SeqBackbone, source: Source, answer: Answer, of_children: bool) -> float:
    """Log-probability of one answer, asked for alone."""
    states_LD = model(LAYOUT.collate([Asked(source, [answer])]))[0]
    total = 0.0
    parents, tokens = torch.as_tensor(TRIE.parent_N), torch.as_tensor(TRIE.token_N).long()
    nodes = [*answer.spans[0].nodes.tolist(), *[0] * (len(answer.tokens) - len(answer.spans[0].nodes))]
    for place, (token, node) in enumerate(zip(answer.tokens.tolist(), nodes, strict=True)):
        if of_children and answer.spans[0].nodes.any():
            siblings = torch.nonzero(parents == parents[node]).flatten()
            siblings = siblings[siblings > 0]
            vectors = model.edge_vectors(tokens[siblings], siblings)
            chances = (vectors @ states_LD[place]).log_softmax(0)
            total += float(chances[siblings == node]) if node else 0.0
        else:
            total += float((model.vocabulary_vectors() @ states_LD[place]).log_softmax(0)[token])
    return total


EXAMPLES = {
    "texts": [
        asked(0, [[7, 8, 2], [7, 2]]),
        asked(1, [[9, 9, 9, 9, 2]]),
        asked(3, [[2], [5, 6, 2], [13, 2]]),
    ],
    "items": [asked(0, [0, 1, 2, 3, 4, 5]), asked(1, [5]), asked(2, [3, 1])],
    "both": [asked(2, [3, [5, 6, 2], 1]), asked(3, [[5, 6, 7, 2]]), asked(0, [4, 0, [10, 2], [11, 2]])],
}


@pytest.mark.parametrize("of_children", [True, False])
@pytest.mark.parametrize("what", EXAMPLES)
def test_scores_are_log_probabilities(model: CompactSeq2SeqBackbone, what: str, of_children: bool) -> None:
    examples, tensors = EXAMPLES[what], TrieTensors.of(TRIE, "cpu")
    parent_N = torch.as_tensor(TRIE.parent_N).long() if of_children else None
    scores_BA = answer_scores(model, LAYOUT.collate(examples), tensors, parent_N)
    assert scores_BA.shape == (len(examples), max(len(example.answers) for example in examples))
    for example, found_A in zip(examples, scores_BA, strict=True):
        count = len(example.answers)
        expected = [log_p(model, example.source, answer, of_children) for answer in example.answers]
        torch.testing.assert_close(found_A[:count], torch.tensor(expected), rtol=1e-4, atol=1e-4)
        assert torch.isneginf(found_A[count:]).all()


@pytest.mark.parametrize("of_children", [True, False])
def test_items_score_as_the_search_scores_them(model: CompactSeq2SeqBackbone, of_children: bool) -> None:
    tensors = TrieTensors.of(TRIE, "cpu")
    parent_N = torch.as_tensor(TRIE.parent_N).long() if of_children else None
    batch = LAYOUT.collate([asked(row, [0, 1, 2, 3, 4, 5]) for row in range(4)])
    scores_BI = answer_scores(model, batch, tensors, parent_N)
    search = BeamSearch(model, tensors, "children" if of_children else "vocabulary")
    prefix = Sources(SOURCES).prefix(np.arange(4))
    found = search.search_best_first(prefix, Constraint(tensors), k=6, width=6)
    torch.testing.assert_close(found.score_Bk, scores_BI.gather(1, found.item_Bk), rtol=1e-4, atol=1e-4)
    assert found.item_Bk.equal(scores_BI.argsort(dim=1, descending=True))
    if of_children:
        torch.testing.assert_close(scores_BI.exp().sum(1), torch.ones(4))


def test_texts_are_drawn_as_likely_as_they_are(model: CompactSeq2SeqBackbone) -> None:
    count = 4000
    prefix = Sources([SOURCES[0]]).prefix(np.zeros(count, int))
    chances_BL = torch.from_numpy(np.random.default_rng(0).random((count, 1)))
    drawn = write_text(model, prefix, END, 1, chances_BL=chances_BL, temperature=20.0)
    tokens = [(written.tokens or [END])[0] for written in drawn]
    found_V = torch.bincount(torch.tensor(tokens), minlength=VOCABULARY) / count
    expected_V = (logits(model, SOURCES[0], [])[-1] / 20.0).softmax(0)
    assert expected_V.max() < 0.5  # there is something to draw
    torch.testing.assert_close(found_V, expected_V.float(), atol=0.03, rtol=0)
    again = write_text(model, prefix, END, 1, chances_BL=chances_BL[:1].expand(count, 1), temperature=20.0)
    assert all(written.tokens == drawn[0].tokens for written in again)


def test_the_text_most_like_the_others_is_taken() -> None:
    assert most_alike(["", "A great tuner!", "great tuner", "I like the strap"]) == "A great tuner!"
    assert most_alike(["", ""]) == ""
