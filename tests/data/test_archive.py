"""Archives that try to write where they should not."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest
from genrec.data import archive
from genrec.errors import DataError


def written(path: Path, **contents: str) -> Path:
    """A zip archive that holds the given texts by name."""
    with zipfile.ZipFile(path / "set.zip", "w", zipfile.ZIP_DEFLATED) as target:
        for name, text in contents.items():
            target.writestr(name, text)
    return path / "set.zip"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    folder.mkdir()
    return folder


def test_files_and_folders_come_out_as_they_went_in(tmp_path: Path, folder: Path) -> None:
    archive.unpack(
        written(tmp_path, **{"set/": "", "set/a.csv": "1,2\n" * 9999, "set/deep/b.csv": "é"}), folder
    )
    assert (folder / "set" / "a.csv").read_text() == "1,2\n" * 9999
    assert (folder / "set" / "deep" / "b.csv").read_text(encoding="utf-8") == "é"
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 2


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "set/../../evil", "..\\evil", "C:evil", "\\\\host\\evil"]
)
def test_paths_that_lead_out_are_refused_before_anything_is_written(
    tmp_path: Path, folder: Path, name: str
) -> None:
    with pytest.raises(DataError, match="leads out of its folder"):
        archive.unpack(written(tmp_path, **{"set/a.csv": "1", name: "evil"}), folder)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["content", "set.zip"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path: Path, folder: Path, kind: int) -> None:
    entry = zipfile.ZipInfo("set/link")
    entry.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as target:
        target.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match="link or device"):
        archive.unpack(tmp_path / "set.zip", folder)
    assert not list(folder.iterdir())


def test_bombs_are_refused(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENREC_MAX_UNPACKED_GB", str(1000 / 2**30))
    with pytest.raises(
        DataError,
        match=r"would unpack to 1,001 bytes, more than is allowed, 1,000 bytes: .*GENREC_MAX_UNPACKED_GB",
    ):
        archive.unpack(written(tmp_path, a="0" * 500, b="0" * 501), folder)
    assert not list(folder.iterdir())
    archive.unpack(written(tmp_path, a="0" * 500, b="0" * 500), folder)


def test_a_smaller_size_in_the_table_of_contents_does_not_help_a_bomb(tmp_path: Path, folder: Path) -> None:
    path = written(tmp_path, a="0" * 5000)
    body = path.read_bytes().replace((5000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(body)
    with pytest.raises(DataError, match="no whole zip archive"):
        archive.unpack(path, folder)
    assert (folder / "a").stat().st_size <= 10


def test_damage_is_told(tmp_path: Path, folder: Path) -> None:
    path = written(tmp_path, a="text " * 100)
    body = bytearray(path.read_bytes())
    body[40] ^= 0xFF
    path.write_bytes(body)
    with pytest.raises(DataError, match="no whole zip archive"):
        archive.unpack(path, folder)


def test_locked_archives_are_refused(tmp_path: Path, folder: Path) -> None:
    path = written(tmp_path, a="text")
    body = bytearray(path.read_bytes())
    body[6] |= 1  # the flag for encryption, in the entry and in the table of contents
    body[body.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(body)
    with pytest.raises(DataError, match="locked with a password"):
        archive.unpack(path, folder)
