"""Search from states that are the same along a name, against softmaxes along the trie and against a cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from genrec.backbones.base import Prefix
from genrec.backbones.compact import CompactBackbone
from genrec.decoding.beam import BeamSearch
from genrec.decoding.cache import FixedStates, SearchCache
from genrec.decoding.constraint import Constraint
from genrec.decoding.ranker import TrieRanker
from genrec.errors import ConfigError
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tries import Case, cases
from test_beam import check, filters, ks, widths
from torch import Tensor
from weighed_cases import Weighed, weighed


@dataclass
class Fixed(Case):
    """A case whose users are known by a state each."""

    states_BD: Tensor

    @property
    def asked(self) -> FixedStates:
        return FixedStates(self.states_BD)

    @torch.inference_mode()
    def log_probabilities(
        self, normalise: str = "children", offset_BN: Tensor | None = None, temperature: float = 1.0
    ) -> Tensor:
        """log p(item | state) (B, I): a softmax over the children at every node on the way."""
        trie, node_N = self.trie, torch.arange(self.trie.num_nodes)
        vectors_ND = self.model.edge_vectors(self.tensors.token_N.clamp_min(0), node_N)
        logits_BN = self.states_BD @ vectors_ND.T / temperature
        if offset_BN is not None:
            logits_BN = logits_BN + offset_BN
        log_p_BN = torch.zeros_like(logits_BN)
        for first, end in zip(
            trie.first_child_N1[:-1].tolist(), trie.first_child_N1[1:].tolist(), strict=True
        ):
            log_p_BN[:, first:end] = logits_BN[:, first:end].log_softmax(1)
        return torch.stack([log_p_BN[:, path[path > 0].tolist()].sum(1) for path in trie.paths], dim=1)


def fixed(case: Case, seed: int, scale: float) -> Fixed:
    torch.manual_seed(seed)
    states_BD = scale * torch.randn(len(case.prefix.length_B), 32)
    return Fixed(case.model, case.trie, case.codes, case.prefix, states_BD)


@st.composite
def fixed_cases(draw: st.DrawFn) -> Fixed:
    return fixed(draw(cases()), draw(st.integers(0, 1000)), draw(st.sampled_from([0.0, 0.2, 1.0])))


priors = st.none() | st.sampled_from([(1.0, 1.0), (0.3, 5.0)])


def with_prior(case: Fixed, prior: tuple[float, float] | None) -> tuple[Weighed | None, Tensor]:
    """A prior of that weight and temperature, if any, and the right answer."""
    if prior is None:
        return None, case.log_probabilities()
    asked = weighed(case, 3, 2.0, *prior)
    return asked, asked.log_p_BI()


@settings(deadline=None, max_examples=30)
@given(st.data(), fixed_cases(), ks, widths, st.sampled_from(["beam", "best-first", "exact"]), priors)
def test_lists_are_those_of_softmaxes_along_the_trie(
    data: st.DataObject, case: Fixed, k: int, width: int, way: str, prior: tuple[float, float] | None
) -> None:
    seen, allowed, permitted_BI = data.draw(filters(case))
    asked, expected_BI = with_prior(case, prior)
    own = None if asked is None else asked.prior()
    search = case.search()
    if way == "exact":

        def constraint(rows: Tensor) -> Constraint:
            return Constraint(case.tensors, seen=seen.take(rows.numpy()), allowed=allowed)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("genrec.decoding.beam._MOST_STEPS", data.draw(st.sampled_from([0, 2, 64])))
            found = search.search_exact(case.asked, constraint, k, width, own)
        assert found.exact_B.all()
    else:
        search_one = search.search if way == "beam" else search.search_best_first
        found = search_one(case.asked, Constraint(case.tensors, seen=seen, allowed=allowed), k, width, own)
        assert way == "beam" or found.exact_B.all()
    check(found, expected_BI, permitted_BI, k)


class Stub(CompactBackbone):
    """A language model that forgets what it reads: every state is that of its row."""

    rows: Tensor
    states_BD: Tensor

    def prefill(self, prefix: Prefix) -> Any:
        self.rows = torch.arange(len(prefix.length_B))
        return super().prefill(prefix)

    def hidden(self, tokens_BT: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        super().hidden(tokens_BT, *args, **kwargs)
        return self.states_BD[self.rows][:, None].expand(-1, tokens_BT.shape[1], -1).contiguous()

    def keep_rows(self, cache: Any, rows_R: Tensor) -> None:
        super().keep_rows(cache, rows_R)
        self.rows = self.rows[rows_R]


@settings(deadline=None, max_examples=20)
@given(fixed_cases(), ks, widths, st.booleans(), priors)
def test_lists_are_those_of_a_model_with_a_cache_that_forgets(
    case: Fixed, k: int, width: int, beam: bool, prior: tuple[float, float] | None
) -> None:
    num_nodes = case.trie.num_nodes if case.model.arguments["num_nodes"] else 0
    stub = Stub(7, depth=2, width=32, dropout=0.0, num_nodes=num_nodes).eval()
    stub.load_state_dict(case.model.state_dict())
    stub.states_BD = case.states_BD
    asked, _ = with_prior(case, prior)
    found, expected = (
        (search.search if beam else search.search_best_first)(
            prefix, Constraint(case.tensors), k, width, None if asked is None else asked.prior()
        )
        for search, prefix in (
            (case.search(), case.asked),
            (BeamSearch(stub, case.tensors), case.prefix),
        )
    )
    torch.testing.assert_close(found.score_Bk, expected.score_Bk, rtol=1e-4, atol=1e-4)
    apart_Bk = (
        found.score_Bk.diff(dim=1, prepend=torch.full((len(found.score_Bk), 1), torch.inf)).abs() > 1e-3
    )
    apart_Bk &= apart_Bk.roll(-1, 1)
    assert (found.item_Bk == expected.item_Bk)[apart_Bk].all()
    if beam:
        assert found.exact_B.tolist() == expected.exact_B.tolist()


def test_rows_of_fixed_states_are_taken_by_number() -> None:
    states = FixedStates(torch.arange(6.0).view(3, 2))
    assert states.take(torch.tensor([2, 0])).hidden_RD.tolist() == [[4, 5], [0, 1]]
    assert states.start_R.tolist() == states.length_B.tolist() == [0, 0, 0]


@settings(deadline=None, max_examples=5)
@given(fixed_cases())
def test_a_list_of_candidates_needs_a_model_that_knows_what_is_written(case: Fixed) -> None:
    """Candidates are ranked; a list that goes by its own items is none that fixed states could write."""
    ranker = TrieRanker(case.model, case.trie, "children", width=4, best_first=True)
    num_users, num_items = len(case.states_BD), len(case.codes)
    candidates_BC = torch.arange(num_items).expand(num_users, -1).numpy().copy()

    class Asked:
        lengths = [0] * num_users

        def prefix(self, rows: Any) -> FixedStates:
            return case.asked.take(torch.from_numpy(rows))

    scores_BC = ranker.log_likelihood(Asked(), candidates_BC)
    torch.testing.assert_close(torch.from_numpy(scores_BC), case.log_probabilities(), rtol=1e-4, atol=1e-4)
    with pytest.raises(ConfigError, match="vocabulary"):
        BeamSearch(case.model, case.tensors, "vocabulary").search(
            case.asked, Constraint(case.tensors), 1, 1, weighed(case, 0, 1.0).prior()
        )
    assert not isinstance(ranker.search.cache(case.asked), SearchCache)
