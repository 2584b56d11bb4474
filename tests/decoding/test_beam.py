"""Beam search against scoring every item of the catalogue, one full row at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from genrec.backbones.base import Prefix
from genrec.backbones.compact import CompactBackbone
from genrec.codes.trie import Codes, Trie
from genrec.data.interactions import Histories
from genrec.decoding.constraint import Constraint
from genrec.decoding.frontier import Found
from genrec.errors import ConfigError
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tries import END, Case, Code, cases, make
from torch import Tensor


def check(found: Found, log_p_BI: Tensor, permitted_BI: Tensor, k: int) -> None:
    """What must hold of every list, and more of those that are certified."""
    for items, scores, exact, log_p, permitted in zip(
        found.item_Bk.tolist(), found.score_Bk, found.exact_B.tolist(), log_p_BI, permitted_BI, strict=True
    ):
        count = min(k, int(permitted.sum()))
        assert items[count:] == [-1] * (k - count)
        assert torch.isneginf(scores[count:]).all()
        items, scores = items[:count], scores[:count]
        assert len(set(items)) == count
        assert permitted[items].all()
        torch.testing.assert_close(scores, log_p[items], rtol=1e-4, atol=1e-4)
        assert (scores.diff() <= 0).all()
        if exact:
            best = log_p.masked_fill(~permitted, -torch.inf).topk(count).values
            torch.testing.assert_close(scores, best, rtol=1e-4, atol=1e-4)


def everything(case: Case) -> Tensor:
    return torch.ones(len(case.prefix.length_B), len(case.codes), dtype=torch.bool)


ks, widths = st.sampled_from([1, 2, 3, 6, 50]), st.sampled_from([1, 3, 8])


@st.composite
def filters(draw: st.DrawFn, case: Case) -> tuple[Histories, np.ndarray | None, Tensor]:
    """Seen items (repeats among them), allowed items, and what remains (B, I)."""
    num_users, num_items = len(case.prefix.length_B), len(case.codes)
    seen = [draw(st.lists(st.integers(0, num_items - 1), max_size=6)) for _ in range(num_users)]
    allowed = draw(st.none() | st.lists(st.booleans(), min_size=num_items, max_size=num_items))
    permitted_BI = torch.tensor(
        [
            [item not in own and (allowed is None or allowed[item]) for item in range(num_items)]
            for own in seen
        ]
    )
    return Histories.from_lists(seen), None if allowed is None else np.array(allowed), permitted_BI


@settings(deadline=None, max_examples=20)
@given(cases())
def test_probabilities_add_up_to_one(case: Case) -> None:
    sums_B = case.log_probabilities().logsumexp(1)
    torch.testing.assert_close(sums_B, torch.zeros_like(sums_B), rtol=0, atol=1e-4)
    num_items = len(case.codes)
    found = case.search().search(case.prefix, Constraint(case.tensors), num_items, num_items)
    sums_B = found.score_Bk.logsumexp(1)
    torch.testing.assert_close(sums_B, torch.zeros_like(sums_B), rtol=0, atol=1e-4)


@settings(deadline=None, max_examples=20)
@given(st.data(), cases(), ks, widths)
def test_lists_under_filters(data: st.DataObject, case: Case, k: int, width: int) -> None:
    """Also with k larger than what is allowed, and with fewer items than beams."""
    seen, allowed, permitted_BI = data.draw(filters(case))
    constraint = Constraint(case.tensors, seen=seen, allowed=allowed)
    found = case.search().search(case.prefix, constraint, k, width)
    check(found, case.log_probabilities(), permitted_BI, k)


@settings(deadline=None, max_examples=20)
@given(st.data(), cases(), ks, widths)
def test_exact_search_finds_the_true_best(data: st.DataObject, case: Case, k: int, width: int) -> None:
    seen, allowed, permitted_BI = data.draw(filters(case))

    def constraint(rows: Tensor) -> Constraint:
        return Constraint(case.tensors, seen=seen.take(rows.numpy()), allowed=allowed)

    found = case.search().search_exact(case.prefix, constraint, k, width)
    assert found.exact_B.all()
    check(found, case.log_probabilities(), permitted_BI, k)


@settings(deadline=None, max_examples=20)
@given(st.data(), cases(), ks, widths, st.sampled_from([0, 1, 3, 64]), st.sampled_from([0, 8]))
def test_best_first_lists(
    data: st.DataObject, case: Case, k: int, width: int, most_steps: int, wide: int
) -> None:
    """Also where it goes on as a beam after a few steps; proved whenever it does not have to."""
    seen, allowed, permitted_BI = data.draw(filters(case))
    constraint = Constraint(case.tensors, seen=seen, allowed=allowed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genrec.decoding.beam._MOST_STEPS", most_steps)
        patch.setattr("genrec.decoding.beam._WIDE_ROOT", wide)
        found = case.search().search_best_first(case.prefix, constraint, k, width)
    check(found, case.log_probabilities(), permitted_BI, k)
    assert most_steps < 64 or found.exact_B.all()


def test_what_must_not_wait_is_counted_as_thrown_away(hard: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for one waiting prefix some lists are wrong, and none of those is called proved."""
    monkeypatch.setattr("genrec.decoding.beam._LARGEST_FRONTIER", 1)
    monkeypatch.setattr("genrec.decoding.beam._SIDE_BY_SIDE", 1)
    found = hard.search().search_best_first(hard.prefix, Constraint(hard.tensors), k=3, width=3)
    check(found, hard.log_probabilities(), everything(hard), k=3)
    assert 0 < found.exact_B.sum() < len(found.exact_B)


