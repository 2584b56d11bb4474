"""Tables that are not UTF-8."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from genrec.data.read import read
from genrec.errors import DataError

LOG = "Käufer;Artikel;Zeit\nJosé;a1;2\nBjörn;b2;1\nJosé;b2;3\n"
ITEMS = "Artikel;Bezeichnung;Größe\na1;Spülmittel “Öko”;klein\nb2;Bürste – 5 €;groß\n"


def written(folder: Path, encoding: str) -> tuple[Path, Path]:
    (folder / "log.csv").write_bytes(LOG.encode(encoding))
    (folder / "items.csv.gz").write_bytes(gzip.compress(ITEMS.encode(encoding)))
    return folder / "log.csv", folder / "items.csv.gz"


def test_windows_1252_is_read_as_the_same_text_as_utf_8(tmp_path: Path) -> None:
    columns = {"user_id": "Käufer"}
    expected = read(*written(tmp_path, "utf-8"), columns=columns)
    data = read(*written(tmp_path, "windows-1252"), columns=columns)
    assert data.fingerprint == expected.fingerprint
    assert data.details == expected.details
    assert data.catalogue.table["Größe"].to_list() == ["groß", "klein"]
    assert sorted(data.catalogue.titles) == ["Bürste – 5 €", "Spülmittel “Öko”"]
    notes = [note for note in data.report.notes if "Windows-1252" in note]
    assert [note.split(":")[0] for note in notes] == [
        "log.csv is not UTF-8 in 4 lines and was read as Windows-1252 (Latin-1), as in 'Käufer'",
        "items.csv.gz is not UTF-8 in 3 lines and was read as Windows-1252 (Latin-1), as in 'Größe'",
    ]
    assert not any("Windows-1252" in note for note in expected.report.notes)


def test_places_are_told_of_text_in_windows_1252(tmp_path: Path) -> None:
    log, _ = written(tmp_path, "windows-1252")
    log.write_bytes(log.read_bytes() + "José;a1;2;zu viel\n".encode("windows-1252"))
    with pytest.raises(DataError, match=r"line 5 of log.csv has 4 fields, and the first line has 3"):
        read(log, columns={"user_id": "Käufer"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Zoë,a,1\n".encode() + b"b\xf6,a,1\n", "is UTF-8 text in line 2, and is not further on: save it"),
        (b"b\xf6,a,1\n" + "Zoë,a,1\n".encode(), "is not UTF-8 text in line 2, and is in line 3: save it"),
        ("佐藤,a,1\n".encode("shift-jis"), "line 2 of log.csv is neither UTF-8 nor Windows-1252"),
        (b"u\xa0,a,1\nv,b,\xe4\n", "line 3 of log.csv has the time 'ä'"),
        ("Zoë,a,1\n".encode()[:3], "line 2 of log.csv has 1 fields"),
    ],
)
def test_other_encodings_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(b"user,item,time\n" + content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "log.csv")
