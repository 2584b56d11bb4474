"""The report says what it was given, escaped, and needs nothing from outside."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from genrec.evaluation.significance import Verdict
from genrec.pages.report import write_report
from genrec.pages.users import Nobody, ShownItem, ShownUser, place_of

from browser import looked_at, needs_chromium

METRICS = {
    "num_users": 943,
    "num_items": 1682,
    **{
        "HR@5": 0.11,
        "HR@10": 0.178,
        "HR@20": 0.25,
        "NDCG@5": 0.07,
        "NDCG@10": 0.092,
        "NDCG@20": 0.11,
        "MRR": 0.08,
    },
    **{"exact_rate": 0.75, "invalid_rate": 0.0, "duplicate_rate": 0.0, "seen_rate": 0.0},
    **{"seconds": 2.5, "users_per_s": 377.2, "peak_memory_mb": 812.0},
    "unfiltered": {"HR@10": 0.131, "NDCG@10": 0.06},
    "intervals": {"HR@10": [0.15, 0.2], "NDCG@10": [0.08, 0.1]},
}
WEAKER = METRICS | {"HR@10": 0.084, "unfiltered": None, "intervals": {"HR@10": [0.07, 0.1]}}
SUMMARY = {
    "name": "films",
    "num_users": 943,
    "num_items": 1682,
    "num_interactions": 100000,
    "first_time": 874724710,
}
USER = ShownUser(
    "User 7",
    [f"Film {place}" for place in range(20)],
    {
        "genrec": [ShownItem("Heat & <Dust>", 0.25), ShownItem("Alien", 0.0004)],
        "popular": [ShownItem("Alien")],
    },
    taken=["Alien"],
)
CURVE = [
    {"step": 10, "loss": 5.0},
    {"step": 20, "loss": 3.0},
    {"step": 20, "eval_NDCG@10": 0.05},
    {"step": 40, "eval_NDCG@10": 0.0912},
    {"step": 30, "loss": float("nan")},
]


class Page(HTMLParser):
    """Checks that tags are closed in order, and gathers text and links."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.attributes: list[tuple[str, str | None]] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data + " "


def written(tmp_path: Path, **changes: Any) -> Page:
    given: dict[str, Any] = {
        "title": "genrec on films",
        "data_summary": SUMMARY,
        "evaluations": {"genrec": METRICS, "popular": WEAKER},
        "curve": CURVE,
        "users": [USER],
        "notes": ["seed 0"],
        "steps": [("Look for leaks", ["genrec audit runs/a", "genrec audit runs/b"])],
        "synthetic": False,
    }
    return Page(write_report(tmp_path / "new" / "report.html", **given | changes))


def test_people_come_first(tmp_path: Path) -> None:
    users = [replace(USER, outcome="hit", told="found"), Nobody("near miss", "No near miss: nobody's.")]
    page = written(tmp_path, users=users)
    headings = re.findall(r"<h2>(.*?)</h2>", page.source)
    assert headings == [
        "Three users",
        "What it finds",
        "How it learnt",
        "All numbers",
        "Notes",
        "What to do next",
    ]
    assert page.source.index("<article") < page.source.index("<table>", page.source.index("</header>"))


