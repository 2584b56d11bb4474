"""Writing with a prior against brute force: the item model's masses added up item by item, whole rows, no search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from genrec.data.interactions import Histories, IntArray
from genrec.decoding.constraint import Constraint
from genrec.decoding.prior import Memory, Prior
from genrec.decoding.ranker import TrieRanker
from genrec.errors import ConfigError
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tries import Case, cases, make, random_codes
from test_beam import check, everything, filters, ks, widths
from test_ranker import Asked, ranker
from torch import Tensor
from weighed_cases import Weighed, weighed


@st.composite
def weighed_cases(draw: st.DrawFn) -> Weighed:
    """Priors from flat to nearly certain, also of no weight."""
    return weighed(
        draw(cases()),
        draw(st.integers(0, 1000)),
        draw(st.sampled_from([0.1, 2.0, 5.0])),
        draw(st.sampled_from([0.0, 0.3, 1.0, 1.7])),
        draw(st.sampled_from([0.5, 1.0, 20.0])),
    )


@settings(deadline=None, max_examples=20)
@given(weighed_cases())
def test_probabilities_with_a_prior_add_up_to_one(asked: Weighed) -> None:
    case, num_items = asked.case, len(asked.case.codes)
    found = case.search().search(case.prefix, Constraint(case.tensors), num_items, num_items, asked.prior())
    sums_B = found.score_Bk.logsumexp(1)
    torch.testing.assert_close(sums_B, torch.zeros_like(sums_B), rtol=0, atol=1e-4)
    check(found, asked.log_p_BI(), everything(case), num_items)


@settings(deadline=None, max_examples=20)
@given(st.data(), weighed_cases(), ks, widths, st.sampled_from([0, 1, 3, 64]), st.sampled_from([1, 2, 6]))
def test_best_first_lists_with_a_prior(
    data: st.DataObject, asked: Weighed, k: int, width: int, most_steps: int, longest: int
) -> None:
    """Also where users drop out, where forced tokens take several steps and where it goes on as a beam.

    Proved whenever it does not have to.
    """
    case = asked.case
    seen, allowed, permitted_BI = data.draw(filters(case))
    constraint = Constraint(case.tensors, seen=seen, allowed=allowed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genrec.decoding.beam._MOST_STEPS", most_steps)
        patch.setattr("genrec.decoding.beam._LONGEST_WITH_PRIOR", longest)
        patch.setattr("genrec.decoding.beam._MANY", 1)
        found = case.search().search_best_first(case.prefix, constraint, k, width, asked.prior())
    check(found, asked.log_p_BI(), permitted_BI, k)
    assert most_steps < 64 or found.exact_B.all()


@pytest.mark.parametrize("prior", [False, True])
def test_edges_one_by_one_score_as_those_of_a_node_together(
    prior: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = weighed(make(random_codes(1, 25), 1, num_users=5), 0, 2.0)
    case, found = asked.case, []
    for most in (0, 1 << 19):
        monkeypatch.setattr("genrec.decoding.beam._MOST_EDGES", most)
        own = asked.prior() if prior else None
        found.append(case.search().search_best_first(case.prefix, Constraint(case.tensors), 7, 10, own))
    assert torch.equal(found[0].item_Bk, found[1].item_Bk)
    torch.testing.assert_close(found[0].score_Bk, found[1].score_Bk, rtol=1e-5, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.data(), weighed_cases(), ks, widths, st.booleans())
def test_exact_search_with_a_prior_finds_the_true_best(
    data: st.DataObject, asked: Weighed, k: int, width: int, beams: bool
) -> None:
    """Also where rows are searched again, with wider beams."""
    case = asked.case
    seen, allowed, permitted_BI = data.draw(filters(case))

    def constraint(rows: Tensor) -> Constraint:
        return Constraint(case.tensors, seen=seen.take(rows.numpy()), allowed=allowed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genrec.decoding.beam._MOST_STEPS", 0 if beams else 64)
        found = case.search().search_exact(case.prefix, constraint, k, width, asked.prior())
    assert found.exact_B.all()
    check(found, asked.log_p_BI(), permitted_BI, k)


@settings(deadline=None, max_examples=20)
@given(cases(), st.integers(0, 1000), ks)
def test_a_prior_that_is_certain_of_most_users(case: Case, seed: int, k: int) -> None:
    """Masses of nearly nothing are told apart by rounding alone, and the lists are those of just these masses."""
    asked = weighed(case, seed, 50.0)
    prior = asked.prior()
    first_N, last_N = (
        torch.from_numpy(one).long() for one in (case.trie.first_leaf_N, case.trie.last_leaf_N)
    )
    mass_BN = prior.before_BI1[:, last_N] - prior.before_BI1[:, first_N]
    torch.testing.assert_close(mass_BN, asked.mass_BN, rtol=1e-5, atol=1e-14)
    found = case.search().search_best_first(case.prefix, Constraint(case.tensors), k, 4, prior)
    assert found.exact_B.all()
    check(found, asked.log_p_BI(mass_BN), everything(case), k)


@settings(deadline=None, max_examples=20)
@given(cases(), st.integers(0, 1000), st.sampled_from([0.1, 1.0, 3.0]))
def test_equal_language_logits_leave_the_item_model(case: Case, seed: int, spread: float) -> None:
    """The steps multiply to its softmax."""
    for weight in case.model.parameters():
        weight.data.zero_()
    asked = weighed(case, seed, spread)
    num_items = len(case.codes)
    found = case.search().search(case.prefix, Constraint(case.tensors), num_items, num_items, asked.prior())
    expected_BI = asked.logits_BI.double().softmax(1).gather(1, found.item_Bk)
    torch.testing.assert_close(found.score_Bk.double().exp(), expected_BI, rtol=1e-5, atol=0)
    assert (expected_BI.diff(dim=1) <= 1e-9).all()


@settings(deadline=None, max_examples=10)
@given(cases(), ks)
def test_a_prior_of_no_weight_changes_nothing(case: Case, k: int) -> None:
    asked = weighed(case, 0, 5.0, weight=0.0)
    alone, found = (
        case.search().search_best_first(case.prefix, Constraint(case.tensors), k, 4, prior)
        for prior in (None, asked.prior())
    )
    torch.testing.assert_close(alone.score_Bk, found.score_Bk, rtol=1e-4, atol=1e-4)
    check(found, case.log_probabilities(), everything(case), k)


def test_shares_of_likely_and_of_next_to_impossible_items() -> None:
    """20,000 items of 1e-9, but one of all the rest, and one that no float32 can tell from nothing."""
    case = make([(0,)], 0, num_users=1)
    codes = [(first, second) for first in range(200) for second in range(100)]
    case = replace(case, trie=type(case.trie).build(type(case.trie.codes).from_lists(codes)), codes=codes)
    logits_1I = torch.full((1, 20_000), np.log(1e-9))
    logits_1I[0, 7_777], logits_1I[0, 12_345] = 0.0, -200.0
    prior = Prior.of_logits(case.tensors, logits_1I[:, case.tensors.item_of_leaf_I])
    root = torch.zeros(1, dtype=torch.int64)
    chance_FS = logits_1I.double().softmax(1).view(200, 100)
    share_C = prior.shares(root, root, 200)[0].double()
    torch.testing.assert_close(share_C, chance_FS.sum(1), rtol=1e-5, atol=0)
    for first in (77, 50, 123):
        within_C = prior.shares(root, root + 1 + first, 100)[0].double()
        expected_C = chance_FS[first] / chance_FS[first].sum()
        torch.testing.assert_close(
            within_C, expected_C, rtol=1e-5, atol=1e-5 * float(expected_C.min() < 1e-8)
        )
        assert torch.isfinite(prior.offsets(root, root + 1 + first, 128)).all()
    assert 5e-9 < within_C[45] < 2e-8  # `LEAST` of 1e-7


def test_states_and_vectors_make_the_prior_of_their_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in several parts."""
    monkeypatch.setattr("genrec.decoding.prior._AT_ONCE", 60)
    tensors = make(random_codes(1, 25), 1, num_users=5).tensors
    states_BD, vectors_ID = torch.randn(5, 8), torch.randn(25, 8)
    found = Prior.of_states(tensors, states_BD, vectors_ID, weight=0.5, temperature=2.0)
    expected = Prior.of_logits(tensors, states_BD @ vectors_ID.T)
    torch.testing.assert_close(found.before_BI1, expected.before_BI1, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(found.before_BI1[:, -1], torch.ones(5, dtype=torch.float64))
    assert (found.weight, found.temperature) == (0.5, 2.0)


def test_scores_by_item_make_the_same_prior_in_memory_that_was_used_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also in several parts, and of fewer users than before; what stood there shows nowhere."""
    monkeypatch.setattr("genrec.decoding.prior._AT_ONCE", 60)
    tensors = make(random_codes(1, 25), 1, num_users=5).tensors
    scores_BI = torch.randn(5, 25)
    expected = Prior.of_logits(tensors, scores_BI[:, tensors.item_of_leaf_I], weight=0.5, temperature=2.0)
    memory = Memory()
    first = Prior.of_scores(tensors, scores_BI, weight=0.5, temperature=2.0, memory=memory)
    assert torch.equal(first.before_BI1, expected.before_BI1)
    assert (first.weight, first.temperature) == (0.5, 2.0)
    before = first.before_BI1.fill_(torch.nan).data_ptr()
    again = Prior.of_scores(tensors, scores_BI[3:], memory=memory)
    assert again.before_BI1.data_ptr() == before
    assert torch.equal(again.before_BI1, Prior.of_scores(tensors, scores_BI[3:]).before_BI1)
    more = Prior.of_scores(tensors, scores_BI.repeat(2, 1), memory=memory)
    assert torch.equal(more.before_BI1[5:], expected.before_BI1)
    other = make(random_codes(1, 30), 1, num_users=1).tensors
    assert Prior.of_scores(other, torch.zeros(1, 30), memory=memory).before_BI1.shape == (1, 31)


def test_a_prior_larger_than_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genrec.data.memory.machine_bytes", lambda: 1_000_000_000)
    tensors = make(random_codes(1, 25), 1, num_users=1).tensors
    states_BD = torch.zeros(1, 1).expand(5_000_000, 1)
    message = (
        "probabilities of 25 items for each of 5,000,000 users at once needs about 1.0 GB, .*ranking_batch"
    )
    with pytest.raises(ConfigError, match=message):
        Prior.of_states(tensors, states_BD, torch.zeros(25, 1))


def test_a_prior_needs_choices_among_children() -> None:
    asked = weighed(make(random_codes(1, 25), 1, num_users=2), 0, 1.0)
    search = asked.case.search("vocabulary")
    with pytest.raises(ConfigError, match="over its vocabulary: train it with objective=catalogue"):
        search.search(asked.case.prefix, Constraint(asked.case.tensors), 3, 3, asked.prior())


# -- the ranker ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def asked() -> Weighed:
    """Histories of several lengths, which are read in several groups."""
    return weighed(make(random_codes(3, 25), 3, num_users=6), 3, 2.0, weight=0.7, temperature=8.0)


@pytest.mark.parametrize("best_first", [True, False])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("at_once", [1, 50, 1 << 24])
def test_questions_of_a_ranker_have_their_own_prior(
    asked: Weighed, best_first: bool, exact: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where few fit into memory at once."""
    monkeypatch.setattr("genrec.decoding.ranker._MASSES_AT_ONCE", at_once)
    seen = Histories.from_lists([[0, 3], [], [5], [24, 1, 2], [], [7]])
    log_p_BI = asked.log_p_BI().numpy().copy()
    for row, items in enumerate(seen):
        log_p_BI[row, items] = -np.inf
    searched: list[int] = []

    def prior(rows: IntArray) -> Prior:
        searched.extend(rows.tolist())
        assert len(rows) <= max(1, at_once // 25)
        return asked.prior(rows)

    one = TrieRanker(asked.case.model, asked.case.trie, "children", width=32, best_first=best_first)
    found = one.rank(Asked(asked.case), 5, seen, None, exact=exact, prior=prior)
    best_BK = np.sort(log_p_BI, axis=1)[:, ::-1][:, :5]
    np.testing.assert_allclose(found.scores_BK, best_BK, rtol=1e-4, atol=1e-4)
    assert sorted(searched) == list(range(6))
    assert not np.allclose(best_BK, np.sort(asked.case.log_probabilities().numpy())[:, ::-1][:, :5])


def test_candidates_weighed_by_a_prior(asked: Weighed) -> None:
    candidates_BC = np.array([np.arange(25)[row::6][:4] for row in range(6)])
    log_p_BI = asked.log_p_BI().numpy()
    questions, expected_BC = Asked(asked.case), np.take_along_axis(log_p_BI, candidates_BC, 1)
    found_BC = ranker(asked.case).log_likelihood(questions, candidates_BC, asked.prior)
    np.testing.assert_allclose(found_BC, expected_BC, rtol=1e-4, atol=1e-4)
    best = ranker(asked.case).rank_candidates(questions, candidates_BC, 1, asked.prior)
    np.testing.assert_array_equal(best.items_BK[:, 0], candidates_BC[np.arange(6), expected_BC.argmax(1)])
    written_BK = ranker(asked.case).write_list(questions, candidates_BC.copy(), 4, asked.prior)
    np.testing.assert_array_equal(written_BK[:, 0], best.items_BK[:, 0])
    np.testing.assert_array_equal(np.sort(written_BK, axis=1), np.sort(candidates_BC, axis=1))


def test_decisions_tell_both_voices(asked: Weighed) -> None:
    case, row = asked.case, np.array([1])
    prefix, length = case.prefix, int(case.prefix.length_B[1])
    log_p_I, prior = asked.log_p_BI()[1], asked.prior(row)
    alone_I = case.log_probabilities("children", None, asked.temperature)[1]
    items_I = asked.logits_BI[1].log_softmax(0)
    for item, code in enumerate(case.codes):
        path = torch.from_numpy(case.trie.paths[item]).long()
        with torch.inference_mode():
            hidden_1TD = case.model.hidden(
                _row(prefix.tokens_BT, length, torch.tensor(code)),
                _row(prefix.nodes_BT, length, path),
                _row(prefix.positions_BT, length, torch.arange(len(code)) + prefix.start_B[1]),
            )
            decisions = ranker(case).decisions(hidden_1TD[0, length - 1 : -1], item, prior)
        assert [token for decision in decisions for token in decision.tokens] == [*code]
        for voice, expected in (("probability", log_p_I), ("words", alone_I), ("items", items_I)):
            told = sum(np.log(getattr(decision, voice)) for decision in decisions)
            assert told == pytest.approx(float(expected[item]), rel=1e-4, abs=1e-4)


def _row(tokens_BT: Tensor, length: int, answer_L: Tensor) -> Tensor:
    """The second history and what follows it, as the one row of a batch."""
    return torch.cat([tokens_BT[1, :length], answer_L])[None]
