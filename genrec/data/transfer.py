"""One file over HTTP, however often the connection breaks.

What has arrived lies in a part file, and beside it a note of the length and of the publisher's mark of the
version (ETag or date). A later attempt asks for the missing rest of that version only (`Range` with
`If-Range`, https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5); a server without ranges sends the whole
file anew.
"""

from __future__ import annotations

import http.client
import io
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from genrec import __version__
from genrec.data.files import read_json, write_json
from genrec.errors import DataError, RunError

Progress = Callable[[int, int | None], None]  # (bytes that are here, bytes in all where known)

_TIMEOUT_S = 30.0  # for the connection and for each read
_STALL_S, _STALL_BYTES = 60.0, 10_000  # an attempt ends where fewer bytes than that come in this time
_ATTEMPTS = 4  # in a row that each bring fewer bytes than that
_FIRST_WAIT_S = 1.0  # doubles with each such attempt
_PASSING = {408, 416, 425, 429, 500, 502, 503, 504}  # HTTP answers that are worth another attempt
_CHUNK_BYTES = 1 << 18


class NotThereError(DataError):
    """The publisher has no such file."""


def fetch(url: str, part: Path, progress: Progress) -> None:
    """Download `url` into `part`, going on from what it already holds.

    Raises:
        NotThereError: the server says that there is no such file.
        DataError: the server refuses, or cannot be reached in several attempts; what has arrived is kept.
        OSError: `part` cannot be written.
    """
    failures = 0
    while True:
        before = _size(part)
        try:
            _attempt(url, part, progress)
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                raise NotThereError(
                    f"{url} is not there (HTTP {error.code}): its publisher may have moved it"
                ) from None
            if error.code not in _PASSING:
                raise DataError(
                    f"{url} was refused (HTTP {error.code} {error.reason}): try later or a mirror"
                ) from None
            if error.code == 416:  # the rest that was asked for does not exist: the file is not the one begun
                forget(part)
            problem = f"HTTP {error.code} {error.reason}"
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            ConnectionError,
            TimeoutError,
            ssl.SSLError,
        ) as error:
            problem = str(getattr(error, "reason", error))
        failures = 0 if _size(part) - before >= _STALL_BYTES else failures + 1
        if failures >= _ATTEMPTS:
            raise DataError(
                f"{url} could not be downloaded in {_ATTEMPTS} attempts ({problem}); {_size(part):,} bytes "
                "are kept: repeat the command to go on"
            )
        time.sleep(_FIRST_WAIT_S * 2 ** max(failures - 1, 0))


def forget(part: Path) -> None:
    """Remove a part and its note."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, progress: Progress) -> None:
    size, version = _begun(part)
    start = _size(part) if version else 0
    if version and start == size:
        return
    headers = {"User-Agent": f"genrec/{__version__}", "Accept-Encoding": "identity"}
    if version and start:
        headers |= {"Range": f"bytes={start}-", "If-Range": version}
    opener = urllib.request.build_opener(_Http, _Https)
    with opener.open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S) as response:
        if response.status == 206:
            if response.headers.get("Content-Range") != f"bytes {start}-{(size or 0) - 1}/{size}":
                forget(part)
                raise ConnectionError("the server sent another part than the one asked for")
        else:
            start, size = 0, _length(response)
            forget(part)
            # Written before the first byte: a part without its note is never continued.
            write_json(_note(part), {"bytes": size, "version": _version(response)}, indent=None)
        with part.open("ab") as stream:
            progress(start, size)
            while chunk := response.read1(_CHUNK_BYTES):
                stream.write(chunk)
                start += len(chunk)
                progress(start, size)
    if size is not None and start < size:
        raise ConnectionError(f"the connection ended after {start:,} of {size:,} bytes")


class _Steady(io.RawIOBase):
    """What comes over a connection, headers and all, as long as enough of it comes.

    A time limit on each read is none for a server that sends one byte at a time.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self.raw, self.begun, self.num_bytes = raw, time.monotonic(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count: int | None = self.raw.readinto(buffer)  # type: ignore[attr-defined]
        self.num_bytes += count or 0
        seconds = time.monotonic() - self.begun
        if seconds >= _STALL_S:
            if count and self.num_bytes < _STALL_BYTES:
                raise TimeoutError(f"{self.num_bytes:,} bytes in {seconds:.0f} seconds")
            self.begun, self.num_bytes = time.monotonic(), 0
        return count

    def close(self) -> None:
        self.raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_Steady(self.fp.detach()))  # type: ignore[arg-type, attr-defined]


class _HttpConnection(http.client.HTTPConnection):
    response_class = _Response


class _HttpsConnection(http.client.HTTPSConnection):
    response_class = _Response


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_HttpConnection, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_HttpsConnection, req)


def _length(response: Any) -> int | None:
    text = response.headers.get("Content-Length")
    return int(text) if text is not None and re.fullmatch(r"\d+", text) else None


def _version(response: Any) -> str | None:
    """What tells this version of the file from others; a weak ETag may not be used to join parts."""
    etag: str | None = response.headers.get("ETag")
    modified: str | None = response.headers.get("Last-Modified")
    return etag if etag and not etag.startswith("W/") else modified


def _begun(part: Path) -> tuple[int | None, str | None]:
    """Length and version of a part that can be continued; both None where it cannot."""
    try:
        note = read_json(_note(part), _Note)
    except RunError:  # missing or damaged: the part is downloaded again
        return None, None
    return (note.bytes, note.version) if note.bytes and note.version else (None, None)


class _Note(BaseModel):
    """What is known of a part: the length of the whole file, and what tells its version from others."""

    bytes: int | None
    version: Annotated[str, Field(pattern=r"^[ -~]*$")] | None  # it goes into a header


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
