from __future__ import annotations

from pathlib import Path

import pytest
from genrec.errors import ConfigError
from genrec.prompts.render import Prompt, load_prompts, tokenise


def test_none_says_nothing() -> None:
    assert load_prompts("none") == [Prompt("", "")]


def test_next_item_asks_in_several_ways() -> None:
    prompts = load_prompts("next_item")
    assert len(prompts) >= 5
    assert len({prompt.before + prompt.after for prompt in prompts}) == len(prompts)
    # Items stand one a line: the history starts on a line of its own, and so does the answer.
    assert all(prompt.before.endswith("\n") and prompt.after.endswith("\n") for prompt in prompts)


def test_own_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        'paraphrases:\n  - {before: "Zażółć:\\n", after: ""}\n  - {before: "One:\\n", after: "Two:\\n"}\n',
        encoding="utf-8",
    )
    assert load_prompts(str(path)) == [Prompt("Zażółć:\n", ""), Prompt("One:\n", "Two:\n")]


@pytest.mark.parametrize("name", ["no_such", "no_such.yaml", "../errors", ""])
def test_a_missing_file_names_those_there_are(name: str) -> None:
    with pytest.raises(ConfigError, match=r"no prompt file .*choose one of next_item, none or give a \.yaml"):
        load_prompts(name)


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
        "{unclosed: [",
        "\tparaphrases: \x00",
    ],
)
def test_what_is_no_prompt_file_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "prompts.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"prompts\.yaml.*`paraphrases`") as caught:
        load_prompts(str(path))
    assert "\n" not in str(caught.value)


def test_tokenise_opens_each_prompt_with_the_begin_token() -> None:
    def encode(texts: list[str]) -> list[list[int]]:
        return [[ord(letter) for letter in text] for text in texts]

    one, two = tokenise([Prompt("ab", "c"), Prompt("", "")], encode, [7])
    assert (one.before.tolist(), one.after.tolist()) == ([7, 97, 98], [99])
    assert (two.before.tolist(), two.after.tolist()) == ([7], [])
