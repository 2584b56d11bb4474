"""Prompt files that ask for lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from genrec.errors import ConfigError
from genrec.prompts.template import Field, Text, join
from genrec.recommenders.palr.lists import load_list_prompts

GOOD = 'recommend: "{profile}{history} give {count}:"\ncandidates: "{history} of {candidates}:"\n'


@pytest.mark.parametrize("name", ["palr", "palr_short"])
def test_those_of_the_package(name: str) -> None:
    found = load_list_prompts(name)
    assert Field("candidates") in found["candidates"]
    assert Field("candidates") not in found["recommend"]
    assert all(Field("profile") in segments for segments in found.values())


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(GOOD)
    found = load_list_prompts(str(path))
    assert join(found["recommend"]) == "{profile}{history} give {count}:"
    assert found["candidates"] == (Field("history"), Text(" of "), Field("candidates"), Text(":"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("recommend: [", "is no YAML"),
        ("- a", "recommend is no text"),
        ('recommend: "{history}"', "candidates is no text"),
        (GOOD.replace("{history} of ", ""), "it must name candidates, history"),
        (
            GOOD.replace("give {count}", "of {candidates}"),
            "recommend of .* names profile, history, candidates",
        ),
        (GOOD.replace("give {count}", "{history}"), "each once"),
        (GOOD.replace("{profile}", "{title}"), "names title, history, count"),
        (GOOD.replace("{profile}", "{mood}"), "names mood, history, count"),
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told) as error:
        load_list_prompts(str(path))
    assert "\n" not in str(error.value)


def test_no_such_file() -> None:
    with pytest.raises(ConfigError, match="no prompt file 'nowhere'; choose one of palr, palr_short or give"):
        load_list_prompts("nowhere")
