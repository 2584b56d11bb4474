"""Seals tell a file that was cut, edited or taken from elsewhere; what they seal may be moved as a whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from genrec.data.seal import (
    bind,
    check_below,
    check_run,
    files_below,
    measured,
    read_sealed,
    remove_sealed,
    run_of,
    write_sealed,
)
from genrec.errors import RunError
from hypothesis import given
from hypothesis import strategies as st

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`about.json` seals two files, one of them in a folder inside, and a sealed folder inside."""
    folder = tmp_path / "whole"
    (folder / "deep").mkdir(parents=True)
    (folder / "member").mkdir()
    for name in ("arrays", "deep/words", "member/arrays"):
        (folder / name).write_text(f"content of {name}")
    for inside in (folder / "member", folder):
        files = measured(inside, files_below(inside, "about.json"))
        write_sealed(inside / "about.json", {"name": "Ada"}, run=None, files=files)
    return folder


def check(folder: Path) -> None:
    seal = read_sealed(folder / "about.json", dict[str, str])[1]
    assert seal is not None
    check_below(folder / "about.json", seal)


@given(values=st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=5), PLAIN, max_size=4))
def test_what_was_sealed_is_read_again(
    values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    write_sealed(path, values, run="r")
    found, seal = read_sealed(path, dict[str, Any], not_finite=True)
    assert repr(found) == repr(values)  # nan is not nan
    assert seal is not None
    assert seal.run == "r"


def test_a_sealed_folder_can_be_moved_and_laid_out_anew(folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.move(folder, moved)
    about = moved / "about.json"
    about.write_text(json.dumps(json.loads(about.read_text()), indent=8))
    check(moved)
    seal = read_sealed(about, dict[str, str])[1]
    assert seal is not None
    assert set(seal.files) == {"arrays", "deep/words", "member/about.json"}


@pytest.mark.parametrize("name", ["arrays", "deep/words", "member/about.json"])
def test_a_file_that_was_changed_is_named(folder: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(
        RunError, match=rf"{name} was changed since it was written \({len(content) - 1} bytes"
    ):
        check(folder)
    path.write_bytes(content[:-1] + b"?")
    with pytest.raises(RunError, match=rf"{name} was changed since it was written \(as many bytes"):
        check(folder)
    path.unlink()
    with pytest.raises(RunError, match=f"{name} is missing"):
        check(folder)


def test_one_file_more_is_told_unless_it_is_hidden(folder: Path) -> None:
    (folder / ".DS_Store").write_text("")
    check(folder)
    (folder / "deep" / "adapter.json").write_text("{}")
    with pytest.raises(RunError, match=r"deep/adapter\.json was not saved"):
        check(folder)


@pytest.mark.parametrize("change", [{"name": "Bob"}, {"more": 1}, {"seal": {"run": "other"}}])
def test_a_sealed_file_with_other_values_is_told(folder: Path, change: dict[str, Any]) -> None:
    path = folder / "about.json"
    values = json.loads(path.read_text())
    if "seal" in change:
        change = {"seal": values["seal"] | change["seal"]}
    path.write_text(json.dumps(values | change))
    with pytest.raises(RunError, match=r"about\.json was changed since it was written"):
        read_sealed(path, dict[str, Any])


def test_a_seal_of_another_shape_is_damage(folder: Path) -> None:
    path = folder / "about.json"
    path.write_text(json.dumps({"name": "Ada", "seal": [1]}))
    with pytest.raises(RunError, match=r"about\.json is damaged"):
        read_sealed(path, dict[str, str])


def test_a_file_of_before_seals_is_read_unchecked(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text('{"name": "Ada"}')
    assert read_sealed(path, dict[str, str]) == ({"name": "Ada"}, None)


def test_files_are_told_from_those_of_other_runs(folder: Path, tmp_path: Path) -> None:
    about = folder / "about.json"
    bind(about, "one")
    check(folder)
    seal = read_sealed(about, dict[str, str])[1]
    check_run(about, seal, "one")
    for other in ("two", None):
        with pytest.raises(RunError, match=r"about\.json is of another run"):
            check_run(about, seal, other)
    with pytest.raises(RunError, match="of another run"):
        check_run(about, None, "one")
    check_run(about, None, None)


@pytest.mark.parametrize("content", [None, "[1, 2]", "{", '{"rows": []}'])
def test_a_folder_without_a_run_has_no_identity(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "data.json").write_text(content)  # a user's own
    assert run_of(tmp_path) is None


def test_removing_leaves_what_was_not_sealed(folder: Path) -> None:
    (folder / "thesis.txt").write_text("years of work")
    remove_sealed(folder / "about.json")
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["thesis.txt"]
