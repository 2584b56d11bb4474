"""A page: one HTML file that needs nothing else, in the style of all our pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from genrec.data.files import write_text
from genrec.errors import ConfigError
from genrec.pages.style import STYLE

_MARK = '<meta name="generator" content="genrec">'
_SYNTHETIC = (
    "<strong>Synthetic data</strong>The items and the users on this page are invented by a program. The "
    "numbers show that everything works; they say nothing about real people."
)


def write_page(path: str | Path, title: str, sections: Sequence[str], *, synthetic: bool) -> Path:
    """Write a page to `path`, as a whole or not at all (folders are made, an older page is replaced).

    Args:
        path: the HTML file.
        title: of the window, as plain text.
        sections: HTML, one after another; empty ones are left out.
        synthetic: the data are invented, which the page then says first of all.

    Returns:
        The path.
    """
    path = Path(path)
    warning = f'<div class="warning" role="note">{_SYNTHETIC}</div>' if synthetic else ""
    name = f"{title} (synthetic data)" if synthetic else title
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{_MARK}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(name)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(section for section in (warning, *sections) if section)
        + "\n</main>\n</body>\n</html>\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page)
    return path


def section(title: str, text: str, *parts: str) -> str:
    """A section with its heading, a paragraph that explains it (HTML; empty: none) and its parts, one after another."""
    words = f'<p class="soft">{text}</p>' if text else ""
    return f"<section><h2>{escape(title)}</h2>{words}{''.join(parts)}</section>"


def next_steps(steps: Sequence[tuple[str, Sequence[str]]]) -> str:
    """The section that ends a page: what to do next.

    Args:
        steps: what each is for, and its commands one after another.
    """
    if not steps:
        return ""
    rows = "".join(
        f'<dt>{escape(what)}</dt><dd><pre class="wide" tabindex="0"><code>{escape(chr(10).join(commands))}</code></pre>'
        "</dd>"
        for what, commands in steps
    )
    text = "Commands for a shell in the folder that this page was made from."
    return section("What to do next", text, f'<dl class="steps">{rows}</dl>')


def scrolling(title: str, table: str) -> str:
    """A card with a table that scrolls by itself, by keyboard too, where the page is too narrow for it."""
    label = f'tabindex="0" role="region" aria-label="{escape(title)}"'
    return f'<div class="card wide" {label}>{table}</div>'


def panels(*cards: str) -> str:
    """Cards beside one another where there is room."""
    return f'<div class="panels">{"".join(cards)}</div>'


def check_free(path: Path) -> None:
    """Nothing, if a page may be written to `path`: it is free, or an older page.

    Raises:
        ConfigError: it is somebody else's file.
    """
    if path.exists() and not is_page(path):
        raise ConfigError(f"{path} exists and is no page of genrec: choose another --out, or move it away")


def is_page(path: Path) -> bool:
    """Whether a file is a page that `write_page` made."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return _MARK in file.read(1000)
