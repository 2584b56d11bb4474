"""The documentation names everything that a user can reach, and nothing that is not there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import genrec
import pytest
import typer
from genrec.cli.main import app
from genrec.runs.recipe import packaged_recipes

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
ROOT_COMMAND = typer.main.get_command(app)
COMMANDS = sorted(
    {
        *ROOT_COMMAND.commands,
        *(f"{group} {name}" for group in ("data", "items") for name in ROOT_COMMAND.commands[group].commands),
    }
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


def test_every_option_of_a_command_in_the_pages_exists() -> None:
    known = {"--help", "--version"}
    for command in COMMANDS:
        found = ROOT_COMMAND
        for word in command.split():
            found = found.commands[word]
        known |= {option for parameter in found.params for option in parameter.opts}
    lines = [line for line in TEXT.splitlines() if re.search(r"(^|`|bin/)genrec [a-z]", line)]
    named = {option for line in lines for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)}
    assert named - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_page_of_errors_has_the_tables_of_today() -> None:
    path = ROOT / "docs" / "errors.md"
    spec = importlib.util.spec_from_file_location("errors_page", path.with_suffix(".py"))
    assert spec is not None
    assert spec.loader is not None
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    page = path.read_text(encoding="utf-8")
    assert writer.filled(page) == page, "`make errors` writes them"
    assert set(writer.EXAMPLES) <= set(re.findall(r"`(\w+Error)` \|", page))
    assert page.count("| `` ") == len(writer.EXAMPLES)
    assert "| `UnknownItemError` | `data/catalogue.py` | … items are called …" in page
