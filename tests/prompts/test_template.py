from __future__ import annotations

from pathlib import Path

import pytest
from genrec.errors import ConfigError
from genrec.prompts.template import HISTORY, Text, load_paraphrases, own_texts, wants_chat


def test_none_says_nothing() -> None:
    assert load_paraphrases("none") == [(HISTORY,)]


def test_next_item_asks_in_several_ways() -> None:
    prompts = load_paraphrases("next_item")
    assert len(prompts) >= 5
    assert len(set(prompts)) == len(prompts)
    # Items stand one a line: the history starts on a line of its own, and so does the answer.
    assert all(text.endswith("\n") for prompt in prompts for text in own_texts(prompt))
    assert all(prompt[1] == HISTORY and len(prompt) == 3 for prompt in prompts)


def test_a_chat_is_a_wish_of_the_file(tmp_path: Path) -> None:
    assert [wants_chat(name) for name in ("none", "next_item", "next_item_chat")] == [False, False, True]
    path = tmp_path / "mine.yaml"
    path.write_text("chat: 3\nparaphrases: [{before: a, after: b}]\n")
    with pytest.raises(ConfigError, match=r"chat of the prompt file .*mine.yaml' is 3: give true or false"):
        wants_chat(str(path))


def test_own_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        'paraphrases:\n  - {before: "Zażółć:\\n", after: ""}\n  - {before: "One {of} {:\\n", after: "Two:\\n"}\n',
        encoding="utf-8",
    )
    assert load_paraphrases(str(path)) == [
        (Text("Zażółć:\n"), HISTORY),
        (Text("One {of} {:\n"), HISTORY, Text("Two:\n")),  # braces are no fields here
    ]


@pytest.mark.parametrize("name", ["no_such", "no_such.yaml", "../errors", ""])
def test_a_missing_file_names_those_there_are(name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"no prompt file .*choose one of next_item, next_item_chat, none or give a \.yaml"
    ):
        load_paraphrases(name)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "just text",
        "- before: a",
        "paraphrases: []",
        "paraphrases: 3",
        "paraphrases: [text]",
        "paraphrases: [{before: a}]",
        "paraphrases: [{before: 3, after: a}]",
        "paraphrases: [{before: a, after: null}]",
        "paraphrases: {before: a, after: b}",
    ],
)
def test_what_is_no_prompt_file_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "prompts.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"prompts\.yaml.*`paraphrases`") as caught:
        load_paraphrases(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{unclosed: [", "\tparaphrases: \x00"])
def test_what_is_no_yaml_is_told_with_its_place(tmp_path: Path, content: str) -> None:
    path = tmp_path / "prompts.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"prompts\.yaml' is no YAML \(.+\)$") as caught:
        load_paraphrases(str(path))
    assert "\n" not in str(caught.value)
