"""The comparison page: what it says, and how a browser shows it."""

from __future__ import annotations

import re
from html import escape, unescape
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from genrec.data.interactions import Histories, Targets
from genrec.data.ranking import Rankings
from genrec.evaluation.comparison import Analysis, Group, analyse
from genrec.pages.comparison import Origin, write_comparison
from genrec.pages.style import STYLE
from genrec.testing import toys
from PIL import Image

from browser import browser, looked_at, needs_chromium

NUM_USERS, NUM_ITEMS = 150, 80
ATTACK = "<script>alert(1)</script>"
NAMES = ["sasrec", "genrec depth=2 objective=catalogue", ATTACK, "itemknn", "popular", "theirs"]
SECTIONS = [
    "What they find",
    "Which differences hold",
    "For whom",
    "What they show",
    "How alike they are",
    "How they learnt",
    "What they cost",
    "Some users",
    "Where the numbers come from",
    "What to do next",
]
ABOUT = {
    "data": "films",
    "synthetic": False,
    "num_users": 160,
    "num_items": NUM_ITEMS,
    "num_interactions": 12345,
    "fingerprint": "5eed" * 16,
    "protocol": "leave-one-out",
    "split": "test",
    "num_targets": NUM_USERS,
    "trained_on": "training part",
    "floor": None,
    "genrec": "1.2.3",
    "commit": "0123456789abcdef",
    "time": "2026-01-02T03:04:05+00:00",
    "command": "genrec compare runs/a runs/b --out page.html",
}


def questions() -> Targets:
    generator = np.random.default_rng(0)
    titles = [f"A film with quite a long title, number {item}" for item in range(NUM_ITEMS)]
    titles[1], titles[7] = titles[0], ATTACK
    lists = [generator.choice(40, generator.integers(3, 20), replace=False) for _ in range(NUM_USERS)]
    return toys.targets(lists, generator.integers(40, NUM_ITEMS, NUM_USERS), titles)


def lists(targets: Targets, quality: float, draw: int) -> Rankings:
    """Random lists that hold the target with the probability `quality`."""
    generator = np.random.default_rng(draw)
    items = np.stack([40 + generator.permutation(40)[:21] for _ in range(NUM_USERS)]).astype(np.int32)
    for user, target in enumerate(targets.items):
        items[user][items[user] == target] = np.setdiff1d(np.arange(40), targets.histories[user])[0]
        if generator.random() < quality:
            items[user, generator.integers(0, 10)] = target
    return Rankings(items, np.tile(-np.arange(21.0), (NUM_USERS, 1)), np.zeros(NUM_USERS, bool))


@pytest.fixture(scope="module")
def targets() -> Targets:
    return questions()


@pytest.fixture(scope="module")
def analysis(targets: Targets) -> Analysis:
    groups = [
        Group(
            name,
            seeds,
            tuple(lists(targets, 0.7 - 0.11 * place, 10 * place + draw) for draw in range(len(seeds))),
        )
        for place, (name, seeds) in enumerate(
            zip(NAMES, [(0, 1, 2), (0, 1), (0,), (None,), (None,), (None,)], strict=True)
        )
    ]
    train = Histories(np.concatenate([targets.histories.items, targets.items[:60]]), np.array([0, 60]))
    return analyse(groups, targets, train)


def origins(analysis: Analysis) -> list[Origin]:
    found = [
        Origin(
            group.name,
            f"runs/{place}-{seed}",
            seed,
            "fedcba9876543210",
            {"depth": 2},
            {"seconds": 600.0 * (place + 1), "peak_memory_mb": 1234.0},
            {"seconds": 2.0, "users_per_s": 75.0 * 10**place, "peak_memory_mb": 900.0},
            [(100.0, 0.05), (200.0, 0.11), (300.0, 0.1)] if seed is not None else (),
        )
        for place, group in enumerate(analysis.groups)
        for seed in group.seeds
    ]
    return [Origin("theirs", "theirs.parquet") if origin.name == "theirs" else origin for origin in found]


