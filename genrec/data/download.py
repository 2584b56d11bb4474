"""Fetch public data sets from their publishers: resumed, checked and safely unpacked.

What has arrived waits in a hidden folder beside its goal; only what is whole and checked gets its final
name. MovieLens publishes an MD5 with each archive. The Amazon files come without any checksum: then the
length, the CRC inside the gzip file and, on a second download, the SHA-256 recorded at the first are what
there is to check, and `SOURCE.json` says which it was.
"""

from __future__ import annotations

import datetime
import difflib
import hashlib
import os
import re
import shutil
import zlib
from collections.abc import Iterable, Mapping
from gzip import GzipFile
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from pydantic import BaseModel
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from genrec.data.archive import unpack
from genrec.data.files import all_or_nothing, read_json, write_json
from genrec.data.sources import BASE_URLS, Source, sources
from genrec.data.transfer import NotThereError, fetch, forget
from genrec.errors import ConfigError, DataError, RunError, shown

_CHUNK_BYTES = 1 << 20
_NOTE = "SOURCE.json"


def names() -> list[str]:
    """Names that `get` knows; `genrec.data.sources.sources` describes each."""
    return list(sources())


def get(
    name: str,
    folder: str | Path,
    *,
    base_urls: Mapping[str, str] | None = None,
    force: bool = False,
    progress: bool = True,
) -> Path:
    """Download a public data set. After an interruption the same call goes on where it stopped.

    Args:
        name: one of `names()`; case, `_` and `-` do not matter.
        folder: the data come into a new folder `folder/name`.
        base_urls: other addresses for publishers (keys of `genrec.data.sources.BASE_URLS`), e.g. a mirror.
        force: download again and replace a folder that an earlier download made.
        progress: show a progress bar on stderr.

    Returns:
        The folder, which `genrec.read` takes as it is; `SOURCE.json` in it has addresses and checksums.

    Raises:
        ConfigError: an unknown name or publisher, or the folder exists already.
        DataError: the publisher cannot be reached, a file is damaged, or there is no room for it.
    """
    source = _find(name)
    unknown = set(base_urls or {}) - set(BASE_URLS)
    if unknown:
        raise ConfigError(
            f"base_urls names {', '.join(sorted(unknown))}; the publishers are {', '.join(BASE_URLS)}"
        )
    base_url = {**BASE_URLS, **(base_urls or {})}[source.publisher].rstrip("/") + "/"
    target = Path(folder) / source.name
    recorded = _recorded(target, force)
    work = target.with_name(f".{source.name}.download")
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not progress,
    )
    try:
        with all_or_nothing(work, keep=lambda error: any(work.glob("*"))), bar:  # where bytes came, we go on
            work.mkdir(parents=True, exist_ok=True)
            files = [
                _checked(urljoin(base_url, file), work, source.has_md5, recorded.sums, bar)
                for file in source.files
            ]
        content = _content(source, work)
        names = sorted(_files_of(content))
        if force:
            _refuse_strangers(target, {*names, *(recorded.content or [])})
        note = {"name": source.name, "page": source.page, "files": files, "content": names}
        write_json(content / _NOTE, note)
        _replace(target, content)
        shutil.rmtree(work)
    except OSError as error:
        raise DataError(f"{target} could not be written: {error.strerror or error}") from error
    return target


