"""Users on a page: chosen by what happened, told so, and drawn on one scale."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from genrec.evaluation.outcomes import Outcome
from genrec.pages.users import (
    Nobody,
    ShownItem,
    ShownUser,
    place_of,
    user_card,
    users_section,
    what_happened,
)

USER = ShownUser(
    "User 7",
    [f"Film {place}" for place in range(20)],
    {
        "genrec": [ShownItem("Heat & <Dust>", 0.25), ShownItem("Alien", 0.00004)],
        "popular": [ShownItem("Alien")],
    },
    taken=["Alien"],
)
ATTACK = "<script>alert('x')</script>"


def test_what_a_list_is_made_from_is_folded_under_the_history() -> None:
    background = {"palr: profile": ["<War>: Heat"], "palr: candidates": [], "other": ["Alien"]}
    card = user_card(replace(USER, background=background))
    assert "<details><summary>palr: profile</summary><ol><li>&lt;War&gt;: Heat</li></ol></details>" in card
    assert "palr: candidates" not in card
    assert card.count("<details>") == 2
    assert "<details>" not in user_card(USER)


def test_all_of_an_order_is_marked() -> None:
    card = user_card(replace(USER, taken=["Alien", "Heat & <Dust>", "Orbit"]))
    assert card.count('class="next"') == 3
    assert card.count('class="hit"') == 3
    assert user_card(USER).count('class="hit"') == 2


def test_what_speaks_for_an_item_stands_below_it() -> None:
    assert "speaks for it" not in users_section("genrec", [USER])
    lists = {"genrec": [ShownItem("Alien", 0.2, "Film <3>"), ShownItem("Heat", 0.1)]}
    page = users_section("genrec", [replace(USER, lists=lists)])
    assert page.count('class="because"') == 1
    assert "because of Film &lt;3&gt;</span></li>" in page
    assert "what of the history speaks for it most" in page


@pytest.mark.parametrize(
    ("outcome", "rank", "expected"),
    [
        (
            Outcome("hit", 740, 3),
            2,
            "genrec put what they took next at rank 2: a hit, as for 740 of 1,000 users.",
        ),
        (
            Outcome("near miss", 51, 3),
            14,
            "genrec put what they took next at rank 14, just behind the first 10: a near miss, as for 51 of 1,000 "
            "users.",
        ),
        (
            Outcome("miss", 209, 3),
            0,
            "genrec does not have what they took next among its first 20: a miss, as for 209 of 1,000 users.",
        ),
        (Outcome("near miss", 0, None), 0, "No near miss: of 1,000 users nobody's item has rank 11 to 20."),
    ],
)
def test_what_happened_is_a_sentence(outcome: Outcome, rank: int, expected: str) -> None:
    assert what_happened("genrec", outcome, 1000, rank) == expected


def test_of_an_order_an_item_is_found() -> None:
    told = what_happened("genrec", Outcome("hit", 7, 3), 9, 2, of_order=True)
    assert told == "genrec put an item of their next order at rank 2: a hit, as for 7 of 9 users."
    told = what_happened("genrec", Outcome("miss", 2, 3), 9, 0, of_order=True)
    assert told == "genrec has no item of their next order among its first 20: a miss, as for 2 of 9 users."


def test_the_section_says_how_they_were_chosen_and_keeps_the_place_of_nobody() -> None:
    near = Nobody("near miss", f"No near miss {ATTACK}.")
    page = users_section("genrec", [replace(USER, outcome="hit", told="Found."), near])
    assert "chosen by what happened" in page
    assert "at rank 11 to 20" in page
    assert "the user in the middle, by rank and then by length of history" in page
    assert re.findall(r'class="outcome ([a-z-]+)">([^<]+)<', page) == [
        ("hit", "Hit"),
        ("near-miss", "Near miss"),
    ]
    assert "No near miss &lt;script&gt;" in page
    assert users_section("genrec", []) == ""


def test_the_others_are_folded_and_the_summary_says_where_they_have_it() -> None:
    places = {"genrec": place_of(2), "popular": place_of(14), "<itemknn>": place_of(0)}
    lists = {**USER.lists, "<itemknn>": [ShownItem("Heat")]}
    card = user_card(replace(USER, outcome="hit", lists=lists, places=places))
    shown, folded = card.split("<details>")
    assert re.findall("<h4>(.*?)</h4>", shown) == ["genrec"]
    assert re.findall("<h4>(.*?)</h4>", folded) == ["popular", "&lt;itemknn&gt;"]
    assert "popular rank 14; &lt;itemknn&gt; not among the first 20</summary>" in folded


def test_a_near_miss_stands_at_its_rank_behind_a_gap() -> None:
    items = [ShownItem("A", 0.4, None, 1), ShownItem("B", 0.2, None, 2), ShownItem("Alien", 0.1, None, 14)]
    card = user_card(replace(USER, lists={"genrec": items}))
    assert re.findall(r"<span>(\d+)</span>", card) == ["1", "2", "14"]
    assert card.count('class="gap"') == 1
    assert '<li class="hit"><span>14</span>' in card


def test_bars_share_one_scale_that_the_page_tells() -> None:
    other = replace(USER, lists={"genrec": [ShownItem("Heat", 0.34), ShownItem("Alien", 0.05)]})
    page = users_section("genrec", [USER, other])
    (end,) = re.findall(r"run from 0 to ([\d.]+)%, in all lists alike", page)
    assert float(end) == 40
    widths = [float(width) for width in re.findall(r'class="thin"><i style="width:([\d.]+)%', page)]
    assert widths == pytest.approx([62.5, 0, 85, 12.5])
    assert "run from 0" not in users_section("x", [replace(USER, lists={"x": [ShownItem("Heat")]})])


def test_probabilities_are_told() -> None:
    card = user_card(USER)
    assert "<span>25.00%</span>" in card
    assert "<span>&lt; 0.01%</span>" in card
    assert card.count('class="thin"') == 2  # popular gives no probabilities


def test_names_are_escaped() -> None:
    user = ShownUser(
        ATTACK, [ATTACK], {ATTACK: [ShownItem(ATTACK, 0.5, ATTACK)]}, [ATTACK], {}, "hit", ATTACK
    )
    page = users_section(ATTACK, [replace(user, places={ATTACK: ATTACK, f"{ATTACK}2": ATTACK})])
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 10