@pytest.fixture(scope="module")
def page(analysis: Analysis, targets: Targets, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("comparison") / "new" / "page.html"
    steps = [("Look for leaks", ["genrec audit runs/a"])]
    return write_comparison(path, analysis, targets, origins(analysis), ABOUT, steps)


def text_of(source: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", source, flags=re.DOTALL)))


def test_everything_is_told(page: Path, analysis: Analysis) -> None:
    source = page.read_text(encoding="utf-8")
    text = text_of(source)
    assert re.findall(r"<h2>(.*?)</h2>", source) == SECTIONS
    found, hit = analysis.comparisons, analysis.metrics.index("HR@10")
    assert f"{analysis.names[0]} finds the item that a user took next" in text
    assert f"for {found.means_GM[0, hit]:.1%} of 150 users" in text
    for value in found.means_GM.ravel():
        assert f"{value:.4f}" in text
    for own in analysis.concentration:
        assert f"{own.coverage:.1%}" in text
        assert f"{own.gini:.4f}" in text
    for told in (
        *ABOUT["fingerprint"].split(),
        ABOUT["command"],
        "genrec 1.2.3",
        "2026-01-02",
        "fedcba9876",
        "depth=2",
    ):
        assert told in text
    assert f"{analysis.num_cold} of 150 users" in text


def test_recommenders_have_the_same_number_everywhere(page: Path, analysis: Analysis) -> None:
    source = page.read_text(encoding="utf-8")
    for place, name in enumerate(analysis.names):
        chips = re.findall(
            r'<span class="chip (c\d+)">(\d+)</span>(?: <span class="name">)? ?' + re.escape(escape(name)),
            source,
        )
        assert len(chips) >= 10
        assert set(chips) == {(f"c{place + 1}", str(place + 1))}


def test_matrix_marks_what_holds_and_nothing_else(page: Path, analysis: Analysis) -> None:
    source = page.read_text(encoding="utf-8")
    card = source[source.index("Differences of NDCG@10") : source.index("Differences of HR@10")]
    cells = re.findall(r'<td class="(up|down|unsure|self)"[^>]*>([^<]*)<', card)
    size, at = len(analysis.names), analysis.metrics.index("NDCG@10")
    assert len(cells) == size * size
    expected = {}
    for place, cell in enumerate(cells):
        first, second = divmod(place, size)
        difference = analysis.comparisons.difference_GGM[first, second, at]
        if first == second:
            expected[first, second] = ("self", "–")
        elif analysis.comparisons.significant(first, second, at):
            look, sign = ("up", "▲") if difference > 0 else ("down", "▼")
            expected[first, second] = (look, f"{sign} {difference:+.4f}")
        else:
            expected[first, second] = ("unsure", f"{difference:+.4f}")
        assert cell == expected[first, second]
    assert {"up", "down", "unsure"} <= {look for look, _ in cells}
    pairs = re.findall(r'<li class="(\w+)".*?>(\d+)</span>.*? minus .*?>(\d+)</span>.*?<b>([^<]*)<', card)
    assert [(int(one) - 1, int(two) - 1) for _, one, two, _ in pairs] == list(combinations(range(size), 2))
    for look, one, two, text in pairs:
        assert (look, text) == expected[int(one) - 1, int(two) - 1]


def test_the_verdict_names_everybody_once(page: Path, analysis: Analysis) -> None:
    header = text_of(page.read_text(encoding="utf-8").split("<header>")[1].split("</header>")[0])
    gain = analysis.metrics.index("NDCG@10")
    assert f"By the paired test on NDCG@10, {analysis.names[0]} is better than " in header
    for place, name in enumerate(analysis.names[1:], start=1):
        verdict = analysis.comparisons.verdict(0, place, gain)
        ends = f"{verdict.low:+.4f} to {verdict.high:+.4f}"
        line = f"{verdict.words} {name}: NDCG@10 {verdict.difference:+.4f}, 95% interval {ends}"
        assert header.count(line) == 1
    assert "corrected (Holm) for 15 pairs" in header


def test_users_show_history_lists_and_where_the_target_is(
    page: Path, analysis: Analysis, targets: Targets
) -> None:
    source = page.read_text(encoding="utf-8")
    cards = source.split('<article class="card user one">')[1:]
    assert len(cards) == len(analysis.examples)
    for card, example in zip(cards, analysis.examples, strict=True):
        assert f"User {targets.users[example.row]}:" in card
        target, groups = targets.items[example.row], analysis.groups
        shown = [target in group.rankings[0].items_BK[example.row, :20] for group in groups]
        assert card.count('<li class="hit">') == sum(shown)
        assert card.count("not among the first 20</h4>") == len(groups) - sum(shown)
        for place in example.found_by:
            items = analysis.groups[place].rankings[0].items_BK[example.row].tolist()
            where = items.index(targets.items[example.row]) + 1
            assert f"{escape(analysis.names[place])}: place {where}<" in card


def test_headings_leave_no_level_out(page: Path) -> None:
    levels = [int(level) for level in re.findall(r"<h(\d)>", page.read_text(encoding="utf-8"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_nothing_is_run_or_fetched(page: Path) -> None:
    source = page.read_text(encoding="utf-8")
    assert not re.search(r"<script|<link|<img|<iframe|https?:|url\(|@import|\bsrc=|\bhref=|\son\w+=", source)
    assert escape(ATTACK) in source


def test_synthetic_data_are_called_so_loudly(analysis: Analysis, targets: Targets, tmp_path: Path) -> None:
    path = write_comparison(
        tmp_path / "page.html", analysis, targets, origins(analysis), ABOUT | {"synthetic": True}
    )
    source = path.read_text(encoding="utf-8")
    assert source.index('class="warning"') < source.index("<h1>")
    assert "films (synthetic data)</title>" in source
    assert source.count("SYNTHETIC") == 1  # beside the data's name


def test_a_chance_leader_is_not_called_ahead(targets: Targets, tmp_path: Path) -> None:
    close = [
        Group(name, (None,), (lists(targets, 0.4, draw),)) for draw, name in enumerate(("left", "right"))
    ]
    found = analyse(close, targets, targets.histories)
    path = write_comparison(
        tmp_path / "page.html", found, targets, [Origin("left", "l"), Origin("right", "r")], ABOUT
    )
    text = text_of(path.read_text(encoding="utf-8"))
    assert f"{found.names[0]} is not told apart from {found.names[1]}." in text
    assert "better than" not in text.split("What they find")[0]
    assert "How they learnt" not in text  # files keep no log


def test_the_floor_names_whom_it_beats(analysis: Analysis, targets: Targets, tmp_path: Path) -> None:
    ndcg = analysis.comparisons.means_GM[:, analysis.metrics.index("NDCG@10")]
    between = float(ndcg[-2:].mean())
    floor = {"recommender": "transitions", "options": {}, "HR@10": 0.5, "NDCG@10": between}
    page = write_comparison(
        tmp_path / "page.html", analysis, targets, origins(analysis), ABOUT | {"floor": floor}
    )
    lead = page.read_text().split("<header>")[1].split("</header>")[0]
    assert f"NDCG@10 {between:.4f}: by NDCG@10 <b>{escape(analysis.names[-1])}</b> is below it." in lead


def test_strange_lists_are_told(targets: Targets, tmp_path: Path) -> None:
    strange = lists(targets, 0.5, 0)
    strange.items_BK[:, 20] = NUM_ITEMS + 3
    strange.items_BK[0] = -1
    groups = [Group("odd", (None,), (strange,)), Group("fine", (None,), (lists(targets, 0.2, 1),))]
    found = analyse(groups, targets, targets.histories)
    path = write_comparison(
        tmp_path / "page.html", found, targets, [Origin("odd", "o"), Origin("fine", "f")], ABOUT
    )
    shows = path.read_text(encoding="utf-8").split("<h2>What they show</h2>")[1]
    (notes,) = re.findall(r'<ul class="notes">.*?</ul>', shows)
    text = text_of(notes)
    assert "odd : 4.8% of the entries are not in the catalogue" in text
    assert "odd : empty lists, which count as misses: 1" in text
    assert "fine" not in text


def colours(scheme: str) -> dict[str, str]:
    block = (
        STYLE[STYLE.index("@media (prefers") :]
        if scheme == "dark"
        else STYLE[: STYLE.index("@media (prefers")]
    )
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(colour: str, other: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    light, dark = sorted(
        (float(linear(one) @ [0.2126, 0.7152, 0.0722]) + 0.05 for one in (colour, other)), reverse=True
    )
    return light / dark


def perceived(rgb: np.ndarray) -> np.ndarray:
    """Oklab, https://bottosson.github.io/posts/oklab/."""
    lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.asarray(lab @ np.cbrt(lms @ np.clip(rgb, 0, 1)))


# How full colour blindness to red and to green sees linear RGB: Machado et al. 2009, 10.1109/TVCG.2009.113
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_of_recommenders_carry_their_number_and_stand_out(scheme: str) -> None:
    palette = colours(scheme)
    for number in range(1, 11):
        assert contrast(palette[f"c{number}"], palette["on-colour"]) >= 4.5
        assert contrast(palette[f"c{number}"], palette["card"]) >= 3
    for ground in ("card", "paper"):
        for ink in ("ink", "soft"):
            assert contrast(palette[ink], palette[ground]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("blindness", list(BLINDNESS))
def test_colours_can_be_told_apart_by_everybody(scheme: str, blindness: str) -> None:
    palette = colours(scheme)
    seen = [
        perceived(np.asarray(BLINDNESS[blindness]) @ linear(palette[f"c{number}"])) for number in range(1, 11)
    ]
    for (one, first), (other, second) in combinations(enumerate(seen), 2):
        assert np.linalg.norm(first - second) > (0.1 if other < 5 else 0.07), (one + 1, other + 1)


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_in_a_window_and_on_a_phone(page: Path, tmp_path: Path, scheme: str) -> None:
    for found, width in zip(looked_at(page, tmp_path, scheme), (1200, 360), strict=True):
        assert found["width"] == width
        assert found["scroll"] <= width
        assert found["outside"] == []
        assert found["faint"] == []
        assert found["dark"] == (scheme == "dark")
        assert found["resources"] == 0
        assert found["headings"] == SECTIONS
        assert found["smallest"] >= 9
        assert found["squares"] == (0 if width == 360 else 4)
        assert found["pairs"] == (4 if width == 360 else 0)
        assert found["sideways"] == []
        assert found["unreached"] == []
        assert found["axes"] == 7  # every panel of bars has one
        assert found["broken"] == []  # whose labels stand on one line, in the card
        assert len(found["drawings"]) >= 5
        assert all(role == "img" and length > 40 for role, length in found["drawings"])


@needs_chromium
def test_light_and_dark_are_painted(page: Path, tmp_path: Path) -> None:
    for scheme in ("light", "dark"):
        picture = tmp_path / f"{scheme}.png"
        browser(tmp_path, scheme, "--window-size=1200,1500", f"--screenshot={picture}", page.as_uri())
        with Image.open(picture) as image:
            corner = "#{:02x}{:02x}{:02x}".format(*image.convert("RGB").getpixel((3, 3)))
            used = {colour for _, colour in image.convert("RGB").getcolors(2**20) or []}
        assert corner == colours(scheme)["paper"]
        expected = colours(scheme)["c1"]
        assert tuple(int(expected[at : at + 2], 16) for at in (1, 3, 5)) in used
