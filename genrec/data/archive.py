"""Unpack zip archives from the net without letting them write anywhere else."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from genrec.data.packed import limit_bytes, too_large
from genrec.errors import DataError


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip archive into `folder`, which exists and is empty.

    Raises:
        DataError: the archive is damaged or locked, unpacks to more than is allowed, or holds a link or a path
            that leads out of the folder. All names are looked at before the first byte is written.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = zipped.infolist()
            for entry in entries:
                _refuse_unsafe(archive, entry)
            total = sum(entry.file_size for entry in entries)
            if total > limit_bytes():
                raise too_large(archive.name, f"would unpack to {total:,} bytes, more than is allowed")
            for entry in entries:
                path = folder / entry.filename
                if entry.is_dir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                # zipfile yields no more than an entry declares, so the bound above holds here too.
                with zipped.open(entry) as packed, path.open("wb") as plain:
                    shutil.copyfileobj(packed, plain)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error) as error:
        raise DataError(f"{archive.name} is no whole zip archive ({error}): download it again") from None


def _refuse_unsafe(archive: Path, entry: zipfile.ZipInfo) -> None:
    name, kind = entry.filename, stat.S_IFMT(entry.external_attr >> 16)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or PureWindowsPath(name).drive:
        raise DataError(
            f"{archive.name} holds the path {name!r}, which leads out of its folder: do not trust it"
        )
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(
            f"{archive.name} holds {name!r}, a link or device where only files belong: do not trust it"
        )
    if entry.flag_bits & 1:
        raise DataError(f"{archive.name} is locked with a password: unpack it by hand")
