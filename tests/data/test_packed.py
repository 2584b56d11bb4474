"""Files whose names and contents disagree, that are damaged, or that are no files."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from genrec.data import packed
from genrec.data.read import read
from genrec.errors import ConfigError, DataError
from hypothesis import given, settings
from hypothesis import strategies as st

LOG = b"user,item,time\nann,x,1700000001\nann,y,1700000002\nbo,x,1700000003\n"
JSON_LOG = b"".join(
    b'{"reviewerID": "%s", "asin": "%s", "unixReviewTime": %d, "overall": 4, "verified": true}\n' % row
    for row in [(b"ann", b"x", 1700000001), (b"ann", b"y", 1700000002), (b"bo", b"x", 1700000003)]
)


def zipped(content: bytes, *names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("inside",):
            archive.writestr(name, content)
    return target.getvalue()


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
    ".zip": zipped,
}


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize(("name", "content"), [("log.csv", LOG), ("log.json", JSON_LOG)])
def test_contents_count_not_names(
    name: str, content: bytes, packer: str, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"{name}{ending}"
    path.write_bytes(PACKERS[packer](content))
    data = read(path)
    assert data.name == "log"
    assert data.interactions.users.to_list() == ["ann", "bo"]
    assert data.catalogue.ids == ["x", "y"]
    assert data.interactions.times.tolist() == [1700000001, 1700000002, 1700000003]


@settings(deadline=None, max_examples=50)
@given(
    content=st.binary(max_size=300).map(lambda content: content.replace(b"\0", b"")),
    packer=st.sampled_from(list(PACKERS)),
)
def test_bytes_come_out_as_they_went_in(
    content: bytes, packer: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("packed") / "file"
    text = b"a" + content  # so that the first bytes are no mark
    path.write_bytes(PACKERS[packer](text))
    with packed.open_bytes(path) as file:
        assert file.read() == text


def test_recbole_in_packed_files(tmp_path: Path) -> None:
    log = b"user_id:token\titem_id:token\ttimestamp:float\na\t1\t1\na\t2\t2\nb\t1\t3\n"
    items = b"item_id:token\ttitle:token_seq\tgenre:token_seq\n1\tRed Door\tWar Drama\n2\tSea\t\n"
    (tmp_path / "films.inter.gz").write_bytes(gzip.compress(log))
    (tmp_path / "films.item.gz").write_bytes(gzip.compress(items))
    for source in (tmp_path, tmp_path / "films.inter.gz"):
        data = read(source)
        assert data.report.layout == "recbole"
        assert data.catalogue.titles == ["Red Door", "Sea"]
        assert data.catalogue.table["genres"].to_list() == [["War", "Drama"], None]


def test_blank_first_lines_are_stepped_over(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(b"\n  \r\n" + LOG + b"ann,y,soon\n")
    with pytest.raises(DataError, match=r"line 7 of log.csv has the time 'soon'"):
        read(tmp_path / "log.csv")
    (tmp_path / "log.csv").write_bytes(b"\n  \r\n" + LOG)
    assert read(tmp_path / "log.csv").interactions.num_interactions == 3
    (tmp_path / "u.data").write_bytes(b"\n1\t10\t4\t900\n1\t20\t5\tsoon\n")
    with pytest.raises(DataError, match=r"line 3 of u.data has the time 'soon'"):
        read(tmp_path / "u.data")


def test_a_mark_of_the_byte_order_is_no_part_of_the_first_id(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    (tmp_path / "sequences.txt").write_bytes(mark + b"ann x y\n")
    (tmp_path / "movies.dat").write_bytes(mark + b"x::Ex::Drama\ny::Why::War\n")
    data = read(tmp_path)
    assert data.interactions.users.to_list() == ["ann"]
    assert data.catalogue.titles == ["Ex", "Why"]
    (tmp_path / "log.json").write_bytes(mark + JSON_LOG)
    assert read(tmp_path / "log.json").interactions.num_interactions == 3


def test_a_header_that_polars_takes_for_packed(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(b"x^2,user,item,time\n4,u,i,5\n")
    assert read(tmp_path / "log.csv").catalogue.ids == ["i"]


def test_a_review_longer_than_python_reads_from_a_cell(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(f"user,item,time,text\nu,i,1700000001,{'long ' * 40_000}\n,j,1,\n")
    data = read(tmp_path / "log.csv")
    assert (data.interactions.num_interactions, data.report.dropped["no user"]) == (1, 1)


def test_what_a_file_may_unpack_to_is_limited_told_and_adjustable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = LOG + b"bo,y,1700000004\n" * 5000
    monkeypatch.setenv("GENREC_MAX_UNPACKED_GB", str(50_000 / 2**30))
    for ending, packer in PACKERS.items():
        path = tmp_path / f"log.csv{ending}"
        path.write_bytes(packer(content))
        if not ending:
            assert read(path).interactions.num_interactions == 4  # it is as long as it seems
            continue
        with pytest.raises(DataError, match=r"more than is allowed, 50,000 bytes: .*GENREC_MAX_UNPACKED_GB"):
            read(path)
    monkeypatch.setenv("GENREC_MAX_UNPACKED_GB", "0.001")
    assert read(tmp_path / "log.csv.gz").interactions.num_interactions == 4
    for size in ("lots", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("GENREC_MAX_UNPACKED_GB", size)
        with pytest.raises(ConfigError, match=rf"GENREC_MAX_UNPACKED_GB='{size}' is no size"):
            read(tmp_path / "log.csv.gz")


def test_a_line_without_an_end_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_LONGEST_LINE", 10_000_000)
    (tmp_path / "log.csv").write_bytes(LOG + b"bo,x,1700000004\n" * 700_000)
    assert read(tmp_path / "log.csv").report.rows == 700_003
    line = b'{"reviewerID": "' + b"a" * 11_000_000
    (tmp_path / "log.json.gz").write_bytes(gzip.compress(JSON_LOG + line, 1))
    with pytest.raises(DataError, match=r"line 4 of log.json.gz is longer than 10,000,000 bytes"):
        read(tmp_path / "log.json.gz")


def test_what_is_held_at_once_is_measured_against_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_BLOCK", 1000)
    monkeypatch.setattr("genrec.data.memory._ALWAYS_THERE", 0)
    monkeypatch.setattr("genrec.data.memory.machine_bytes", lambda: 1_000_000)
    for name, content in {
        "sequences.txt.gz": b"ann x y\n" * 40_000,
        "log.csv.bz2": LOG + b"bo,x,1700000004\n" * 40_000,
    }.items():
        (tmp_path / name).write_bytes(PACKERS[Path(name).suffix](content))
        with pytest.raises(
            ConfigError, match=rf"reading {name} needs about .*MB, and this machine has 1.0 MB"
        ):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.csv.gz", gzip.compress(LOG)[:-9], "log.csv.gz cannot be read: .*cut off or damaged"),
        ("log.csv.gz", gzip.compress(LOG)[:12], "log.csv.gz cannot be read: .*cut off or damaged"),
        ("log.json.gz", gzip.compress(JSON_LOG)[:-9], "log.json.gz cannot be read: .*cut off or damaged"),
        ("log.csv.gz", gzip.compress(LOG) + b"rest", "log.csv.gz cannot be read: .*Not a gzipped file"),
        ("log.csv.bz2", bz2.compress(LOG)[:-9], "log.csv.bz2 cannot be read"),
        ("log.csv.xz", lzma.compress(LOG)[:-9], "log.csv.xz cannot be read"),
        ("log.csv.zst", zstd(LOG)[:-9], "log.csv.zst cannot be read"),
        ("log.csv.zip", zipped(LOG)[:-9], "log.csv.zip cannot be read: File is not a zip file"),
        ("log.csv.zip", zipped(LOG, "a", "b"), "log.csv.zip is a zip archive of 2 files: unpack it"),
        ("log.csv", zipped(LOG, "[Content_Types].xml", "sheet"), "log.csv is an Office file: save it as CSV"),
        ("log.csv", LOG.decode().encode("utf-16"), "log.csv is UTF-16 text: save it as UTF-8"),
        ("log.json", JSON_LOG.decode().encode("utf-16"), "log.json is UTF-16 text: save it as UTF-8"),
        ("u.data", "1\t2\t3\t4\n".encode("utf-16"), "u.data is UTF-16 text"),
        ("log.csv", LOG.decode().encode("utf-16-le"), "line 1 of log.csv holds a NUL byte.*UTF-16"),
        ("log.csv", LOG + b"bo,\0,5\n", "line 5 of log.csv holds a NUL byte"),
        ("log.json", JSON_LOG + b'{"asin": "\0"}\n', "line 4 of log.json holds a NUL byte"),
        ("log.csv", b"PAR1\x15\x04rest", "log.csv is a Parquet file: let its name end in .parquet"),
        ("log.csv", b"7z\xbc\xaf\x27\x1c", "log.csv is a 7z archive: unpack it"),
        ("log.csv", b"\n \n\n", "log.csv is empty"),
        (
            "log.csv",
            LOG.replace(b",item", b',""item'),
            "first line of log.csv has quotes that do not enclose",
        ),
        ("log.csv", LOG.replace(b"time", b"t\x81me"), "line 1 of log.csv is neither UTF-8 nor Windows-1252"),
        (
            "log.csv",
            LOG.replace(b"bo", b"b\xf6") + "Zoë,x,5\n".encode(),
            "log.csv is not UTF-8 text in line 4, and is in line 5: save it as UTF-8",
        ),
        ("log.csv", LOG.replace(b"\n", b"\r"), "log.csv ends its lines with CR alone"),
        ("log.csv", b"user,item,time" + b"," * (1 << 20), "log.csv has no line end in its first MiB"),
    ],
    ids=lambda value: (
        value if isinstance(value, str) else ""
    ),  # packed bytes hold the time at which they were
)
def test_what_cannot_be_read_is_told_in_one_line(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def parquet(tmp_path: Path) -> bytes:
    frame = pl.DataFrame(
        {"user": ["u", "v"] * 20, "item": ["a", "b"] * 20, "time": range(1_700_000_000, 1_700_000_040)}
    )
    frame.write_parquet(tmp_path / "whole.parquet")
    return (tmp_path / "whole.parquet").read_bytes()


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_damaged_parquet_is_read_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("parquet")
    content = bytearray(parquet(folder))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[place] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(len(content) - 12, len(content))) :]
    (folder / "log.parquet").write_bytes(content)
    with suppress(DataError):  # anything else, a panic of polars too, fails the test
        read(folder / "log.parquet")


def test_what_a_parquet_file_may_unpack_to_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet(tmp_path)
    monkeypatch.setenv("GENREC_MAX_UNPACKED_GB", str(100 / 2**30))
    with pytest.raises(
        DataError, match=r"whole.parquet unpacks to .* or more, more than is allowed, 100 bytes"
    ):
        read(tmp_path / "whole.parquet")


def test_what_is_no_file_is_never_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match=r"pipe.csv is a pipe or device, not a file"):
        read(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match=r"zero is a pipe or device, not a file"):
        read("/dev/zero")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"folder.csv is in no known layout \(it holds nothing\)"):
        read(tmp_path / "folder.csv")
    with pytest.raises(DataError, match=r"folder.csv is a folder where a file is needed"):
        packed.open_bytes(tmp_path / "folder.csv")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    with pytest.raises(DataError, match=r"there is no file or folder .*loop.csv"):
        read(tmp_path / "loop.csv")
    with pytest.raises(DataError, match=r"x cannot be read: File name too long"):
        read(tmp_path / ("x" * 300))
    (tmp_path / "secret.csv").write_bytes(LOG)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # whoever runs the tests may be allowed to read all files
    with pytest.raises(DataError, match=r"secret.csv cannot be read: Permission denied"):
        read(tmp_path / "secret.csv")


def test_a_broken_file_that_nobody_asked_for_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "other.json.gz").write_bytes(gzip.compress(JSON_LOG)[:12])
    (tmp_path / "interactions.csv").write_bytes(LOG)
    assert read(tmp_path).report.source == "interactions.csv"
