"""Files of our own: written whole under nobody else's name, read through one door that names the damaged one."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from genrec.data import files
from genrec.errors import ConfigError, RunError
from pydantic import BaseModel
from safetensors.numpy import save_file


class Note(BaseModel):
    name: str
    counts: list[int]


NOTE = {"name": "Kerzen", "counts": [1, 2]}
TABLE = pl.DataFrame({"item_id": ["a", "b"], "count": [1, 2]})
READERS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "json": (lambda path: files.write_json(path, NOTE), lambda path: files.read_json(path, Note)),
    "lines": (
        lambda path: path.write_text(json.dumps(NOTE) + "\n" + json.dumps(NOTE) + "\n"),
        lambda path: files.read_json_lines(path, Note),
    ),
    "yaml": (
        lambda path: path.write_text("name: Kerzen\ncounts: [1, 2]\n"),
        lambda path: files.read_yaml(path, Note),
    ),
    "parquet": (TABLE.write_parquet, lambda path: files.read_parquet(path, {"count": pl.Int64})),
    "safetensors": (
        lambda path: save_file({"counts": np.arange(3)}, path),
        lambda path: files.read_safetensors(path, ["counts"]),
    ),
    "shapes": (lambda path: save_file({"counts": np.arange(3)}, path), files.safetensors_shapes),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_whole_file_is_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write, read = READERS[kind]
    write(path)
    found = read(path)
    if kind in ("json", "yaml"):
        assert found == Note(**NOTE)
    elif kind == "lines":
        assert found == [Note(**NOTE)] * 2
    elif kind == "parquet":
        assert found.equals(TABLE)
    elif kind == "safetensors":
        assert found["counts"].tolist() == [0, 1, 2]
    else:
        assert found == {"counts": (3,)}


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "another encoding": lambda content: content.decode("latin1").encode("utf-16"),
    "not text": lambda content: b"\xff\xfe\xfd" + os.urandom(40),
    "another shape": lambda content: b"[1, 2]",
    "nested deeply": lambda content: b"[" * 100_000,
    "zeros": lambda content: b"\0" * len(content),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_file_is_named_in_one_line_with_what_to_do(kind: str, damage: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write, read = READERS[kind]
    write(path)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    with pytest.raises(RunError) as told:
        read(path)
    message = str(told.value)
    assert message.startswith(f"{path} is damaged (")
    assert message.endswith("): " + files.ADVICE)
    assert len(message) < len(str(path)) + 400
    assert "\n" not in message


@pytest.mark.parametrize("kind", [kind for kind in READERS if kind not in ("lines", "yaml")])
def test_a_file_cut_anywhere_is_damaged(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write, read = READERS[kind]
    write(path)
    content = path.read_bytes()
    whole = content.rstrip(b"\n")
    for end in {*range(0, len(whole) - 1, max(1, len(whole) // 40)), len(whole) - 1}:
        path.write_bytes(content[:end])
        with pytest.raises(RunError, match="is damaged"):
            read(path)


@pytest.mark.parametrize("kind", READERS)
def test_a_missing_file_is_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere is missing: "):
        READERS[kind][1](tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"name": "a", "name": "b", "counts": []}', "the key 'name' stands twice"),
        ('{"name": "a", "counts": [NaN]}', "it holds NaN"),
        ('{"name": "a", "counts": [1e999]}', "it holds 1e999"),
        ('{"name": "a"}', "counts: Field required"),
        ('{"name": 3, "counts": []}', "name: Input should be a valid string"),
        ('{"name": "a", "counts": ["1"]}', "counts.0: Input should be a valid integer"),
        ('{"name": "a", "counts": [' + "1" * 5000 + "]}", "integer string conversion"),
        ('["a"]', "valid dictionary or instance of Note"),
    ],
)
def test_json_says_nothing_twice_and_has_the_shape_that_was_asked_for(
    text: str, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "note.json"
    path.write_text(text)
    with pytest.raises(RunError) as error:
        files.read_json(path, Note)
    assert told in str(error.value)


def test_losses_may_be_nan_where_the_reader_says_so(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text('{"loss": NaN, "norm": Infinity}')
    assert files.read_json(path, dict[str, float], not_finite=True)["norm"] == float("inf")


def test_a_last_line_that_was_cut_is_left_out_only_where_its_writer_may_have_been_killed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert files.read_json_lines(path, dict[str, int], may_be_cut=True) == [{"step": 1}, {"step": 2}]
    with pytest.raises(RunError, match="line 3"):
        files.read_json_lines(path, dict[str, int])


def test_a_column_or_array_that_is_missing_or_of_another_type_is_named(tmp_path: Path) -> None:
    TABLE.write_parquet(tmp_path / "table")
    with pytest.raises(RunError, match="the column count is Int64 where String belongs"):
        files.read_parquet(tmp_path / "table", {"count": pl.String})
    with pytest.raises(RunError, match="the column title is missing"):
        files.read_parquet(tmp_path / "table", {"title": pl.String})


def test_polars_sees_no_parquet_file_that_arrow_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_the_process(*_: Any, **__: Any) -> None:
        raise AssertionError("what is damaged may end the process")

    TABLE.write_parquet(tmp_path / "table")
    content = (tmp_path / "table").read_bytes()
    (tmp_path / "table").write_bytes(content[:8] + b"\xff" * 8 + content[16:])
    monkeypatch.setattr(pl, "read_parquet", end_the_process)
    with pytest.raises(RunError, match="table is damaged"):
        files.read_parquet(tmp_path / "table")
    save_file({"counts": np.arange(3)}, tmp_path / "arrays")
    with pytest.raises(RunError, match="it has no weights, only counts"):
        files.read_safetensors(tmp_path / "arrays", ["weights"])


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["state.json"]


def test_the_temporary_file_takes_no_name_of_a_users_own(tmp_path: Path) -> None:
    for name in ("page.html.tmp", ".page.html.tmp", "page.tmp"):
        (tmp_path / name).write_text("mine")
    files.write_text(tmp_path / "page.html", "ours")
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {
        "page.html": "ours",
        "page.html.tmp": "mine",
        ".page.html.tmp": "mine",
        "page.tmp": "mine",
    }


def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "ours", "text")
        (tmp_path / "other").write_text("text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == 0o640
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_link_stays_a_link_and_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "page").write_text("old")
    (tmp_path / "page").symlink_to(tmp_path / "there" / "page")
    files.write_text(tmp_path / "page", "new")
    assert (tmp_path / "page").is_symlink()
    assert (tmp_path / "there" / "page").read_text() == "new"
    with pytest.raises(ConfigError, match="no ordinary file"):
        files.write_text(Path("/dev/null"), "text")
    with pytest.raises(ConfigError, match="no ordinary file"):
        files.write_text(tmp_path / "there", "text")


def test_what_cannot_be_written_is_told_by_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "page.html"
    with pytest.raises(FileNotFoundError) as told:
        files.write_text(path, "text")
    assert told.value.filename == str(path)


def test_a_long_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 120 + ".parquet")
    files.write_text(path, "text")
    assert path.read_text() == "text"


def half(folder: Path, error: BaseException, keep: Callable[[BaseException], bool] = lambda _: False) -> None:
    """Fail with `error` after something was made in `folder`."""
    with files.all_or_nothing(folder, keep=keep):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "half").write_text("half")
        (folder / "new").symlink_to(folder.parent)
        (folder / "half").write_text("half")
        raise error


def test_what_fails_leaves_nothing_that_is_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        half(tmp_path / "a" / "b", KeyError())
    assert list(tmp_path.iterdir()) == []


def test_what_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "text").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(KeyError):
        half(tmp_path, KeyError())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "mine"]
    assert (tmp_path / "mine" / "text").read_text() == "mine"


def test_what_is_to_be_gone_on_with_is_kept(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        half(tmp_path / "run", KeyboardInterrupt(), lambda error: isinstance(error, KeyboardInterrupt))
    assert (tmp_path / "run" / "half").is_file()
    with files.all_or_nothing(tmp_path / "done"):
        (tmp_path / "done").mkdir()
    assert (tmp_path / "done").is_dir()


@pytest.mark.parametrize("name", [None, "the temporary one"])
def test_a_disk_that_fills_up_is_told_with_the_file_that_was_asked_for(
    tmp_path: Path, name: str | None
) -> None:
    def write(temporary: Path) -> None:
        raise OSError(28, "No space left on device", name)

    with pytest.raises(OSError, match="No space left") as caught:
        files.write_atomically(tmp_path / "table.parquet", write)
    assert caught.value.filename == str(tmp_path / "table.parquet")
    assert list(tmp_path.iterdir()) == []
