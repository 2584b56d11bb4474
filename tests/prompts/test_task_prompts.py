from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from genrec.errors import ConfigError
from genrec.prompts.task_prompts import (
    NEVER_LEARNT,
    load_task_prompts,
    usable,
)
from genrec.prompts.template import Field, Text, join, parse
from genrec.tasks.base import groups

GROUPS = groups()
FIELDS = {name for of in GROUPS.values() for group in of.values() for name in group.answer | group.may_name}
PACKAGED = load_task_prompts("p5", GROUPS)
PROMPTS = [prompt for prompts in PACKAGED.values() for prompt in prompts]
AT_LEAST = {"rating": 10, "sequential": 13, "explanation": 12, "review": 4, "direct": 8, "new": 7}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a prompt folder whose one file has the family "review", a good prompt of each kind, and `more`."""

    def write(more: str = "", *, name: str = "mine.yaml", family: str = "review", text: str = "") -> Path:
        good = (
            f"family: {family}\nprompts:\n"
            '- {id: a, group: stars, source: "{review} Stars:", target: "{stars}"}\n'
            '- {id: b, group: stars, source: "Stars of {review}", target: "{stars}", held_out: true}\n'
        )
        (tmp_path / name).write_text(text or good + more, encoding="utf-8")
        return tmp_path

    return write


def test_every_family_has_as_many_prompts_as_published_and_holds_one_out() -> None:
    assert {
        family: len(prompts) >= AT_LEAST.get(family, 2) for family, prompts in PACKAGED.items()
    } == dict.fromkeys(GROUPS, True)
    for family, prompts in PACKAGED.items():
        assert any(prompt.held_out for prompt in prompts)
        assert all(prompt.held_out for prompt in prompts) == (family == NEVER_LEARNT)


@pytest.mark.parametrize(
    "kind",
    [
        "rating/stars",
        "sequential/next",
        "explanation/sentence",
        "explanation/about",
        "review/headline",
        "review/stars",
        "direct/choose",
    ],
)
@pytest.mark.parametrize("held_out", [False, True])
def test_what_is_measured_can_be_asked_without_titles_in_wordings_seen_and_unseen(
    kind: str, held_out: bool
) -> None:
    family, group = kind.split("/")
    kept, _ = usable(PACKAGED[family], {"user", "item", *GROUPS[family][group].answer, *_about(kind)})
    assert [prompt for prompt in kept if (prompt.group, prompt.held_out) == (group, held_out)]


def _about(kind: str) -> set[str]:
    family, group = kind.split("/")
    return {names.split("|")[0] for names in GROUPS[family][group].about}


def test_no_two_prompts_say_the_same_and_none_names_a_kind_of_item() -> None:
    sources = [join(prompt.source) for prompt in PROMPTS]
    assert len(set(sources)) == len(sources) == len({prompt.id for prompt in PROMPTS})
    forbidden = r"\b(film|movie|watch|toy|beauty|product|purchas|buy|bought|shop|store|visit|restaurant|song)"
    assert [source for source in sources if re.search(forbidden, source, re.IGNORECASE)] == []


def test_every_group_is_asked_and_the_first_answer_is_the_true_one() -> None:
    asked = {(prompt.family, prompt.group) for prompt in PROMPTS}
    assert asked == {(family, group) for family, groups in GROUPS.items() for group in groups}
    assert {prompt.answers for prompt in PROMPTS} == {None, ("yes", "no"), ("like", "dislike")}


def test_no_source_names_what_is_asked() -> None:
    for prompt in PROMPTS:
        if not GROUPS[prompt.family][prompt.group].judged:
            assert not prompt.fields & GROUPS[prompt.family][prompt.group].answer


@pytest.mark.parametrize(
    "template", [join(part) for prompt in PROMPTS for part in (prompt.source, prompt.target)] + ["", "{user}"]
)
def test_segments_join_to_their_template(template: str) -> None:
    segments = parse(template, FIELDS)
    assert join(segments) == template
    assert [segment for segment in segments if segment == Text("")] == []
    assert {part.name for part in segments if isinstance(part, Field)} <= FIELDS


def test_a_template_is_text_and_fields_in_turn() -> None:
    assert parse("After {history} comes{item}{stars}.", FIELDS) == (
        Text("After "),
        Field("history"),
        Text(" comes"),
        Field("item"),
        Field("stars"),
        Text("."),
    )


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("for {customer}", r"no field \{customer\}; choose one of brand, candidates,"),
        ("{ user }", r"no field \{ user \}"),
        ("{}", r"no field \{\}"),
        ("{user", "brace that opens or closes no field"),
        ("user}", "brace that opens or closes no field"),
        ("{{user}}", "brace that opens or closes no field"),
    ],
)
def test_what_is_no_template_is_refused(template: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(template, FIELDS)


def test_data_without_titles_lose_the_prompts_that_name_them() -> None:
    fields = FIELDS - {"title", "brand", "price"}
    kept, dropped = usable(PROMPTS, fields)
    assert len(kept) + len(dropped) == len(PROMPTS)
    assert [prompt for prompt in kept if "title" in prompt.fields] == []
    assert dropped["rating-5"] == "needs title, which the data do not have"
    assert dropped["new-1"] == "needs brand and price and title, which the data do not have"
    assert usable(PROMPTS, FIELDS) == (PROMPTS, {})


def test_data_without_stars_cannot_judge_a_guess_or_a_liking() -> None:
    _, dropped = usable(PACKAGED["rating"], {"user", "item", "title"})
    assert set(dropped) == {prompt.id for prompt in PACKAGED["rating"]}
    assert set(dropped.values()) == {"needs stars, which the data do not have"}


def test_a_prompt_tells_what_asking_and_what_learning_takes() -> None:
    guess = next(prompt for prompt in PACKAGED["rating"] if prompt.id == "rating-3")
    assert (guess.fields, guess.needs) == ({"user", "item", "guess"}, {"user", "item", "stars"})
    both = next(prompt for prompt in PACKAGED["explanation"] if prompt.id == "explanation-6")
    assert (both.fields, both.needs) == ({"user", "item"}, {"user", "item", "stars", "explanation"})


def test_own_folder(write: Write) -> None:
    folder = write('- {id: c, group: headline, source: "Zażółć {review}", target: "{headline}"}\n')
    (prompts,) = load_task_prompts(folder, GROUPS).values()
    assert [(prompt.id, prompt.group, prompt.held_out) for prompt in prompts] == [
        ("a", "stars", False),
        ("b", "stars", True),
        ("c", "headline", False),
    ]
    assert prompts[2].source == (Text("Zażółć "), Field("review"))
    assert load_task_prompts(str(folder), GROUPS) == {"review": prompts}


@pytest.mark.parametrize("name", ["no_such", "../prompts", "__pycache__", ""])
def test_a_missing_folder_names_those_there_are(name: str) -> None:
    with pytest.raises(ConfigError, match=r"no folder .*choose p5 or a folder of your own"):
        load_task_prompts(name, GROUPS)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('{id: a, group: stars, source: "{review}", target: "{stars}"}', "'a' is taken by a prompt of mine"),
        (
            '{id: c, group: other, source: "{review}", target: "{stars}"}',
            "no group 'other', only headline, st",
        ),
        (
            '{id: c, group: stars, source: "{review} {body}", target: "{stars}"}',
            r"c: there is no field \{body",
        ),
        ('{id: c, group: stars, source: "{user}", target: "{stars}"}', r"source .* names \{review\}"),
        ('{id: c, group: stars, source: "{review} {stars}", target: "{stars}"}', r"does not name \{stars\}"),
        ('{id: c, group: stars, source: "{review}", target: "{headline}"}', r"has a target with \{stars\}"),
        ('{id: c, group: stars, source: "{review}", target: "{stars}{stars}"}', "each once"),
        ('{id: c, group: stars, source: "{review}"}', r"has a target with \{stars\}"),
        ('{id: c, group: stars, source: "{review}", target: "{stars}", answers: [a, b]}', "no `answers`"),
        ('{id: c, group: stars, source: "{review}", target: "{stars}", weight: 2}', r"weight=2: Extra"),
        ('{id: c, group: stars, source: "{review}", target: "{stars}", held_out: "no"}', "held_out='no'"),
        ("{id: c, group: stars, source: 3}", r"source=3: Input should be a valid string"),
        ("text", r"prompts\.2='text'"),
    ],
)
def test_a_prompt_that_asks_nothing_of_its_kind_is_refused_in_one_line(
    write: Write, entry: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_task_prompts(write(f"- {entry}\n"), GROUPS)
    assert str(caught.value).startswith("mine.yaml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ('["yes"]', "two different `answers`"),
        ('["yes", "yes"]', "two different `answers`"),
        ('["yes", ""]', "two different `answers`"),
        ("[true, false]", "answers.0=True: Input should be a valid string"),
    ],
)
def test_a_verdict_has_two_answers(tmp_path: Path, answers: str, message: str) -> None:
    entry = f'{{id: a, group: liking, source: "{{user}} {{item}}", answers: {answers}}}'
    (tmp_path / "rating.yaml").write_text(f"family: rating\nprompts: [{entry}]\n")
    with pytest.raises(ConfigError, match=message):
        load_task_prompts(tmp_path, GROUPS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file=None"),
        ("just text", "the file='just text'"),
        ("family: review", "prompts"),
        ("{unclosed: [", "is no YAML"),
        ("family: weather\nprompts: []", "no family 'weather'; choose one of sequential, direct"),
        ("family: review\nprompts: []", "no prompt is held out"),
        (
            'family: review\nprompts: [{id: a, group: stars, source: "{review}", target: "{stars}"}]',
            "no prompt is held out",
        ),
        (
            'family: review\nprompts: [{id: a, group: stars, source: "{review}", target: "{stars}", held_out: true}]',
            "'review' are all held out: leave some",
        ),
        (
            'family: new\nprompts: [{id: a, group: stars, source: "{user}{title}", target: "{stars}", held_out: true},'
            '{id: b, group: stars, source: "{user} {title}", target: "{stars}"}]',
            "'new' are never learnt: mark all",
        ),
    ],
)
def test_what_is_no_family_of_prompts_is_refused_in_one_line(write: Write, text: str, message: str) -> None:
    folder = write(text=text or "\n")
    with pytest.raises(ConfigError, match=message) as caught:
        load_task_prompts(folder, GROUPS)
    assert "\n" not in str(caught.value)


def test_a_family_has_one_file(write: Write) -> None:
    write()
    with pytest.raises(ConfigError, match=r"twice\.yaml: the family 'review' has a file already"):
        load_task_prompts(write(name="twice.yaml"), GROUPS)
