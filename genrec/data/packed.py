"""Users' text files, decompressed up to a limit.

A file's first bytes decide how it is compressed, not its name: browsers unpack a `.gz` and keep the name. Every reader
of text goes through `open_bytes`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import os
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from genrec.data.memory import check_fits
from genrec.errors import ConfigError, DataError

SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")
LIMIT = "GENREC_MAX_UNPACKED_GB"  # environment: what one packed file may unpack to, in units of 2^30 bytes
DEFAULT_GB = 8.0  # MovieLens 25M, the largest zip archive we know, unpacks to 1.2 GB

_BLOCK = 1 << 20
_LONGEST_LINE = 1 << 30  # bytes; who reads lines holds a whole one
_BOM = b"\xef\xbb\xbf"
_DAMAGED = (
    *(OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile),
    *(RuntimeError, NotImplementedError),  # what zipfile raises for a password or an unknown method
)
_MARKS = (  # first bytes of what is packed in a way that we can unpack
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
)
_FOREIGN = (  # first bytes of what is no text at all, and what to do about it
    (b"\xff\xfe", "is UTF-16 text: save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16 text: save it as UTF-8"),
    (b"PAR1\x15", "is a Parquet file: let its name end in .parquet"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it"),
    (b"Rar!\x1a\x07", "is a RAR archive: unpack it"),
    (b"\x1f\x9d", "is packed with compress: unpack it"),
    (b"\x04\x22\x4d\x18", "is packed with lz4: unpack it"),
    (b"PK\x05\x06", "is an empty zip archive: give one that holds a file"),
    (b"\xd0\xcf\x11\xe0", "is an old Office file: save it as CSV"),
)


def limit_bytes() -> int:
    """What one packed file may unpack to: `GENREC_MAX_UNPACKED_GB`, else 8 of 2^30 bytes each.

    Raises:
        ConfigError: the variable holds no positive number.
    """
    text = os.environ.get(LIMIT, "").strip()
    try:
        size = float(text or DEFAULT_GB)
    except ValueError:
        size = math.nan
    if not 0 < size < 1 << 30:
        raise ConfigError(f"{LIMIT}={text!r} is no size: give a positive number of GB, such as 8 or 0.5")
    return int(size * (1 << 30))


def too_large(name: str, found: str) -> DataError:
    """The error about a file that unpacks to more than is allowed."""
    return DataError(
        f"{name} {found}, {limit_bytes():,} bytes: do not trust it, or allow more by setting {LIMIT} "
        f"(in GB, 8 unless set)"
    )


def size_of(path: Path) -> int:
    """Bytes of a regular file.

    Raises:
        DataError: no regular file, or one that may not be read.
    """
    with _opened(path) as file:
        return os.fstat(file.fileno()).st_size


def packing(path: Path) -> str:
    """`gzip`, `bzip2`, `xz`, `zstd` or `zip`, by the file's first bytes; empty for a plain file.

    Raises:
        DataError: no regular file, a file that may not be read, or one that is no text, packed or not.
    """
    with _opened(path) as file:
        start = file.read(8)
    for mark, what in _FOREIGN:
        if start.startswith(mark):
            raise DataError(f"{path.name} {what}")
    return next((name for mark, name in _MARKS if start.startswith(mark)), "")


def open_bytes(path: Path) -> IO[bytes]:
    """The text of a file as bytes: unpacked, without a byte order mark.

    Reading raises a `DataError` where the file is damaged, holds a NUL byte, as no text does, or unpacks to more
    than the limit.

    Raises:
        DataError: see `packing`; a zip archive that holds more than one file.
    """
    packed = packing(path)
    file = io.BufferedReader(_Guarded(path, _UNPACK[packed], limit_bytes() if packed else None), _BLOCK)
    if file.peek(len(_BOM)).startswith(_BOM):
        file.read(len(_BOM))
    return file


def read_bytes(path: Path, copies: int) -> bytes:
    """All of a text file at once, for a reader that needs `copies` times its size.

    Raises:
        DataError: see `open_bytes`.
        ConfigError: it does not fit into memory; raised before all of it is read.
    """
    blocks: list[bytes] = []
    with open_bytes(path) as file:
        while block := file.read(_BLOCK):
            blocks.append(block)
            if not len(blocks) % 64:
                check_fits(
                    f"reading {path.name}", len(blocks) * _BLOCK * copies, "split it into several files"
                )
    return b"".join(blocks)


def examine(path: Path) -> str:
    """`packing`, after all of the file has been read once as `open_bytes` reads it.

    Raises:
        DataError: see `open_bytes`.
    """
    with open_bytes(path) as file:
        while file.read(_BLOCK):
            pass
    return packing(path)


def _opened(path: Path) -> IO[bytes]:
    """A regular file: the others (pipes, devices) may never end."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise DataError(f"{path} is a folder where a file is needed: give the file in it")
    raise DataError(f"{path} is a pipe or device, not a file: save its contents as a file first")


def _zip_member(path: Path) -> IO[bytes]:
    try:
        archive = zipfile.ZipFile(path)
        names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
        names = [name for name in names if not name.startswith("__MACOSX/")]
        if len(names) == 1:
            return archive.open(names[0])
    except _DAMAGED as error:
        raise _damaged(path.name, error) from None
    if "[Content_Types].xml" in names:
        raise DataError(f"{path.name} is an Office file: save it as CSV")
    raise DataError(f"{path.name} is a zip archive of {len(names)} files: unpack it and give what it holds")


def _zstd(path: Path) -> IO[bytes]:
    import pyarrow

    stream: IO[bytes] = pyarrow.input_stream(str(path), compression="zstd")
    return stream


_UNPACK: dict[str, Callable[[Path], IO[bytes] | Any]] = {
    "": _opened,
    "gzip": gzip.GzipFile,
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "zstd": _zstd,
    "zip": _zip_member,
}


class _Guarded(io.RawIOBase):
    """A stream that tells in words what is wrong with it, as it is read."""

    def __init__(self, path: Path, unpack: Callable[[Path], IO[bytes]], limit: int | None) -> None:
        self._path, self._unpack, self._limit = path, unpack, limit
        self._stream = unpack(path)
        self._bytes, self._line_start = 0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            block = self._stream.read(len(buffer))
        except _DAMAGED as error:
            raise _damaged(self._path.name, error) from None
        nul = block.find(b"\0")
        if nul >= 0:
            raise DataError(
                f"line {self._line_at(self._bytes + nul)} of {self._path.name} holds a NUL byte: text has none; "
                "save UTF-16 as UTF-8, and unpack archives"
            )
        newest = block.rfind(b"\n")
        self._line_start = self._line_start if newest < 0 else self._bytes + newest + 1
        self._bytes += len(block)
        if self._bytes - self._line_start > _LONGEST_LINE:
            raise DataError(
                f"line {self._line_at(self._line_start)} of {self._path.name} is longer than {_LONGEST_LINE:,} bytes: "
                "write one row or object a line"
            )
        if self._limit is not None and self._bytes > self._limit:
            raise too_large(self._path.name, "unpacks to more than is allowed")
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._stream.close()
        super().close()

    def _line_at(self, position: int) -> int:
        """Line, from 1, of a byte that has been read; counted only now, since that takes as long as unpacking."""
        lines = 1
        with self._unpack(self._path) as stream:
            while position > 0:
                block = stream.read(min(_BLOCK, position))
                lines += block.count(b"\n")
                position -= len(block)
        return lines


def _damaged(name: str, error: BaseException) -> DataError:
    reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return DataError(f"{name} cannot be read: {reason}; it is cut off or damaged, so get it again")
