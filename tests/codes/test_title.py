"""Title codes: whatever the titles are, each item has a code of its own."""

from __future__ import annotations

import numpy as np
import pytest
from genrec.backbones.tokenizer import TrainedTokenizer
from genrec.codes.title import Length, shortest_lengths, title_codes, told_apart
from genrec.codes.trie import Codes, Trie
from genrec.errors import CatalogueError
from hypothesis import given
from hypothesis import strategies as st

END = [0]

AWKWARD = [
    "Heat",
    "Heat and Dust",
    "Heat",
    "Heat (2)",
    "Heat",
    "",
    "untitled",
    "",
    " ",
    "  ",
    "Amélie (Le fabuleux destin d'Amélie Poulain)",
    "千と千尋の神隠し",
    "千と千尋",
    "🎬🎬",
    "e\u0301",
    "é",
    "Good, the Bad, and the Ugly, The (1966)",
    ",,,",
    ",",
    "long " * 600,
    "long " * 600 + "er",
    "Heat\nand Dust",
    "Heat\n",
    "Heat<end>and Dust",
    "<end>",
    "<begin>",
]


def letters(texts: list[str]) -> list[list[int]]:
    """A tokenizer that writes each character by its number; token 0, the end, is in no text."""
    return [[ord(letter) for letter in text] for text in texts]


def spell(codes: Codes) -> list[str]:
    assert all(row[-1] == END[0] for row in codes)
    return ["".join(map(chr, row[:-1])) for row in codes]


titles = st.lists(st.text(st.sampled_from("ab (2)"), max_size=6), min_size=1, max_size=20)


@given(titles, st.sampled_from(["full", "shortest"]))
def test_every_item_has_a_code_of_its_own(titles: list[str], length: Length) -> None:
    codes = title_codes(titles, letters, END, length)
    trie = Trie.build(codes)  # refuses equal codes and codes that begin another
    assert trie.num_items == len(titles)


@given(titles)
def test_a_full_code_is_the_title_for_the_first_that_bears_it(titles: list[str]) -> None:
    names = spell(title_codes(titles, letters, END))
    taken: set[str] = set()
    for title, name in zip(titles, names, strict=True):
        title = title or "untitled"
        if title not in taken:
            assert name == title
        else:
            assert name.startswith(f"{title} (")
            assert int(name[len(title) + 2 : -1]) >= 2
        taken.add(name)


@given(titles)
def test_a_shortest_code_is_the_shortest_that_singles_out(titles: list[str]) -> None:
    full = spell(title_codes(titles, letters, END))
    short = spell(title_codes(titles, letters, END, "shortest"))
    for row, (name, kept) in enumerate(zip(full, short, strict=True)):
        others = full[:row] + full[row + 1 :]
        alone = [
            length
            for length in range(1, len(name) + 1)
            if not any(other.startswith(name[:length]) for other in others)
        ]
        assert kept == name[: alone[0] if alone else len(name)]


@given(titles, titles)
def test_items_added_at_the_end_leave_the_names_before_alone(old: list[str], new: list[str]) -> None:
    assert told_apart(old + new, letters)[: len(old)] == told_apart(old, letters)


@pytest.mark.parametrize(
    ("titles", "names"),
    [
        (["X", "X", "X"], ["X", "X (2)", "X (3)"]),
        (["X", "X (2)", "X"], ["X", "X (2)", "X (3)"]),
        (["X", "X", "X (2)"], ["X", "X (2)", "X (2) (2)"]),
        (["X (2)", "X", "X", "X (2)"], ["X (2)", "X", "X (3)", "X (2) (2)"]),
        (["", "untitled", ""], ["untitled", "untitled (2)", "untitled (3)"]),
    ],
)
def test_repeated_titles_get_running_numbers(titles: list[str], names: list[str]) -> None:
    assert spell(title_codes(titles, letters, END)) == names


@pytest.mark.parametrize("length", ["full", "shortest"])
def test_awkward_titles(length: Length) -> None:
    tokenizer = TrainedTokenizer.train(["Heat and Dust", "Amélie", "long longer"], 300)
    codes = title_codes(AWKWARD, tokenizer.encode, tokenizer.end, length)
    Trie.build(title_codes(AWKWARD, tokenizer.encode, tokenizer.end, length, always_close=False))
    trie = Trie.build(codes)
    assert trie.num_items == len(AWKWARD)
    assert all(np.count_nonzero(row == tokenizer.end[0]) == 1 for row in codes)  # only where it closes
    if length == "full":
        for row in (0, 1, 10, 11, 13, 16, 19, 20):
            assert tokenizer.decode(codes[row]).strip() == AWKWARD[row].strip()
        assert len(codes[19]) > 500


def test_an_end_inside_a_title_closes_nothing() -> None:
    line = [ord("\n")]
    codes = title_codes(["A", "A\nB", "AB"], letters, line)
    assert Trie.build(codes).num_items == 3
    assert ["".join(map(chr, row)) for row in codes] == ["A\n", "AB\n", "AB (2)\n"]


def test_titles_that_a_tokenizer_cannot_tell_apart_are_refused() -> None:
    def without_digits(texts: list[str]) -> list[list[int]]:
        return [[1 if letter in "0123456789" else ord(letter) for letter in text] for text in texts]

    with pytest.raises(CatalogueError, match=r"'Heat' \(item 2\) is repeated"):
        title_codes(["Heat", "Heat", "Heat"], without_digits, END)


def test_many_equal_titles_take_time_in_proportion() -> None:
    codes = title_codes(["same"] * 3000, letters, END)
    assert spell(codes)[-1] == "same (3000)"


def test_shortest_lengths() -> None:
    assert shortest_lengths([[1, 2, 3], [1, 2], [4, 4, 4], [1, 5, 6]]).tolist() == [3, 2, 1, 2]
    assert shortest_lengths([[7, 8, 9]]).tolist() == [1]


@given(titles, st.sampled_from(["full", "shortest"]))
def test_only_codes_that_begin_another_need_the_end(titles: list[str], length: Length) -> None:
    closed = title_codes(titles, letters, END, length)
    bare = title_codes(titles, letters, END, length, always_close=False)
    Trie.build(bare)
    written = [row[:-1].tolist() for row in closed]
    for row, kept in enumerate(bare):
        begins = any(
            other[: len(written[row])] == written[row] for other in written[:row] + written[row + 1 :]
        )
        assert kept.tolist() == (written[row] + END if begins else written[row])