def test_headings_leave_no_level_out(tmp_path: Path) -> None:
    levels = [int(level) for level in re.findall(r"<h(\d)>", written(tmp_path).source)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_everything_given_is_told(tmp_path: Path) -> None:
    text = re.sub(r"\s+", " ", written(tmp_path).text)
    assert "17.8% of 943 users, genrec puts" in text
    assert "(popular for 8.4%)" in text
    assert "100,000" in text
    assert "1997-09-20" in text
    for told in ("0.1780 0.1310", "75.0%", "Training loss", "NDCG@10 on validation", "0.0912", "seed 0"):
        assert told in text
    assert "… 8 earlier Film 8 " in text
    assert "→ Alien" in text


def test_what_it_was_trained_on_is_told(tmp_path: Path) -> None:
    assert "Trained on" not in written(tmp_path).text
    known = METRICS | {"provenance": {"trained_on": "training part"}}
    assert "Trained on: training part. " in written(tmp_path, evaluations={"genrec": known}).text
    again = {"trained_on": "training and validation", "HR@10": 0.2, "NDCG@10": 0.11}
    text = written(tmp_path, evaluations={"genrec": known | {"refit": again}}).text
    assert "Trained again on training and validation, it has HR@10 0.2000, NDCG@10 0.1100." in text


def test_the_verdict_is_told_in_place_of_the_floor(tmp_path: Path) -> None:
    floor = {"recommender": "transitions", "HR@10": 0.3, "NDCG@10": 0.2}
    told = {"genrec": METRICS | {"floor": floor}}
    found = {"transitions": Verdict(-0.108, -0.12, -0.1, 0.0003), "<b>": Verdict(0.01, -0.01, 0.03, 0.4)}
    page = written(tmp_path, evaluations=told, verdicts=found)
    assert "genrec is worse than transitions, and not told apart from <b>." in page.text
    assert "0.1080, 95% interval -0.1200 to -0.1000, p < 0.001" in page.text
    assert "0.0100, 95% interval -0.0100 to +0.0300, p = 0.400" in page.text
    assert "The floor" not in page.text
    assert "corrected (Holm) for 2 pairs" in page.text


def test_names_are_escaped(tmp_path: Path) -> None:
    attack = "<script>alert('x')</script>\"&"
    page = written(
        tmp_path,
        title=attack,
        data_summary={"name": attack, "dropped": {attack: 3}, "notes": [attack]},
        evaluations={attack: METRICS},
        users=[ShownUser(attack, [attack], {attack: [ShownItem(attack, 0.5, attack)]}, [attack])],
        notes=[attack],
        steps=[(attack, [attack, "genrec audit"])],
    )
    assert "<script" not in page.source
    assert page.text.count(attack) >= 9
    assert "Heat & <Dust>" in written(tmp_path).text


def test_commands_end_the_page(tmp_path: Path) -> None:
    source = written(tmp_path).source
    (commands,) = re.findall(
        r"<pre[^>]*><code>(.*?)</code></pre></dd></dl></section>\n</main>", source, re.DOTALL
    )
    assert commands == "genrec audit runs/a\ngenrec audit runs/b"
    assert "What to do next" not in written(tmp_path, steps=[]).text


def test_needs_no_network(tmp_path: Path) -> None:
    page = written(tmp_path)
    assert not {name for name, _ in page.attributes} & {"src", "href", "srcset", "onload"}
    assert not re.search(r"https?:|url\(|@import|<script", page.source)
    assert "prefers-color-scheme: dark" in page.source
    assert ("content", "width=device-width, initial-scale=1") in page.attributes


def test_synthetic_data_are_called_so_loudly(tmp_path: Path) -> None:
    page = written(tmp_path, synthetic=True)
    assert "<title>genrec on films (synthetic data)</title>" in page.source
    assert page.source.index('class="warning"') < page.source.index("<h1>")
    assert "say nothing about real people" in page.text
    assert "ynthetic" not in written(tmp_path, synthetic=False).text


def test_the_bar_and_its_interval_share_one_scale(tmp_path: Path) -> None:
    source = written(tmp_path).source
    panel = source[source.index("HR@10: what came") : source.index("NDCG@10: and")]
    widths = [float(width) for width in re.findall(r'"fill" style="width:([\d.]+)%', panel)]
    ranges = [(float(a), float(b)) for a, b in re.findall(r"left:([\d.]+)%;width:([\d.]+)%", panel)]
    assert widths == pytest.approx([100 * 0.178 / 0.2, 100 * 0.084 / 0.2], abs=0.01)
    ends = re.findall(r'left:100.00%">([^<]+)</span>', source)
    assert ends == ["0.2"] * 4  # of all panels
    assert ranges[0] == pytest.approx((75, 25), abs=0.01)


def test_little_is_enough(tmp_path: Path) -> None:
    page = written(
        tmp_path, data_summary={}, evaluations={}, curve=[{"epoch": 1}], users=[], notes=[], steps=[]
    )
    assert "<section" not in page.source
    assert "genrec on films" in page.text


def test_the_old_report_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    written(tmp_path, title="yesterday")
    assert "yesterday" not in written(tmp_path).text
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]


def test_the_floor_is_told_where_it_was_measured(tmp_path: Path) -> None:
    for ndcg, word in ((0.2, "below"), (0.092, "not below")):
        floor = {"recommender": "transitions", "HR@10": 0.3, "NDCG@10": ndcg}
        told = {"genrec": METRICS | {"floor": floor}}
        page = write_report(
            tmp_path / "r.html", title="x", data_summary=SUMMARY, evaluations=told, synthetic=False
        ).read_text()
        assert f"HR@10 0.3000, NDCG@10 {ndcg:.4f}: by NDCG@10 this recommender is <b>{word}</b> it." in page
    page = write_report(
        tmp_path / "r.html", title="x", data_summary=SUMMARY, evaluations={"genrec": METRICS}, synthetic=False
    )
    assert "The floor" not in page.read_text()


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_in_a_window_and_on_a_phone(tmp_path: Path, scheme: str) -> None:
    places = {"genrec": place_of(2), "popular": place_of(14)}
    long = [f"A film with quite a long title, number {place}" for place in range(30)]
    items = [ShownItem(title, 0.3, long[0], rank) for rank, title in enumerate(long[:10], start=1)]
    near = [*items, ShownItem("Alien", 0.01, None, 14)]
    users = [
        replace(
            USER,
            outcome=name,
            told="Told.",
            history=long,
            places=places,
            lists={**USER.lists, "genrec": found},
        )
        for name, found in (("hit", items), ("near miss", near), ("miss", items))
    ]
    verdicts = {"popular": Verdict(0.01, 0.005, 0.02, 0.0001)}
    evaluations = {"genrec": METRICS, **{f"another recommender {place}": WEAKER for place in range(5)}}
    written(tmp_path, users=[*users, Nobody("miss", "Nobody.")], verdicts=verdicts, evaluations=evaluations)
    looks = looked_at(tmp_path / "new" / "report.html", tmp_path, scheme)
    for found, width in zip(looks, (1200, 360), strict=True):
        assert found["width"] == width
        assert found["scroll"] <= width
        assert found["outside"] == []
        assert found["faint"] == []
        assert found["dark"] == (scheme == "dark")
        assert found["resources"] == 0
        assert found["sideways"] == []
        assert found["unreached"] == []
        assert found["axes"] == 4
        assert found["broken"] == []