def test_best_first_runs_fewer_tokens_than_a_beam(hard: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens: list[int] = []
    run = CompactBackbone.hidden

    def counted(*args: Any, **kwargs: Any) -> Tensor:
        tokens.append(args[1].numel())
        return run(*args, **kwargs)

    monkeypatch.setattr(CompactBackbone, "hidden", counted)
    monkeypatch.setattr("genrec.decoding.beam._SIDE_BY_SIDE", 2)
    found = hard.search().search_best_first(hard.prefix, Constraint(hard.tensors), k=1, width=20)
    best_first = sum(tokens)
    tokens.clear()
    beam = hard.search().search(hard.prefix, Constraint(hard.tensors), k=1, width=20)
    assert found.exact_B.all()
    assert (found.score_Bk >= beam.score_Bk - 1e-4).all()
    assert best_first < sum(tokens)


@settings(deadline=None, max_examples=20)
@given(st.data(), cases(), ks, widths)
def test_probabilities_over_the_vocabulary(data: st.DataObject, case: Case, k: int, width: int) -> None:
    seen, allowed, permitted_BI = data.draw(filters(case))
    search, log_p_BI = case.search("vocabulary"), case.log_probabilities("vocabulary")
    assert (log_p_BI.logsumexp(1) < 1e-4).all()
    found = search.search(case.prefix, Constraint(case.tensors, seen=seen, allowed=allowed), k, width)
    check(found, log_p_BI, permitted_BI, k)

    def constraint(rows: Tensor) -> Constraint:
        return Constraint(case.tensors, seen=seen.take(rows.numpy()), allowed=allowed)

    found = search.search_exact(case.prefix, constraint, k, width)
    assert found.exact_B.all()
    check(found, log_p_BI, permitted_BI, k)


@settings(deadline=None, max_examples=20)
@given(cases(), ks)
def test_a_beam_as_wide_as_the_trie_is_exact(case: Case, k: int) -> None:
    found = case.search().search(case.prefix, Constraint(case.tensors), k, case.trie.num_nodes)
    assert found.exact_B.all()
    check(found, case.log_probabilities(), everything(case), k)


@settings(deadline=None, max_examples=20)
@given(cases(), ks, widths)
def test_a_batch_equals_each_row_alone(case: Case, k: int, width: int) -> None:
    found = case.search().search(case.prefix, Constraint(case.tensors), k, width)
    for user in range(len(case.prefix.length_B)):
        prefix, length = case.prefix.take(torch.tensor([user])), int(case.prefix.length_B[user])
        alone = Prefix(
            prefix.tokens_BT[:, :length],
            prefix.nodes_BT[:, :length],
            prefix.positions_BT[:, :length],
            prefix.length_B,
            prefix.start_B,
        )
        own = case.search().search(alone, Constraint(case.tensors), k, width)
        torch.testing.assert_close(own.score_Bk[0], found.score_Bk[user], rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def hard() -> Case:
    """100 items of 5 binary choices and more, some with forced runs, 24 users: a beam of one goes wrong for many."""
    rng = np.random.default_rng(0)
    codes: set[Code] = set()
    while len(codes) < 100:
        choices = rng.integers(0, 2, rng.integers(5, 8))
        codes.add((*(token for choice in choices for token in ((0,), (1, 2, 1))[choice]), END))
    return make(sorted(codes), 0, num_users=24, node_vectors=True)


def test_the_certificate_tells_right_from_wrong(hard: Case) -> None:
    log_p_BI = hard.log_probabilities()
    found = hard.search().search(hard.prefix, Constraint(hard.tensors), k=1, width=1)
    check(found, log_p_BI, everything(hard), k=1)
    right_B = found.score_Bk[:, 0] >= log_p_BI.amax(1) - 1e-4
    assert not right_B.all()
    assert found.exact_B.any()
    assert not (found.exact_B & ~right_B).any()
    exact = hard.search().search_exact(hard.prefix, lambda rows: Constraint(hard.tensors), k=1, width=1)
    check(exact, log_p_BI, everything(hard), k=1)
    assert (exact.score_Bk[:, 0] >= log_p_BI.amax(1) - 1e-4).all()


def test_wider_beams_find_no_worse_and_certify_more(hard: Case) -> None:
    log_p_BI = hard.log_probabilities()
    shares = []
    for width in (5, 20, 80):
        found = hard.search().search(hard.prefix, Constraint(hard.tensors), k=5, width=width)
        check(found, log_p_BI, everything(hard), k=5)
        shares.append(float(found.exact_B.float().mean()))
    assert shares[0] < shares[1] <= shares[2] == 1


def test_the_search_starts_no_narrower_than_k(hard: Case) -> None:
    search, constraint = hard.search(), Constraint(hard.tensors)
    narrow, wide = (search.search(hard.prefix, constraint, k=10, width=width) for width in (1, 10))
    assert torch.equal(narrow.item_Bk, wide.item_Bk)
    exact = search.search_exact(hard.prefix, lambda rows: constraint, k=10, width=0)
    assert exact.exact_B.all()


@pytest.mark.parametrize("node_vectors", [False, True])
def test_a_root_wider_than_the_padded_groups(node_vectors: bool) -> None:
    """Titles mostly differ in their first token: 80 children at the root, some with titles that go on."""
    codes = [(first, second) for first in range(80) for second in range(1 + first % 3)]
    torch.manual_seed(1)
    trie = Trie.build(Codes.from_lists(codes))
    case = make([(0,)], 1, num_users=3)
    model = CompactBackbone(
        80, depth=1, width=32, dropout=0.0, num_nodes=trie.num_nodes * node_vectors
    ).eval()
    model.lm.model.embed_tokens.weight.data *= 10
    case = Case(model, trie, codes, replace(case.prefix, nodes_BT=torch.zeros_like(case.prefix.nodes_BT)))
    found = case.search().search(case.prefix, Constraint(case.tensors), k=10, width=20)
    check(found, case.log_probabilities(), everything(case), k=10)


@pytest.mark.parametrize("best_first", [True, False])
def test_filters_that_hide_the_best_of_a_wide_root(best_first: bool) -> None:
    """100 items alone below the root and 40 below shared tokens: one user has seen nearly all of the 100."""
    codes = [(token,) for token in range(100)] + [
        (100 + first, second) for first in range(20) for second in (0, 1)
    ]
    torch.manual_seed(1)
    trie = Trie.build(Codes.from_lists(codes))
    case = make([(0,)], 1, num_users=3)
    model = CompactBackbone(120, depth=1, width=32, dropout=0.0, num_nodes=trie.num_nodes).eval()
    model.lm.model.embed_tokens.weight.data *= 10
    case = Case(model, trie, codes, replace(case.prefix, nodes_BT=torch.zeros_like(case.prefix.nodes_BT)))
    seen = Histories.from_lists([list(range(99)), [], [3, 5, 120]])
    permitted_BI = everything(case)
    for user, items in enumerate(seen):
        permitted_BI[user, items.tolist()] = False
    search = case.search().search_best_first if best_first else case.search().search
    found = search(case.prefix, Constraint(case.tensors, seen=seen), 5, 30)
    check(found, case.log_probabilities(), permitted_BI, k=5)
    assert found.exact_B.all()


def test_a_proof_that_takes_too_many_beams_is_refused(hard: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genrec.decoding.beam._WIDEST", 5)
    monkeypatch.setattr("genrec.decoding.beam._MOST_STEPS", 0)
    with pytest.raises(ConfigError, match=r"of 24 lists could not be proved with 5 beams: .* without exact"):
        hard.search().search_exact(hard.prefix, lambda rows: Constraint(hard.tensors), k=5, width=2)


def test_nothing_allowed_gives_empty_lists(hard: Case) -> None:
    constraint = Constraint(hard.tensors, allowed=np.zeros(100, bool))
    found = hard.search().search(hard.prefix, constraint, k=3, width=5)
    assert (found.item_Bk == -1).all()
    assert found.exact_B.all()


def test_one_user_who_has_seen_everything_beside_others(hard: Case) -> None:
    seen = Histories.from_lists([list(range(100)), *([[5, 5]] * 23)])
    found = hard.search().search(hard.prefix, Constraint(hard.tensors, seen=seen), k=4, width=4)
    permitted_BI = everything(hard)
    permitted_BI[0], permitted_BI[1:, 5] = False, False
    check(found, hard.log_probabilities(), permitted_BI, k=4)


def test_the_answer_stands_at_its_position(hard: Case) -> None:
    """Items may be written at a fixed stride: the first token's place is not the history's length."""
    moved = replace(hard, prefix=replace(hard.prefix, start_B=hard.prefix.start_B + 20))
    scores = []
    for case in (hard, moved):
        found = case.search().search(case.prefix, Constraint(case.tensors), k=100, width=100)
        check(found, case.log_probabilities(), everything(case), k=100)
        scores.append(found.score_Bk)
    assert not torch.allclose(*scores, atol=1e-3)
