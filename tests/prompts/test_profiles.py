"""Profiles from attributes, against weights computed by hand and on real data."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import genrec
import numpy as np
import pytest
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories
from genrec.errors import ConfigError
from genrec.prompts.profiles import AttributeProfiles, Keyword, Profile, profile_text

TITLES = ["Nebula Nine", "Orbit", "Laughing Lake", "The Last Clown", "Dust and Stars", "Grey Harbour"]
GENRES = [
    ["Film", "Space"],
    ["Film", "Space", "War"],
    ["Film", "Comedy"],
    ["Film", "Comedy"],
    ["Film", "War"],
]
STUDIOS = ["Alba", "Alba", "Boreal", "unknown", None, "Lone &amp; Co"]


def films(**fields: object) -> Catalogue:
    return Catalogue.from_lists([f"f{row}" for row in range(6)], TITLES, **fields)


@pytest.fixture
def catalogue() -> Catalogue:
    return films(
        genres=[*GENRES, ["Film", "Comedy"]], studio=STUDIOS, year=[1990, 1991, 1992, 1993, 1994, 1995]
    )


def history(*rows: int) -> np.ndarray:
    return np.array(rows, np.int32)


def plain(profile: Profile) -> list[tuple[str, list[int]]]:
    return [(keyword.word, keyword.items.tolist()) for keyword in profile]


def test_keywords_weigh_recency_times_rarity(catalogue: Catalogue) -> None:
    # Six films. War and Space are on two (log 3), Comedy on three (log 2), Alba on two (log 3).
    # Half-life 1, so ages 0, 1, 2 weigh 1, 1/2, 1/4:
    #   Comedy (rows 3 and 2): (1/2 + 1/4) log 2 = .520; War (row 4): 1 log 3 = 1.099; a history of 2, 3, 4.
    profiles = AttributeProfiles(catalogue, half_life=1)
    assert plain(profiles.of(history(2, 3, 4))) == [("War", [4]), ("Comedy", [3, 2])]
    # 4, 2, 3: Comedy (1 + 1/2) log 2 = 1.040; War 1/4 log 3 = .275.
    assert plain(profiles.of(history(4, 2, 3))) == [("Comedy", [3, 2]), ("War", [4])]
    # 4, 2, 0: Space, and Alba which has the same films, log 3; Comedy 1/2 log 2 = .347; War 1/4 log 3 = .275.
    assert plain(profiles.of(history(4, 2, 0))) == [("Space", [0]), ("Comedy", [2]), ("War", [4])]


def test_the_half_life_decides_how_much_the_past_counts(catalogue: Catalogue) -> None:
    rows = history(2, 3, 5, 4)  # Comedy: three older films; War: the newest
    assert plain(AttributeProfiles(catalogue, half_life=0.5).of(rows))[0] == ("War", [4])
    assert plain(AttributeProfiles(catalogue, half_life=50).of(rows))[0] == ("Comedy", [5, 3, 2])


def test_items_match_a_taste_by_the_weights_of_their_attributes(catalogue: Catalogue) -> None:
    profiles = AttributeProfiles(catalogue)
    rows, items = history(2, 4, 2), np.arange(6)
    rarity = dict(zip(profiles.words, profiles._rarity, strict=True))
    held = [{profiles.words[one] for one in profiles._of_item(row)} for row in range(6)]
    recency = {2: 1.0, 4: 0.5}
    expected = [
        sum(rarity[word] * sum(recency[row] for row in (2, 4) if word in held[row]) for word in held[item])
        for item in range(6)
    ]
    found = profiles.matches(rows, items, half_life=1)
    np.testing.assert_allclose(found, expected)
    assert len(set(found.tolist())) > 2
    assert not profiles.matches(history(), items).any()


def test_a_repeated_item_supports_once_with_the_age_of_its_last_time(catalogue: Catalogue) -> None:
    profiles = AttributeProfiles(catalogue, half_life=1)
    assert plain(profiles.of(history(4, 2, 4, 4))) == [("War", [4]), ("Comedy", [2])]
    # Counted each time, Comedy would weigh about 4 log 2 = 2.77; counted once, log 2 against War's log 3.
    patient = AttributeProfiles(catalogue, half_life=50)
    assert plain(patient.of(history(2, 2, 2, 2, 4))) == [("War", [4]), ("Comedy", [2])]


def test_what_all_or_only_one_has_and_placeholders_are_no_keywords(catalogue: Catalogue) -> None:
    words = {word for row in range(6) for word, _ in plain(AttributeProfiles(catalogue, 9).of(history(row)))}
    assert words == {
        "Space",
        "War",
        "Comedy",
    }  # not Film (all), not Boreal and Lone (one each), not "unknown"


def test_an_implied_keyword_needs_further_support() -> None:
    # All irons are for hair; not all that is for hair is an iron.
    catalogue = films(
        categories=[["Hair", "Irons"], ["Hair", "Irons"], ["Hair"], ["Skin"], ["Skin"], ["Nails"]]
    )
    profiles = AttributeProfiles(catalogue)
    assert plain(profiles.of(history(0))) == [("Irons", [0])]
    assert plain(profiles.of(history(1, 0))) == [("Irons", [0, 1])]
    assert plain(profiles.of(history(2, 0))) == [("Hair", [0, 2]), ("Irons", [0])]
    assert plain(profiles.of(history(2))) == [("Hair", [2])]


def test_at_most_so_many_keywords_the_heaviest(catalogue: Catalogue) -> None:
    rows = history(4, 2, 0)
    every = plain(AttributeProfiles(catalogue, 9, half_life=1).of(rows))
    assert plain(AttributeProfiles(catalogue, 2, half_life=1).of(rows)) == every[:2]


def test_strings_with_bars_are_parted_and_spellings_join() -> None:
    catalogue = films(
        tags=["space|War", "SPACE", "war | space", "calm", "calm", None],
        maker=["A&amp;B", "A&B", "calm", "x" * 41, "x" * 41, ""],
    )
    profiles = AttributeProfiles(catalogue, 9)
    assert plain(profiles.of(history(2))) == [("War", [2]), ("calm", [2])]
    assert plain(profiles.of(history(0, 1))) == [("A&B", [1, 0]), ("War", [0])]
    assert ("space", [2, 1]) in plain(profiles.of(history(1, 2)))
    assert plain(profiles.of(history(3))) == [("calm", [3])]  # running text is no keyword


def test_the_fields_can_be_chosen(catalogue: Catalogue) -> None:
    assert AttributeProfiles(catalogue).fields == ["genres", "studio"]
    assert plain(AttributeProfiles(catalogue, fields=["studio"]).of(history(0, 4))) == [("Alba", [0])]
    with pytest.raises(ConfigError, match=r"no field 'year' with words .* genres, studio"):
        AttributeProfiles(catalogue, fields=["year"])


@pytest.mark.parametrize("options", [{"num_keywords": 0}, {"half_life": 0.0}, {"half_life": float("nan")}])
def test_numbers_that_make_no_sense_are_refused(catalogue: Catalogue, options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="have to be positive"):
        AttributeProfiles(catalogue, **options)


@pytest.mark.parametrize("fields", [{}, {"year": [1, 2, 3, 4, 5, 6]}, {"genres": [["Film"]] * 6}])
def test_a_catalogue_that_tells_nothing_gives_empty_profiles(fields: dict[str, object]) -> None:
    profiles = AttributeProfiles(films(**fields))
    assert not profiles.has_attributes
    assert profiles.of(history(0, 1)) == ()


def test_an_empty_history_has_an_empty_profile(catalogue: Catalogue) -> None:
    profiles = AttributeProfiles(catalogue)
    assert profiles.has_attributes
    found = profiles.of_all(Histories.from_lists([[], [4]]))
    assert list(map(plain, found)) == [[], [("War", [4])]]


def test_the_text_names_keywords_with_their_newest_titles() -> None:
    profile = (Keyword("Comedy", history(5, 3, 2)), Keyword("War", history(4)))
    assert profile_text(profile, TITLES) == (
        "Tastes, strongest first, and what shows them:\nComedy: Grey Harbour; The Last Clown\nWar: Dust and Stars"
    )
    assert profile_text(profile, TITLES, num_titles=0) == "Tastes, strongest first: Comedy, War"
    assert profile_text((), TITLES) == ""


def test_long_titles_are_cut_in_the_text() -> None:
    text = profile_text((Keyword("Hair", history(0)),), ["lotion  \n" * 30])
    line = text.splitlines()[1].removeprefix("Hair: ")
    assert len(line) <= 80
    assert line.endswith("…")
    assert line.startswith("lotion lotion")


@pytest.mark.parametrize(("name", "lift"), [("ml-100k", 1.8), ("amazon2014_beauty", 8)])
def test_real_tastes_foretell_the_next_item(
    shared_data: Callable[[str], Path], name: str, lift: float
) -> None:
    """The next item has the first keyword far more often than an item drawn at random."""
    asked = genrec.read(shared_data(name)).validation
    histories = Histories.from_lists([rows[-20:] for rows in asked.histories])
    profiles = AttributeProfiles(asked.catalogue)
    before = time.process_time()
    found = profiles.of_all(histories)
    assert time.process_time() - before < 5
    assert all(1 <= len(profile) <= 4 for profile in found)
    first = {profile[0].word for profile in found}
    has = {
        word: asked.catalogue.where(field, word)
        for field in profiles.fields
        for word in first & set(asked.catalogue.table[field].explode().drop_nulls())
    }
    pairs = [
        (has[profile[0].word], item)
        for profile, item in zip(found, asked.items, strict=True)
        if profile[0].word in has
    ]
    assert len(pairs) > 0.9 * len(found)
    assert np.mean([mask[item] for mask, item in pairs]) > lift * np.mean([mask.mean() for mask, _ in pairs])
    for rows, profile in zip(histories, found, strict=True):
        assert all(set(keyword.items.tolist()) <= set(rows.tolist()) for keyword in profile)
