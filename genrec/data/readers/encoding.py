"""Whether a table is UTF-8 or, as older programs of shops export it, Windows-1252, which holds Latin-1 and more."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from genrec.data import packed
from genrec.errors import DataError, shown

UTF_8, WINDOWS_1252 = "utf-8", "windows-1252"
_BLOCK = 1 << 20
_WORD = re.compile(r'[^ ,;|"\t\r\n]*[^\x00-\x7f][^ ,;|"\t\r\n]*')  # one that is not ASCII


def encoding_of(path: Path) -> tuple[str, list[str]]:
    """`utf-8` or `windows-1252`, with a note in the second case.

    All of the file is looked at: a line that is UTF-8 and not ASCII shows that the others are damaged.

    Raises:
        DataError: some of the text is UTF-8 and some is not, or all of it is in another encoding.
    """
    decoder = codecs.getincrementaldecoder(UTF_8)()
    try:
        with packed.open_bytes(path) as file:
            while block := file.read(_BLOCK):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return WINDOWS_1252, [_as_windows_1252(path)]
    return UTF_8, []


def recoded(path: Path, encoding: str) -> bytes:
    """All of a text file as UTF-8.

    Raises:
        DataError, ConfigError: see `genrec.data.packed.read_bytes`.
    """
    content = packed.read_bytes(path, copies=4)
    return content if encoding == UTF_8 else content.decode(encoding).encode(UTF_8)


def _as_windows_1252(path: Path) -> str:
    """A note on a file that is not UTF-8, with one of its words, which tells a person whether the guess is right."""
    foreign, first, word = 0, 0, ""
    with packed.open_bytes(path) as file:
        for number, raw in enumerate(file, start=1):
            if raw.isascii():
                continue
            try:
                raw.decode(UTF_8)
            except UnicodeDecodeError:
                foreign, first = foreign + 1, first or number
            else:
                raise DataError(
                    f"{path.name} is not UTF-8 text in line {first}, and is in line {number}: save it as UTF-8"
                    if first
                    else f"{path.name} is UTF-8 text in line {number}, and is not further on: save it as UTF-8"
                )
            try:
                text = raw.decode(WINDOWS_1252)
            except UnicodeDecodeError:
                raise DataError(
                    f"line {number} of {path.name} is neither UTF-8 nor Windows-1252 (Latin-1) text: save it as UTF-8"
                ) from None
            word = word or _WORD.findall(text)[0]
    lines = "1 line" if foreign == 1 else f"{foreign:,} lines"
    return (
        f"{path.name} is not UTF-8 in {lines} and was read as Windows-1252 (Latin-1), as in {shown(word)}: save it as "
        "UTF-8 if that is not what it says"
    )
