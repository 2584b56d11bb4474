"""Offsets of items in the search, against scoring every item by itself and adding them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from genrec.decoding.beam import BeamSearch, Normalise
from genrec.decoding.constraint import Constraint
from genrec.decoding.offsets import Offsets
from genrec.decoding.ranker import TrieRanker
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tries import Case, cases, make, random_codes
from test_beam import check, everything, filters, ks, widths
from test_ranker import Asked

weights = st.sampled_from([0.3, 1.0])


def offsets_of(case: Case, weight: float, spread: float) -> tuple[Offsets, torch.Tensor]:
    """Of log-probabilities that have nothing to do with the model; with what they add to each item."""
    torch.manual_seed(len(case.codes))
    log_p_I = (spread * torch.randn(len(case.codes))).log_softmax(0)
    return Offsets.against(case.trie, log_p_I.numpy(), weight), -weight * log_p_I


@settings(deadline=None, max_examples=40)
@given(st.data(), cases(), ks, widths, weights, st.booleans(), st.sampled_from(["children", "vocabulary"]))
def test_lists_have_the_offsets_and_certified_ones_are_true(
    data: st.DataObject,
    case: Case,
    k: int,
    width: int,
    weight: float,
    best_first: bool,
    normalise: Normalise,
) -> None:
    offsets, offset_I = offsets_of(case, weight, data.draw(st.sampled_from([0.0, 1.0, 8.0])))
    search = BeamSearch(case.model, case.tensors, normalise, offsets)
    seen, allowed, permitted_BI = data.draw(filters(case))
    constraint = Constraint(case.tensors, seen=seen, allowed=allowed)
    method = search.search_best_first if best_first else search.search
    expected_BI = case.log_probabilities(normalise) + offset_I
    check(method(case.prefix, constraint, k, width), expected_BI, permitted_BI, k)
    found = search.search_exact(case.prefix, lambda rows: Constraint(case.tensors), k, width)
    assert found.exact_B.all()
    check(found, expected_BI, everything(case), k)


@settings(deadline=None, max_examples=20)
@given(cases(), weights)
def test_a_prefix_has_the_largest_offset_below_it(case: Case, weight: float) -> None:
    offsets, offset_I = offsets_of(case, weight, 3.0)
    log_p_I = -offset_I / weight
    for node in range(case.trie.num_nodes):
        below = case.trie.item_of_leaf_I[case.trie.first_leaf_N[node] : case.trie.last_leaf_N[node]]
        assert offsets.most_N[node] == pytest.approx(float(offset_I[below].max()), abs=1e-5)
        guess = (1 - weight) * log_p_I[below].max() - log_p_I[below].logsumexp(0)
        assert float(offsets.most_N[node] + offsets.lead_N[node]) == pytest.approx(float(guess), abs=1e-4)


@pytest.mark.parametrize("normalise", ["children", "vocabulary"])
def test_every_item_is_scored_for_one_question(normalise: Normalise, monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts, the last of which is not full."""
    monkeypatch.setattr("genrec.decoding.ranker._PART", 4)
    monkeypatch.setattr("genrec.decoding.ranker._PARTS_AT_ONCE", 3)
    case = make(random_codes(3, 25), 3, num_users=1)
    ranker = TrieRanker(case.model, case.trie, normalise, width=4, best_first=True)
    found_I = ranker.log_likelihood_of_all(Asked(case))
    np.testing.assert_allclose(found_I, case.log_probabilities(normalise)[0], rtol=1e-4, atol=1e-4)


def test_a_ranker_asks_for_offsets_when_it_needs_them_and_once() -> None:
    case = make(random_codes(4, 25), 4, num_users=3)
    asked = []

    def made(plain: TrieRanker) -> Offsets:
        asked.append(plain.log_likelihood_of_all(Asked(make(random_codes(4, 25), 4, num_users=1))))
        return Offsets.against(case.trie, asked[-1], 1.0)

    ranker = TrieRanker(case.model, case.trie, "children", width=8, best_first=True, offsets=made)
    assert not asked
    candidates_BC = np.tile(np.arange(25), (3, 1))
    found_BC = ranker.log_likelihood(Asked(case), candidates_BC)
    expected_BI = case.log_probabilities().numpy() - asked[0]
    np.testing.assert_allclose(found_BC, expected_BI, rtol=1e-3, atol=1e-3)
    listed = ranker.rank(Asked(case), 5, None, None, exact=True)
    np.testing.assert_allclose(listed.scores_BK, -np.sort(-expected_BI, axis=1)[:, :5], rtol=1e-3, atol=1e-3)
    assert len(asked) == 1
    ranker.search_with(None)
    ranker.rank_candidates(Asked(case), candidates_BC, 2)
    assert len(asked) == 2


def test_of_a_wide_root_nothing_is_left_out_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genrec.decoding.beam._WIDE_ROOT", 0)
    for seed in range(12):
        case = make(random_codes(seed, 25), seed, num_users=3)
        offsets, offset_I = offsets_of(case, 1.0, 3.0)
        search = BeamSearch(case.model, case.tensors, "children", offsets)
        found = search.search_best_first(case.prefix, Constraint(case.tensors), 3, 8)
        assert found.exact_B.all()
        check(found, case.log_probabilities() + offset_I, everything(case), 3)
