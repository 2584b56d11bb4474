"""The documentation names everything that a user can reach, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import genrec
import pytest
import typer
from genrec.cli.main import app
from genrec.cli.recipe import packaged_recipes

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
ROOT_COMMAND = typer.main.get_command(app)
COMMANDS = sorted(
    {*ROOT_COMMAND.commands, *(f"data {name}" for name in ROOT_COMMAND.commands["data"].commands)}
)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "data show"])
def test_every_command_is_documented(command: str) -> None:
    assert f"genrec {command}" in TEXT


@pytest.mark.parametrize("name", list(genrec.recommenders()))
def test_every_recommender_is_documented_with_its_paper(name: str) -> None:
    assert f"`{name}`" in TEXT
    (address,) = re.findall(r"https?://\S+", genrec.recommenders()[name].paper)
    assert address in TEXT


def test_every_recipe_is_documented() -> None:
    assert [name for name in packaged_recipes() if f"`{name}`" not in TEXT] == []


@pytest.mark.parametrize("name", genrec.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert f"genrec.{name}" in TEXT or f"`{name}`" in TEXT


def test_every_option_in_the_pages_exists() -> None:
    known = {"--no-deps", "--upgrade"}  # of pip
    for command in COMMANDS:
        found = ROOT_COMMAND
        for word in command.split():
            found = found.commands[word]
        known |= {option for parameter in found.params for option in parameter.opts}
    known |= {option for parameter in ROOT_COMMAND.params for option in parameter.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT))
    assert named <= known | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
