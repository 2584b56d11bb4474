"""Downloads against a server on this machine that misbehaves in the ways real ones do."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from genrec.data import download, transfer
from genrec.data.read import read
from genrec.data.sources import BASE_URLS, sources
from genrec.errors import ConfigError, DataError

from local_server import listening


@dataclass
class Site:
    """What the server holds and how it behaves."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # (path, Range header)
    break_after: list[int] = field(default_factory=list)  # bytes after which the next answers break off
    failures: list[int] = field(default_factory=list)  # HTTP codes of the next answers
    ranges: bool = True
    etag: str | None = '"v1"'

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.requests.append((request.path, wanted))
        body = self.files.get(request.path)
        if self.failures or body is None:
            request.send_error(self.failures.pop(0) if self.failures else 404)
            return
        start = 0
        if wanted and self.ranges and request.headers.get("If-Range") == self.etag:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            request.send_response(200)
        if self.etag:
            request.send_header("ETag", self.etag)
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        keep = self.break_after.pop(0) if self.break_after else len(body)
        request.wfile.write(body[start : start + keep])


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    with listening(site.answer) as site.url:
        yield site


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_FIRST_WAIT_S", 0.0)


@pytest.fixture
def get(site: Site, tmp_path: Path) -> Callable[..., Path]:
    def call(name: str, **options: object) -> Path:
        urls = {publisher: f"{site.url}/{publisher}" for publisher in BASE_URLS}
        return download.get(name, tmp_path, base_urls=urls, progress=False, **options)

    return call


RATINGS = "".join(
    f"{row % 50 + 1}\t{row % 97 + 1}\t{row % 5 + 1}\t{880_000_000 + row}\n" for row in range(5000)
)
ITEMS = "".join(
    f"{row}|Film {row} (1990)|01-Jan-1990||x|" + "|".join("0" * 19) + "\n" for row in range(1, 98)
)


