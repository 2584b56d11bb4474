"""Collaborative codes: those of scikit-learn's clusters, unique whatever the graph, and blind to held-out items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import genrec
import numpy as np
import pytest
from genrec.codes.collaborative import WordCodes, collaborative_codes
from genrec.codes.trie import Trie
from genrec.data.interactions import Histories
from genrec.errors import ConfigError
from hypothesis import given, settings
from hypothesis import strategies as st

history_lists = st.lists(st.lists(st.integers(0, 39), max_size=8), max_size=12)


def check(coded: WordCodes, train: Histories, num_items: int, largest_leaf: int) -> None:
    """Every code is unique, no code begins another, and words are what the paper says they are."""
    assert len(coded.codes) == num_items
    assert Trie.build(coded.codes).num_items == num_items
    spelt = [coded.spelt(item).split() for item in range(num_items)]
    assert all(code[-1].startswith("<i") for code in spelt)
    assert all(word.startswith("<c") for code in spelt for word in code[:-1])
    assert {word for code in spelt for word in code} == set(coded.words)
    assert sum(word.startswith("<c") for word in coded.words) <= largest_leaf
    leaves = defaultdict(list)
    for item in np.unique(train.items).tolist():
        leaves["".join(spelt[item][:-1])].append(spelt[item][-1])
    for words in leaves.values():
        assert sorted(words) == sorted(f"<i{place}>" for place in range(len(words)))
        assert len(words) <= largest_leaf
    for item in np.setdiff1d(np.arange(num_items), train.items).tolist():
        assert len(spelt[item]) == 1


def blocks(num_blocks: int, size: int, num_users: int = 300, seed: int = 0) -> Histories:
    """Users who each take five items of one block, and now and then one of another; row = block * size + place."""
    random = np.random.default_rng(seed)
    return Histories.from_lists(
        [
            [
                *(random.integers(num_blocks) * size + random.permutation(size)[:5]),
                *random.integers(0, num_blocks * size, size=int(random.random() < 0.1)),
            ]
            for _ in range(num_users)
        ]
    )


def test_what_is_taken_together_begins_alike() -> None:
    train = blocks(4, 12)
    coded = collaborative_codes(train, 48, num_clusters=4, largest_leaf=15)
    check(coded, train, 48, 15)
    first = [coded.spelt(item).split()[0] for item in range(48)]
    assert len(set(first)) == 4
    for start in range(0, 48, 12):
        assert len(set(first[start : start + 12])) == 1


def test_groups_are_cut_until_they_are_small_level_by_level() -> None:
    train = blocks(9, 8, num_users=600)
    coded = collaborative_codes(train, 72, num_clusters=3, largest_leaf=10)
    check(coded, train, 72, 10)
    assert coded.codes.lengths.min() >= 3
    paths = [coded.spelt(item).split() for item in range(72)]
    assert {path[0] for path in paths} == {"<c0>", "<c1>", "<c2>"}
    # Counted on over the second level, and begun anew after as many words as a leaf has items.
    second = {(path[0], path[1]) for path in paths}
    assert {word for _, word in second} == {f"<c{place % 10}>" for place in range(3, 3 + len(second))}
    assert {word for word in coded.words if word[1] == "c"} <= {f"<c{place}>" for place in range(10)}


@pytest.mark.parametrize("seed", range(3))
def test_the_clusters_are_those_of_scikit_learn_on_how_many_users_took_both(seed: int) -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    train = blocks(6, 20, seed=seed)
    graph = np.zeros((120, 120))
    for history in train:
        for item in set(history.tolist()):  # an item that a user took twice counts once
            graph[item, [other for other in set(history.tolist()) if other != item]] += 1
    model = cluster.SpectralClustering(6, affinity="precomputed", assign_labels="cluster_qr", random_state=0)
    theirs = model.fit_predict(graph)
    coded = collaborative_codes(train, 120, num_clusters=6, largest_leaf=119)
    ours = [coded.spelt(item).split()[0] for item in range(120)]
    assert len(set(ours)) == len(set(theirs)) == 6
    assert len(set(zip(ours, theirs, strict=True))) == 6, "the same parts, whatever their numbers"


@settings(max_examples=60, deadline=None)
@given(history_lists, st.integers(2, 4), st.integers(0, 3), st.integers(0, 3))
def test_any_histories_give_codes_that_tell_all_items_apart(
    lists: list[list[int]], num_clusters: int, more: int, seed: int
) -> None:
    train = Histories.from_lists(lists)
    check(
        collaborative_codes(train, 40, num_clusters, num_clusters + more, seed),
        train,
        40,
        num_clusters + more,
    )


@pytest.mark.parametrize(
    "lists",
    [
        [[item] for item in range(60)],
        [list(range(60))],
        [[item, item ^ 1] for item in range(60)],
        [[0, item] for item in range(1, 60)],
        [[item, item + 1] for item in range(59)],
    ],
    ids=["no edges", "all with all", "pairs", "a star", "a chain"],
)
def test_a_graph_that_cannot_be_cut_is_coded_all_the_same(lists: list[list[int]]) -> None:
    train = Histories.from_lists(lists)
    coded = collaborative_codes(train, 60, num_clusters=3, largest_leaf=4)
    check(coded, train, 60, 4)
    assert coded.codes.lengths.max() <= 20


def test_few_items_are_one_leaf_with_the_unseen_behind() -> None:
    coded = collaborative_codes(Histories.from_lists([[3, 1], [1, 0]]), 6)
    assert {coded.spelt(item) for item in (0, 1, 3)} == {"<i0>", "<i1>", "<i2>"}
    assert {coded.spelt(item) for item in (2, 4, 5)} == {"<i3>", "<i4>", "<i5>"}
    assert len(collaborative_codes(Histories.from_lists([]), 0).codes) == 0


def test_the_same_seed_gives_the_same_codes() -> None:
    train = blocks(4, 12)
    one, two, other = (collaborative_codes(train, 50, 4, 10, seed) for seed in (1, 1, 2))
    assert one.words == two.words
    assert np.array_equal(one.codes.items, two.codes.items)
    assert not np.array_equal(one.codes.items, other.codes.items)


def test_an_item_that_a_user_takes_again_counts_once() -> None:
    train = blocks(4, 12)
    again = Histories.from_lists([[*history, *history[:2], *history] for history in train])
    assert np.array_equal(
        collaborative_codes(train, 48, 4, 15).codes.items, collaborative_codes(again, 48, 4, 15).codes.items
    )


def test_the_order_of_the_catalogue_shows_nowhere() -> None:
    """Rows may follow the test items; words of neighbours must not. With no edges there is nothing but the order."""
    coded = collaborative_codes(Histories.from_lists([[item] for item in range(400)]), 800, 4, 200)
    last = np.array([int(coded.spelt(item).split()[-1][2:-1]) for item in range(800)])
    for part in (last[:400], last[400:]):
        assert abs(np.corrcoef(np.arange(400), part)[0, 1]) < 0.2
        assert (np.diff(part) == 1).mean() < 0.03


@pytest.mark.parametrize(("num_clusters", "largest_leaf"), [(1, 5), (0, 5), (6, 5)])
def test_clusters_that_cut_nothing_or_are_too_many_are_refused(num_clusters: int, largest_leaf: int) -> None:
    with pytest.raises(ConfigError, match=f"num_clusters is {num_clusters} with largest_leaf={largest_leaf}"):
        collaborative_codes(blocks(2, 6), 12, num_clusters, largest_leaf)


def test_beauty_takes_seconds(shared_data: Callable[[str], Path]) -> None:
    data = genrec.read(shared_data("amazon2014_beauty"))
    coded = collaborative_codes(data.train.histories, len(data.catalogue))
    check(coded, data.train.histories, len(data.catalogue), 500)
    assert coded.codes.lengths.mean() < 4