def _find(name: str) -> Source:
    def folded(text: str) -> str:
        return re.sub(r"[^a-z0-9]+", "-", text.casefold())

    known = {folded(source.name): source for source in sources().values()}
    if folded(name) in known:
        return known[folded(name)]
    nearest = [known[near].name for near in difflib.get_close_matches(folded(name), known, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else "`genrec data get --list` shows all"
    raise ConfigError(f"there is no public data set {name!r} among the {len(known)} that are known; {hint}")


class _File(BaseModel):
    file: str
    sha256: str


class _Note(BaseModel):
    """What we read of `SOURCE.json`: what was downloaded, and what the folder held then (unknown to older versions)."""

    files: list[_File]
    content: list[str] | None = None

    @property
    def sums(self) -> dict[str, str]:
        """SHA-256 of what was downloaded, by name."""
        return {file.file: file.sha256 for file in self.files}


def _recorded(target: Path, force: bool) -> _Note:
    """What an earlier download noted. Refuses a folder that must not be replaced."""
    if not target.exists():
        return _Note(files=[])
    if not force:
        raise ConfigError(
            f"{target} exists already: read it, choose another folder, or replace it with --force"
        )
    try:
        note = read_json(target / _NOTE, _Note)
    except (OSError, RunError):
        raise ConfigError(
            f"{target} is not replaced: without a readable {_NOTE} no download made it; move it away first"
        ) from None
    if note.content is not None:  # now rather than after hours
        _refuse_strangers(target, note.content)
    return note


def _files_of(folder: Path) -> set[str]:
    """Paths of the files and links in a folder, and of its empty folders."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir() or not any(path.iterdir())
    }


def _refuse_strangers(target: Path, names: Iterable[str]) -> None:
    """Raise where a folder that is to be replaced holds more than these files of a download."""
    strangers = sorted(_files_of(target) - {*names, _NOTE}) if target.exists() else []
    if strangers:
        raise ConfigError(
            f"{target} is not replaced: it holds {strangers[0]}, which no download put there; move that away first"
        )


def _checked(
    url: str, work: Path, has_md5: bool, recorded: Mapping[str, str], bar: Progress
) -> dict[str, Any]:
    """Download one file into `work` unless it is there already, check it, and return its note."""
    path = work / url.rsplit("/", 1)[1]
    md5 = _published_md5(url, work) if has_md5 else None
    part = path if path.exists() else path.with_name(path.name + ".part")
    if part != path:
        task = bar.add_task(path.name, total=None)
        fetch(url, part, lambda done, total: bar.update(task, completed=done, total=total))
    known_sha256 = recorded.get(path.name)
    try:
        if path.suffix == ".gz":
            _check_gzip(part)
        with part.open("rb") as stream:
            found_md5 = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            stream.seek(0)
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        if md5 is not None and found_md5 != md5:
            raise DataError(
                f"{url} has the MD5 {found_md5}, its publisher says {md5}: the file is removed; try again"
            )
        if md5 is None and known_sha256 not in (None, sha256):
            raise DataError(
                f"{url} is not the file of the first download (SHA-256 {sha256[:12]}…, not "
                f"{known_sha256[:12]}…) and its publisher gives no checksum to tell why: to take the new "
                "file, move the old folder away"
            )
    except DataError:
        forget(part)
        raise
    if part != path:
        os.replace(part, path)
        forget(part)
    if md5 is not None:
        check = "the publisher's MD5"
    elif known_sha256 is not None:
        check = "no checksum is published; equal to the SHA-256 recorded at an earlier download"
    else:
        check = "no checksum is published; this SHA-256 was recorded at the first download"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    size = path.stat().st_size
    return {
        "file": path.name,
        "url": url,
        "bytes": size,
        "sha256": sha256,
        "checked_by": check,
        "date": today,
    }


def _published_md5(url: str, work: Path) -> str | None:
    """The MD5 beside a file, or None where there is none; both spellings of md5sum are understood."""
    part = work / "published.md5"
    try:
        fetch(url + ".md5", part, lambda done, total: None)
    except NotThereError:
        return None
    text = part.read_text(encoding="ascii", errors="replace").lower()
    forget(part)
    found = re.search(r"\b[0-9a-f]{32}\b", text)
    if found is None:
        raise DataError(f"{url}.md5 holds no MD5 checksum but {shown(text)}: try again later")
    return found[0]


def _check_gzip(path: Path) -> None:
    """Read a gzip file to its end: its own CRC and length tell whether it is whole."""
    try:
        with GzipFile(path) as stream:
            while stream.read(_CHUNK_BYTES):
                pass
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path.name.removesuffix('.part')} is no whole gzip file ({error}): try again"
        ) from None


def _content(source: Source, work: Path) -> Path:
    """The folder under `work` that is to become the data set."""
    content = work / "content"
    shutil.rmtree(content, ignore_errors=True)
    content.mkdir()
    for file in source.files:
        path = work / file.rsplit("/", 1)[-1]
        if path.suffix == ".zip":
            try:
                unpack(path, content)
            except DataError:
                path.unlink()
                raise
        else:
            os.replace(path, content / path.name)
    inside = list(content.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else content


def _replace(target: Path, content: Path) -> None:
    old = target.with_name(f".{target.name}.old")
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(target, old)
    os.replace(content, target)
    shutil.rmtree(old, ignore_errors=True)
