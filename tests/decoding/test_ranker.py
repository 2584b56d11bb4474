"""The ranker against scoring every item of the catalogue, one full row at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from genrec.backbones.base import Prefix
from genrec.data.interactions import Histories, IntArray
from genrec.decoding.beam import Normalise
from genrec.decoding.ranker import TrieRanker
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tries import Case, cases, make, random_codes


class Asked:
    """The histories of a case as questions."""

    def __init__(self, case: Case) -> None:
        self._prefix, self.lengths = case.prefix, case.prefix.length_B.tolist()

    def prefix(self, rows: IntArray) -> Prefix:
        return self._prefix.take(torch.from_numpy(rows))


def ranker(case: Case, normalise: Normalise = "children", best_first: bool = True) -> TrieRanker:
    return TrieRanker(case.model, case.trie, normalise, width=8, best_first=best_first)


@pytest.fixture(scope="module")
def case() -> Case:
    """Histories of several lengths, which are read in several groups."""
    return make(random_codes(3, 25), 3, num_users=6)


@pytest.mark.parametrize("normalise", ["children", "vocabulary"])
@pytest.mark.parametrize("best_first", [True, False])
def test_lists_stand_in_the_order_of_the_questions(
    case: Case, normalise: Normalise, best_first: bool
) -> None:
    seen = Histories.from_lists([[0, 3], [], [5], [24, 1, 2], [], [7]])
    allowed = np.arange(25) % 4 != 0
    log_p_BI = case.log_probabilities(normalise).numpy()
    log_p_BI = np.where(allowed, log_p_BI, -np.inf)
    for row, items in enumerate(seen):
        log_p_BI[row, items] = -np.inf
    found = ranker(case, normalise, best_first).rank(Asked(case), 5, seen, allowed, exact=True)
    best_BK = np.sort(log_p_BI, axis=1)[:, ::-1][:, :5]
    np.testing.assert_allclose(found.scores_BK, best_BK, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.take_along_axis(log_p_BI, found.items_BK, 1), best_BK, rtol=1e-4, atol=1e-4)
    assert found.exact_B.all()


def test_without_a_proof_nobody_waits_for_one(case: Case) -> None:
    found = ranker(case).rank(Asked(case), 25, None, None, exact=False)
    np.testing.assert_array_equal(np.sort(found.items_BK, axis=1), np.tile(np.arange(25), (6, 1)))


@settings(deadline=None, max_examples=20)
@given(st.data(), cases())
def test_likelihoods_of_candidates(data: st.DataObject, case: Case) -> None:
    num_items = len(case.codes)
    count = data.draw(st.integers(1, num_items))
    candidates_BC = np.array(
        [data.draw(st.permutations(range(num_items)))[:count] for _ in case.prefix.length_B]
    )
    there_BC = np.array(
        [data.draw(st.lists(st.booleans(), min_size=count, max_size=count)) for _ in candidates_BC]
    )
    candidates_BC[~there_BC] = -1
    found_BC = ranker(case).log_likelihood(Asked(case), candidates_BC)
    expected_BC = np.take_along_axis(case.log_probabilities().numpy(), candidates_BC, 1)
    np.testing.assert_allclose(found_BC, np.where(there_BC, expected_BC, -np.inf), rtol=1e-4, atol=1e-4)


def test_decisions_multiply_to_the_probability_of_their_item(case: Case) -> None:
    prefix, log_p_BI = case.prefix, case.log_probabilities()
    length = int(prefix.length_B[1])
    for item, code in enumerate(case.codes):
        path = torch.from_numpy(case.trie.paths[item]).long()
        with torch.inference_mode():
            hidden_1TD = case.model.hidden(
                torch.cat([prefix.tokens_BT[1, :length], torch.tensor(code)])[None],
                torch.cat([prefix.nodes_BT[1, :length], path])[None],
                torch.cat([prefix.positions_BT[1, :length], torch.arange(len(code)) + prefix.start_B[1]])[
                    None
                ],
            )
            decisions = ranker(case).decisions(hidden_1TD[0, length - 1 : -1], item)
        assert [token for decision in decisions for token in decision.tokens] == [*code]
        assert {(decision.words, decision.items) for decision in decisions} == {(None, None)}
        assert sum(np.log(decision.probability) for decision in decisions) == pytest.approx(
            float(log_p_BI[1, item]), rel=1e-4, abs=1e-4
        )


def test_a_list_holds_the_candidates_and_none_twice(case: Case) -> None:
    candidates_BC = np.array(
        [[4, 8, 15, 16], [23, 2, -1, -1], [-1] * 4, [9, 1, 0, 24], [7, -1, 3, 5], [6, 11, 12, 13]]
    )
    written_BK = ranker(case).write_list(Asked(case), candidates_BC, 6)
    np.testing.assert_array_equal(np.sort(written_BK[:, :4], axis=1), np.sort(candidates_BC, axis=1))
    assert (written_BK[:, 4:] == -1).all()
    first_B = ranker(case).rank_candidates(Asked(case), candidates_BC, 1).items_BK[:, 0]
    np.testing.assert_array_equal(written_BK[:, 0], first_B)
