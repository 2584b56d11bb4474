"""Writes the tables of errors.md from the code: `make errors`. `tests/test_docs.py` compares them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import genrec
from genrec import errors
from genrec.backbones.hardware import MOST_THREADS
from genrec.cli import exits, terminal
from genrec.data import packed, synthetic, transfer, yaml_text
from genrec.data.catalogue import Catalogue
from genrec.data.memory import spelled
from genrec.data.readers import item_fields, times
from genrec.recommenders.base import create, load
from genrec.recommenders.palr import endpoint
from genrec.runs import recipe

PAGE = Path(__file__).with_suffix(".md")
PACKAGE = PAGE.parents[1] / "genrec"

FILMS = Catalogue.from_lists(["m1", "m2"], ["Heat (1995)", "Alien (1979)"])
EXAMPLES: dict[str, Callable[[], object]] = {
    "DataError": lambda: genrec.read("no-such-folder/ratings.csv"),
    "CatalogueError": lambda: Catalogue.from_lists(["m1", "m1"], ["Heat", "Alien"]),
    "UnknownItemError": lambda: FILMS.resolve("Heat (1996)"),
    "ConfigError": lambda: create("genrec", epoch=3),
    "NotFittedError": lambda: create("popular").recommend([[]]),
    "RunError": lambda: load("no-such-run"),
}
LIMITS: tuple[tuple[str, str], ...] = (
    ("message of an error", f"at most {terminal.LONGEST_LINE} characters"),
    (
        "what one packed file unpacks to",
        f"at most {packed.DEFAULT_GB:g} · 2³⁰ bytes, or `{packed.LIMIT}` (in GB)",
    ),
    ("line of a text file", f"at most {packed._LONGEST_LINE:,} bytes"),
    ("fields of items", f"at most {item_fields.MOST:,}"),
    ("times", f"years {times.FIRST_YEAR} to {times.LAST_YEAR}"),
    ("recipe file", f"at most {spelled(recipe._MOST_BYTES)}"),
    ("lists and mappings inside one another in YAML", f"at most {yaml_text.MOST_DEEP}"),
    ("users of the synthetic data", f"at most {synthetic._MOST_USERS:,}"),
    ("threads", f"at most {MOST_THREADS}"),
    ("answer of a chat endpoint", f"at most {spelled(endpoint._LONGEST_ANSWER)}, within its time limit"),
    ("download", f"at least {transfer._STALL_BYTES:,} bytes in {transfer._STALL_S:.0f} s"),
)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table of Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tree(root: type[errors.GenrecError], depth: int = 0) -> Iterator[tuple[str, str, str]]:
    """Name, meaning and example of an error and of those below it."""
    said = ""
    if root.__name__ in EXAMPLES:
        try:
            EXAMPLES[root.__name__]()
        except root as error:
            said = f"`` {error} ``"  # it may hold backticks
    yield "&emsp;" * depth + f"`{root.__name__}`", inspect.getdoc(root) or "", said
    for below in root.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from tree(below, depth + 1)


def messages() -> list[tuple[str, str, str]]:
    """Error, file and words of every message that the package spells out; what is filled in stands as `…`."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else ""
            if inspect.isclass(kind := getattr(errors, name, None)) and issubclass(kind, errors.GenrecError):
                words = " ".join("".join(_spelled_out(call.args[0])).split()) if call.args else ""
                if re.search("[a-z]{3}", words):  # else they come from elsewhere
                    found.add((f"`{name}`", f"`{path.relative_to(PACKAGE).as_posix()}`", _plain(words)))
    return sorted(found)


def _spelled_out(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for part in node.values:
            yield from _spelled_out(part)
    elif isinstance(node, ast.BinOp):
        yield from (*_spelled_out(node.left), *_spelled_out(node.right))
    else:
        yield "…"


def _plain(words: str) -> str:
    """Words that Markdown leaves as they are."""
    return re.sub(r"([|<>*_`\[\]\\])", r"\\\1", re.sub("(… ?)+…", "…", words))


def tables() -> dict[str, str]:
    """The tables of the page by the names of their marks."""
    return {
        "exits": table(
            ("code", "meaning"), [(str(int(code)), text) for code, text in exits.MEANINGS.items()]
        ),
        "tree": table(("error", "raised for", "for example"), tree(errors.GenrecError)),
        "limits": table(("of", "limit"), LIMITS),
        "messages": table(("error", "raised in", "message"), messages()),
    }


def filled(page: str) -> str:
    """The page with today's tables between its marks."""
    for name, text in tables().items():
        mark = f"<!-- {name} -->\n"
        start = page.index(mark) + len(mark)
        end = re.compile(r"\n\n|\Z").search(page, start)
        assert end is not None
        page = page[:start] + text + page[end.start() :]
    return page


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