def zipped(files: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, content in files.items():
            target.writestr(name, content)
    return buffer.getvalue()


def serve_ml100k(site: Site, body: bytes | None = None, md5: str = "{} *ml-100k.zip\n") -> bytes:
    body = body or zipped({"ml-100k/": "", "ml-100k/u.data": RATINGS, "ml-100k/u.item": ITEMS})
    site.files["/movielens/ml-100k.zip"] = body
    site.files["/movielens/ml-100k.zip.md5"] = md5.format(hashlib.md5(body).hexdigest()).encode()
    return body


def serve_beauty(site: Site, reviews: bytes = b'{"asin": "a"}\n' * 3000) -> None:
    site.files["/amazon2014/reviews_Beauty_5.json.gz"] = gzip.compress(reviews, mtime=0)
    site.files["/amazon2014/meta_Beauty.json.gz"] = gzip.compress(b"{'asin': 'a', 'title': 'b'}\n", mtime=0)


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_downloaded_folders_are_read_as_they_are(site: Site, get: Callable[..., Path]) -> None:
    serve_ml100k(site)
    films = read(get("ml-100k"))
    assert (films.report.layout, films.interactions.num_interactions) == ("movielens-100k", 5000)
    review = {"reviewerID": "u", "asin": "a", "helpful": [0, 0], "overall": 5.0, "reviewText": "x"}
    lines = [{**review, "asin": asin, "unixReviewTime": time} for time, asin in enumerate("abc")]
    serve_beauty(site, "".join(json.dumps(line) + "\n" for line in lines).encode())
    beauty = read(get("amazon2014-Beauty"), untitled="id")
    assert beauty.report.layout == "amazon-2014"
    assert beauty.interactions.num_interactions == 3


@pytest.mark.parametrize("md5", ["{} *ml-100k.zip\n", "MD5 (ml-100k.zip) = {}\n", "{}  ml-100k.zip"])
def test_archive_is_checked_unpacked_and_noted(
    site: Site, get: Callable[..., Path], tmp_path: Path, md5: str
) -> None:
    body = serve_ml100k(site, md5=md5)
    folder = get("ml-100k")
    assert folder == tmp_path / "ml-100k"
    assert (folder / "u.data").read_text() == RATINGS
    assert left_over(tmp_path) == ["SOURCE.json", "u.data", "u.item"]
    assert [path.name for path in tmp_path.iterdir()] == ["ml-100k"]
    (note,) = json.loads((folder / "SOURCE.json").read_text())["files"]
    assert note["sha256"] == hashlib.sha256(body).hexdigest()
    assert note["bytes"] == len(body)
    assert note["checked_by"] == "the publisher's MD5"


def test_broken_connection_goes_on_where_it_stopped(site: Site, get: Callable[..., Path]) -> None:
    body = serve_ml100k(site)
    site.break_after = [10_000, 1000, 2000]  # the first answer is the checksum's, which is shorter
    assert (get("ml-100k") / "u.data").read_text() == RATINGS
    ranges = [wanted for path, wanted in site.requests if path.endswith(".zip")]
    assert ranges == [None, "bytes=1000-", "bytes=3000-"]
    assert len(body) > 3000


def test_second_call_goes_on_where_the_first_gave_up(
    site: Site, get: Callable[..., Path], tmp_path: Path
) -> None:
    serve_ml100k(site)
    site.break_after = [10_000, 1000, 0, 0, 0]
    with pytest.raises(
        DataError, match=r"ml-100k\.zip could not be downloaded in 4 attempts.*1,000 bytes are kept"
    ):
        get("ml-100k")
    assert not (tmp_path / "ml-100k").exists()
    site.requests.clear()
    get("ml-100k")
    assert site.requests == [("/movielens/ml-100k.zip.md5", None), ("/movielens/ml-100k.zip", "bytes=1000-")]


@pytest.mark.parametrize("change", ["new version", "no version", "no ranges"])
def test_parts_of_different_versions_are_never_joined(
    site: Site, get: Callable[..., Path], change: str
) -> None:
    serve_ml100k(site, zipped({"ml-100k/u.data": "old " * 9000}))
    site.etag = None if change == "no version" else '"v1"'
    site.break_after = [10_000, 500, 0, 0, 0]
    with pytest.raises(DataError, match="4 attempts"):
        get("ml-100k")
    serve_ml100k(site)
    site.etag = {"new version": '"v2"', "no version": None, "no ranges": '"v1"'}[change]
    site.ranges = change != "no ranges"
    assert (get("ml-100k") / "u.data").read_text() == RATINGS


def test_passing_server_errors_are_tried_again(site: Site, get: Callable[..., Path]) -> None:
    serve_ml100k(site)
    site.failures = [503, 429, 500]
    assert (get("ml-100k") / "u.data").exists()


@pytest.mark.parametrize(("code", "message"), [(404, "is not there"), (403, "was refused")])
def test_lasting_server_errors_are_not(site: Site, get: Callable[..., Path], code: int, message: str) -> None:
    site.failures = [code] * 10
    with pytest.raises(DataError, match=rf"\.gz {message}.*HTTP {code}"):
        get("amazon2023-All_Beauty")
    assert len(site.requests) == 1


def test_a_download_of_which_nothing_came_leaves_nothing(site: Site, tmp_path: Path) -> None:
    site.failures = [403]
    urls = {publisher: f"{site.url}/{publisher}" for publisher in BASE_URLS}
    with pytest.raises(DataError, match="was refused"):
        download.get("ml-100k", tmp_path / "new" / "folder", base_urls=urls, progress=False)
    assert not (tmp_path / "new").exists()


def test_silent_server_runs_into_the_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # listens and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(DataError, match="timed out"):
            transfer.fetch(address, tmp_path / "x", lambda done, total: None)


def test_wrong_checksum_leaves_nothing(site: Site, get: Callable[..., Path], tmp_path: Path) -> None:
    serve_ml100k(site, md5="0" * 32)
    with pytest.raises(DataError, match="publisher says 0000"):
        get("ml-100k")
    assert left_over(tmp_path) == []
    serve_ml100k(site)
    assert (get("ml-100k") / "u.data").exists()


def test_checksum_file_without_a_checksum(site: Site, get: Callable[..., Path]) -> None:
    serve_ml100k(site, md5="<html>moved</html>")
    with pytest.raises(DataError, match="holds no MD5"):
        get("ml-100k")


def test_archive_whose_mirror_has_no_checksum_is_noted_so(site: Site, get: Callable[..., Path]) -> None:
    serve_ml100k(site)
    del site.files["/movielens/ml-100k.zip.md5"]
    (note,) = json.loads((get("ml-100k") / "SOURCE.json").read_text())["files"]
    assert note["checked_by"].startswith("no checksum is published; this SHA-256 was recorded")


def test_gzip_files_stay_packed_and_are_recorded(
    site: Site, get: Callable[..., Path], tmp_path: Path
) -> None:
    serve_beauty(site)
    folder = get("amazon2014-Beauty")
    assert left_over(tmp_path) == ["SOURCE.json", "meta_Beauty.json.gz", "reviews_Beauty_5.json.gz"]
    assert gzip.decompress((folder / "meta_Beauty.json.gz").read_bytes()).startswith(b"{'asin'")
    again = get("amazon2014-Beauty", force=True)
    notes = json.loads((again / "SOURCE.json").read_text())["files"]
    assert all("equal to the SHA-256 recorded" in note["checked_by"] for note in notes)


def test_file_that_changed_since_the_first_download_is_refused(site: Site, get: Callable[..., Path]) -> None:
    serve_beauty(site)
    folder = get("amazon2014-Beauty")
    before = (folder / "reviews_Beauty_5.json.gz").read_bytes()
    serve_beauty(site, b'{"asin": "other"}\n')
    with pytest.raises(DataError, match="is not the file of the first download"):
        get("amazon2014-Beauty", force=True)
    assert (folder / "reviews_Beauty_5.json.gz").read_bytes() == before


def test_damaged_gzip_is_refused(site: Site, get: Callable[..., Path], tmp_path: Path) -> None:
    serve_beauty(site)
    site.files["/amazon2014/meta_Beauty.json.gz"] = b"<html>not found</html>"
    with pytest.raises(DataError, match=r"meta_Beauty\.json\.gz is no whole gzip file"):
        get("amazon2014-Beauty")
    assert left_over(tmp_path) == ["reviews_Beauty_5.json.gz"]  # checked: not downloaded a second time
    site.requests.clear()
    serve_beauty(site)
    get("amazon2014-Beauty")
    assert [path for path, _ in site.requests] == ["/amazon2014/meta_Beauty.json.gz"]


def test_archive_that_leads_out_of_its_folder_is_refused(
    site: Site, get: Callable[..., Path], tmp_path: Path
) -> None:
    serve_ml100k(site, zipped({"ml-100k/u.data": RATINGS, "../evil.txt": "evil"}))
    with pytest.raises(DataError, match="leads out of its folder"):
        get("ml-100k")
    assert left_over(tmp_path) == []


def test_damaged_archive_is_refused(site: Site, get: Callable[..., Path], tmp_path: Path) -> None:
    serve_ml100k(site, b"PK no archive at all")
    with pytest.raises(DataError, match="no whole zip archive"):
        get("ml-100k")
    assert not (tmp_path / "ml-100k").exists()
    serve_ml100k(site)
    assert (get("ml-100k") / "u.data").exists()


def test_existing_folder_is_left_alone(site: Site, get: Callable[..., Path], tmp_path: Path) -> None:
    serve_ml100k(site)
    folder = get("ml-100k")
    (folder / "u.data").write_text("mine")
    with pytest.raises(ConfigError, match=r"exists already.*--force"):
        get("ml-100k")
    assert (folder / "u.data").read_text() == "mine"
    get("ml-100k", force=True)
    assert (folder / "u.data").read_text() == RATINGS
    assert [path.name for path in tmp_path.iterdir()] == ["ml-100k"]


def test_force_never_replaces_a_folder_that_no_download_made(
    site: Site, get: Callable[..., Path], tmp_path: Path
) -> None:
    serve_ml100k(site)
    (tmp_path / "ml-100k").mkdir()
    (tmp_path / "ml-100k" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="is not replaced"):
        get("ml-100k", force=True)
    assert left_over(tmp_path) == ["thesis.txt"]


@pytest.mark.parametrize("noted", [True, False], ids=["content noted", "noted by an older version"])
@pytest.mark.parametrize("name", ["thesis.txt", "deep/thesis.txt", ".hidden"])
def test_force_never_removes_a_file_that_no_download_put_there(
    site: Site, get: Callable[..., Path], tmp_path: Path, name: str, noted: bool
) -> None:
    serve_ml100k(site)
    folder = get("ml-100k")
    if not noted:
        note = json.loads((folder / "SOURCE.json").read_text())
        del note["content"]
        (folder / "SOURCE.json").write_text(json.dumps(note))
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("years of work")
    site.requests.clear()
    with pytest.raises(ConfigError, match=rf"is not replaced: it holds {re.escape(name)}, which no download"):
        get("ml-100k", force=True)
    assert bool(site.requests) is not noted  # told before hours of downloading, where it can be
    assert path.read_text() == "years of work"
    path.unlink()
    if name.startswith("deep"):
        path.parent.rmdir()
    assert get("ml-100k", force=True) == folder


@pytest.mark.parametrize(
    "note",
    [
        "",
        "[]",
        "{",
        '{"bytes": "many", "version": "v1"}',
        '{"bytes": 5}',
        '{"bytes": 9, "version": "v\\r\\nX: y"}',
    ],
)
def test_a_part_with_a_damaged_note_is_begun_anew(tmp_path: Path, site: Site, note: str) -> None:
    site.files["/x"] = b"0123456789"
    part = tmp_path / "x.part"
    part.write_bytes(b"other")
    (tmp_path / "x.part.json").write_text(note)
    transfer.fetch(f"{site.url}/x", part, lambda done, total: None)
    assert part.read_bytes() == b"0123456789"
    assert site.requests == [("/x", None)]


@pytest.mark.parametrize("what", ["headers", "body", "chunks"])
def test_a_server_that_drips_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(transfer, "_STALL_S", 0.1)
    asked = []

    def drip(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
        if what == "chunks":
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        if what != "headers":
            request.wfile.write(head)
        drops = {
            "headers": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300,
            "body": b"x" * 300,
            "chunks": b"0" * 300,
        }
        for byte in drops[what]:
            time.sleep(0.01)
            try:
                request.wfile.write(bytes([byte]))
            except OSError:  # the reader had enough
                return

    with (
        listening(drip) as address,
        pytest.raises(DataError, match=r"in 4 attempts \(\d+ bytes in 0 seconds\)"),
    ):
        transfer.fetch(f"{address}/x", tmp_path / "x", lambda done, total: None)
    assert len(asked) == 4


def test_folder_that_cannot_be_made(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="could not be written"):
        download.get("ml-100k", tmp_path / "file", base_urls={"movielens": site.url}, progress=False)


def test_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(ConfigError, match=r"'ml-100'.*did you mean.*ml-100k"):
        download.get("ml-100", ".")
    with pytest.raises(ConfigError, match=r"amazon2014-Beauty"):
        download.get("amazon2014-Beuaty", ".")
    with pytest.raises(ConfigError, match="publishers are movielens"):
        download.get("ml-100k", ".", base_urls={"grouplens": "http://localhost"})


def test_names_may_be_spelt_freely(site: Site, get: Callable[..., Path]) -> None:
    serve_beauty(site)
    assert get("amazon2014_beauty").name == "amazon2014-Beauty"


def test_progress_bar_goes_to_stderr(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    serve_ml100k(site)
    download.get("ml-100k", tmp_path, base_urls={"movielens": f"{site.url}/movielens/"})
    out, err = capsys.readouterr()
    assert out == ""
    assert "ml-100k.zip" in err


def test_table_of_sources_is_whole() -> None:
    table = sources()
    assert download.names() == list(table)
    assert {"ml-100k", "ml-1m", "ml-latest-small", "ml-25m", "ml-32m"} <= set(table)
    assert sum(name.startswith("amazon2014-") for name in table) == 24
    assert sum(name.startswith("amazon2023-") for name in table) == 34
    for source in table.values():
        assert source.publisher in BASE_URLS
        assert source.about
        assert source.page.startswith("https://")
        assert source.files
    assert all(url.startswith("https://") and url.endswith("/") for url in BASE_URLS.values())
