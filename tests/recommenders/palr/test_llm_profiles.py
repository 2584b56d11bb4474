"""Profiles by a chat model that answers well, answers rubbish, breaks off or is asked again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from genrec.data.interactions import Histories
from genrec.errors import ChatError, ConfigError
from genrec.prompts.profiles import AttributeProfiles, Profile
from genrec.recommenders.palr.llm_profiles import LLMProfiles
from genrec.testing import catalogue

TITLES = ["Nebula Nine (1990)", "Orbit", "Laughing Lake", "Home", "Home", "a very long title " * 20]
GENRES = [["Space"], ["Space"], ["Comedy"], ["Drama"], ["Drama"], ["Comedy"]]
GOOD = json.dumps({"keywords": [{"keyword": "far worlds", "titles": ["Orbit", "Nebula Nine (1990)"]}]})


class FakeChat:
    """Says what it is given, and remembers what it was asked."""

    name = "fake"

    def __init__(self, answer: Callable[[str], str] | str = GOOD) -> None:
        self.say = answer if callable(answer) else lambda prompt: answer
        self.asked: list[str] = []

    def answer(self, prompt: str) -> str:
        self.asked.append(prompt)
        return self.say(prompt)


@pytest.fixture
def attributes() -> AttributeProfiles:
    return AttributeProfiles(catalogue(TITLES, genres=GENRES), num_keywords=2)


@pytest.fixture
def make(attributes: AttributeProfiles, tmp_path: Path) -> Callable[..., LLMProfiles]:
    def made(chat: FakeChat, **options: object) -> LLMProfiles:
        return LLMProfiles(chat, attributes, tmp_path / "answers", **({"progress": False} | options))

    return made


def history(*rows: int) -> np.ndarray:
    return np.array(rows, np.int32)


def plain(profile: Profile) -> list[tuple[str, list[int]]]:
    return [(keyword.word, keyword.items.tolist()) for keyword in profile]


def keywords(*entries: tuple[str, list[str]]) -> str:
    return json.dumps({"keywords": [{"keyword": word, "titles": titles} for word, titles in entries]})


def counted(profiles: LLMProfiles) -> tuple[int, int, int]:
    return profiles.counts.asked, profiles.counts.cached, profiles.counts.fallbacks


def test_the_question_names_the_newest_titles_the_oldest_of_them_first(
    make: Callable[..., LLMProfiles],
) -> None:
    prompt = make(FakeChat(), max_history=3).prompt(history(3, 5, 0, 1))
    lines = [line for line in prompt.splitlines() if line.startswith("- ")]
    assert lines[1:] == ["- Nebula Nine (1990)", "- Orbit"]
    assert lines[0].startswith("- a very long title")
    assert len(lines[0]) <= 82
    assert "at most 2 of them" in prompt
    assert '{"keywords": [{"keyword": "...", "titles": ["...", "..."]}]}' in prompt


def test_a_good_answer_is_the_profile(make: Callable[..., LLMProfiles]) -> None:
    profiles = make(FakeChat())
    assert plain(profiles.of(history(0, 2, 1))) == [("far worlds", [1, 0])]  # newest first
    assert counted(profiles) == (1, 0, 0)


@pytest.mark.parametrize(
    ("answer", "profile"),
    [
        (f"Sure! Here it is:\n```json\n{GOOD}\n```\nAnything else?", [("far worlds", [1, 0])]),
        (f'<think>{{"keywords": 3}}</think>{GOOD}', [("far worlds", [1, 0])]),
        (keywords(("fun", ["laughing lake", "Some Other Film"])), [("fun", [2])]),  # spelling; unknown title
        (GOOD + keywords(("second", ["Home"])), [("far worlds", [1, 0])]),
        ('{"thought": "hm"} ' + GOOD, [("far worlds", [1, 0])]),
        # Goes in circles until it is cut off.
        (
            keywords(("a", ["Orbit"]), ("b", ["Home"]))[:-2]
            + ', {"keyword": "b", "titles": ["Home"]}' * 9
            + ', {"ke',
            [("a", [1]), ("b", [4, 3])],
        ),
        (keywords(("lost", ["Some Other Film"]), ("fun", ["Laughing Lake"])), [("fun", [2])]),
        (keywords(("roots", ["Home"])), [("roots", [4, 3])]),  # two items of one title
        (keywords(("length", [TITLES[5]])), [("length", [5])]),  # told in short, named in full
        (
            keywords(("a", ["Orbit"]), ("A ", ["Home"]), ("b", ["Home"]), ("c", ["Home"])),
            [("a", [1]), ("b", [4, 3])],
        ),
        (keywords(("  ", ["Orbit"]), ("w" * 61, ["Orbit"]), ("good\n one", ["Orbit"])), [("good one", [1])]),
    ],
)
def test_answers_are_read(
    make: Callable[..., LLMProfiles], answer: str, profile: list[tuple[str, list[int]]]
) -> None:
    profiles = make(FakeChat(answer))
    assert plain(profiles.of(history(0, 5, 2, 3, 4, 1))) == profile
    assert counted(profiles) == (1, 0, 0)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "You love space.",
        "}{",
        "[" * 5000,
        '{"keywords": ' * 2000 + "}",
        "[1, 2]",
        '{"tastes": ["space"]}',
        '{"keywords": {"space": ["Orbit"]}}',
        '{"keywords": ["space"]}',
        '{"keywords": [{"keyword": 7, "titles": ["Orbit"]}]}',
        '{"keywords": [{"keyword": "space", "titles": "Orbit"}]}',
        '{"keywords": []}',
        keywords(("space", ["Solaris", "???", ""])),
        keywords(("space", ["Laughing Lake"])),  # of the catalogue, but not of the history
        GOOD[:-4],
    ],
)
def test_an_unusable_answer_falls_back_to_the_attributes_and_is_counted(
    make: Callable[..., LLMProfiles], answer: str
) -> None:
    profiles = make(FakeChat(answer))
    assert plain(profiles.of(history(0, 1))) == [("Space", [1, 0])]
    assert counted(profiles) == (1, 0, 1)
    assert plain(profiles.of(history(0, 1))) == [("Space", [1, 0])]
    assert counted(profiles) == (1, 1, 2)  # not asked again


def test_an_empty_history_asks_nothing(make: Callable[..., LLMProfiles]) -> None:
    chat = FakeChat()
    profiles = make(chat)
    assert profiles.of_all(Histories.from_lists([[], []])) == [(), ()]
    assert counted(profiles) == (0, 0, 0)
    assert not chat.asked


@pytest.mark.parametrize("at_once", [1, 3])
def test_nothing_is_asked_twice(make: Callable[..., LLMProfiles], at_once: int) -> None:
    histories = Histories.from_lists([[0, 1], [2], [], [0, 1], [1], [2, 1]])
    first = make(FakeChat(), at_once=at_once)
    found = list(map(plain, first.of_all(histories)))
    assert found == [
        [("far worlds", [1, 0])],
        [("Comedy", [2])],
        [],
        [("far worlds", [1, 0])],
        [("far worlds", [1])],
        [("far worlds", [1])],
    ]
    assert counted(first) == (4, 1, 1)
    chat = FakeChat("rubbish")
    again = make(chat)
    assert list(map(plain, again.of_all(histories))) == found
    assert counted(again) == (0, 5, 1)
    assert not chat.asked


def test_questions_are_put_at_the_same_time(make: Callable[..., LLMProfiles]) -> None:
    together = threading.Barrier(3, timeout=10)

    def answer(prompt: str) -> str:
        together.wait()
        return GOOD

    profiles = make(FakeChat(answer), at_once=3)
    profiles.of_all(Histories.from_lists([[0], [1], [2]]))
    assert counted(profiles) == (3, 0, 1)


def test_another_model_is_asked_anew_and_prompt_and_answer_are_kept(
    make: Callable[..., LLMProfiles], tmp_path: Path
) -> None:
    profiles = make(FakeChat())
    profiles.of(history(0))
    other = FakeChat()
    other.name = "other"
    make(other).of(history(0))
    assert len(other.asked) == 1
    kept = [json.loads(path.read_text()) for path in (tmp_path / "answers").iterdir()]
    expected = {"prompt": profiles.prompt(history(0)), "answer": GOOD}
    assert sorted(kept, key=lambda one: one["model"]) == [
        {"model": "fake", **expected},
        {"model": "other", **expected},
    ]


@pytest.mark.parametrize(
    "damage", ["", '{"prompt": "', "[]", '{"prompt": "another", "answer": "x"}', b"\xff"]
)
def test_a_damaged_answer_is_asked_for_again_and_replaced(
    make: Callable[..., LLMProfiles], tmp_path: Path, damage: str | bytes
) -> None:
    make(FakeChat()).of(history(0))
    (path,) = (tmp_path / "answers").iterdir()
    path.write_bytes(damage.encode() if isinstance(damage, str) else damage)
    profiles = make(FakeChat())
    assert plain(profiles.of(history(0))) == [("far worlds", [0])]
    assert counted(profiles) == (1, 0, 0)
    assert json.loads(path.read_text())["answer"] == GOOD


@pytest.mark.parametrize("at_once", [1, 2])
@pytest.mark.parametrize("end", [KeyboardInterrupt(), ChatError("the endpoint is down")])
def test_answers_so_far_survive_an_end(
    make: Callable[..., LLMProfiles], tmp_path: Path, at_once: int, end: BaseException
) -> None:
    def answer(prompt: str) -> str:
        if "Laughing" in prompt:
            raise end
        return GOOD

    histories = Histories.from_lists([[0], [1], [2], [3]])
    with pytest.raises(type(end)) as caught:
        make(FakeChat(answer), at_once=at_once).of_all(histories)
    num_kept = len(list((tmp_path / "answers").iterdir()))
    if isinstance(end, ChatError):
        assert str(caught.value).startswith("the endpoint is down; ")
        assert f"{num_kept} of 4 answers came and are kept in {tmp_path / 'answers'}" in str(caught.value)
    assert num_kept >= 2
    profiles = make(FakeChat())
    profiles.of_all(histories)
    assert counted(profiles)[:2] == (4 - num_kept, num_kept)


def test_progress_is_shown_on_stderr(
    make: Callable[..., LLMProfiles], capsys: pytest.CaptureFixture[str]
) -> None:
    make(FakeChat(), progress=True).of_all(Histories.from_lists([[0], [1]]))
    shown = capsys.readouterr()
    assert "profiles" in shown.err
    assert "2/2" in shown.err
    assert not shown.out


def test_a_cache_that_is_a_file_and_senseless_numbers_are_refused(
    attributes: AttributeProfiles, make: Callable[..., LLMProfiles], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be kept in .*file .*: name a folder"):
        LLMProfiles(FakeChat(), attributes, tmp_path / "file")
    for name in ("max_history", "at_once"):
        with pytest.raises(ConfigError, match=f"{name}=0"):
            make(FakeChat(), **{name: 0})
