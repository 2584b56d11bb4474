"""The arrows of docs/architecture.md: which part of the package may know which.

errors ← data ← codes ← prompts, backbones ← training, decoding ← recommenders ← runs ← cli; evaluation sees
rankings and targets only, and is all that pages and audit see; tasks see prompts and metrics, and recommenders see
tasks. Nothing imports testing. Every import counts, inside functions and for type checkers too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import genrec
import pytest

PACKAGE = Path(genrec.__file__).parent
BENCHMARKS = sorted((PACKAGE.parent / "benchmarks").glob("*.py"))

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "data": {"errors"},
    "codes": {"errors", "data"},
    "prompts": {"errors", "data", "codes"},
    "backbones": {"errors", "data", "codes"},
    "evaluation": {"errors", "data"},
    "tasks": {"errors", "data", "prompts", "evaluation"},
    "pages": {"errors", "data", "evaluation"},
    "audit": {"errors", "data", "evaluation"},
    "training": {"errors", "data", "codes", "prompts", "backbones", "evaluation"},
    "decoding": {"errors", "data", "codes", "backbones"},
    "recommenders": {
        "errors", "data", "codes", "prompts", "tasks", "backbones", "evaluation", "training", "decoding"
    },
    "runs": {
        "errors", "data", "codes", "prompts", "tasks", "backbones", "evaluation", "pages", "audit", "training",
        "decoding", "recommenders",
    },
}  # fmt: skip
MAY_IMPORT["testing"] = set(MAY_IMPORT)

# Folders of `recommenders/`, and which of the others they may know; plain files there know none of them.
FAMILIES: dict[str, set[str]] = {
    "language": set(),
    "palr": {"language"},
    "p5": {"language"},
    "recsysllm": {"language", "p5"},
    "genrec_seq2seq": {"language"},
}

# What a part must not import from outside: `decoding` knows tokens, not text; the others stay light.
FORBIDDEN_LIBRARIES = {
    "errors": {"torch", "transformers", "tokenizers", "numpy", "polars"},
    "data": {"torch", "transformers", "tokenizers"},
    "evaluation": {"torch", "transformers", "tokenizers"},
    "tasks": {"torch", "transformers", "tokenizers"},
    "pages": {"torch", "transformers", "tokenizers"},
    "audit": {"torch", "transformers", "tokenizers"},
    "decoding": {"transformers", "tokenizers", "peft"},
    "runs": {"typer", "click", "rich"},
}
EXTRAS = {
    "bitsandbytes",
    "gguf",
    "wandb",
    "ray",
    "vllm",
    "faiss",
}  # optional: never imported when a module is


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part(name: str) -> str | None:
    """`genrec.data.read` belongs to `data`; `genrec` itself to nothing."""
    return name.split(".")[1] if name.startswith("genrec.") else None


def imported(tree: ast.AST, where: str) -> Iterator[str]:
    """Dotted names of all that a file imports, wherever in it; `from genrec import x` gives `genrec.x`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where} imports relatively; write the whole name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def inner_modules() -> list[Path]:
    """All modules below the package's own face (`genrec/__init__.py`, `genrec/__main__.py`)."""
    return [path for path in modules() if path.parent != PACKAGE or path.stem == "errors"]


@pytest.mark.parametrize("path", inner_modules(), ids=dotted)
def test_imports_follow_the_arrows(path: Path) -> None:
    own = part(dotted(path))
    if own == "cli":
        return
    assert own in MAY_IMPORT, f"{dotted(path)} belongs to no known part; draw its arrows here and in the docs"
    for name in imported(tree(path), dotted(path)):
        if name == "genrec" or name == "genrec.__version__":
            continue
        other = part(name)
        if other is not None:
            assert other == own or other in MAY_IMPORT[own], f"{dotted(path)} imports {name}"
        forbidden = FORBIDDEN_LIBRARIES.get(own, set()) | ({"pytest"} if own != "testing" else set())
        assert name.split(".")[0] not in forbidden, f"{dotted(path)} imports {name}"


@pytest.mark.parametrize(
    "path", [path for path in inner_modules() if part(dotted(path)) == "decoding"], ids=dotted
)
def test_decoding_knows_the_trie_but_no_text(path: Path) -> None:
    allowed = {"genrec.codes.trie"}
    for name in imported(tree(path), dotted(path)):
        if part(name) == "codes":
            assert any(name.startswith(f"{module}.") for module in allowed), f"{dotted(path)} imports {name}"


@pytest.mark.parametrize(
    "path", [path for path in inner_modules() if part(dotted(path)) == "recommenders"], ids=dotted
)
def test_a_family_of_recommenders_keeps_to_its_folder(path: Path) -> None:
    own = dotted(path).split(".")[2:3]
    known = FAMILIES.get(own[0], {"language"}) if own else set()
    for name in imported(tree(path), dotted(path)):
        if part(name) == "recommenders":
            family = name.split(".")[2] if name.count(".") > 1 else ""
            assert family not in FAMILIES or [family] == own or family in known, (
                f"{dotted(path)} imports {name}"
            )


@pytest.mark.parametrize(("top", "but"), [("cli", "__main__.py"), ("testing", "__init__.py")])
def test_nothing_imports_the_command_line_or_what_is_for_tests(top: str, but: str) -> None:
    for path in modules():
        if part(dotted(path)) != top and path != PACKAGE / but:
            names = imported(tree(path), dotted(path))
            assert not [name for name in names if part(name) == top], f"{dotted(path)} imports {top}"


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_optional_libraries_are_imported_only_where_they_are_used(path: Path) -> None:
    for statement in tree(path).body:
        if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found = {name.split(".")[0] for name in imported(statement, dotted(path))} & EXTRAS
            assert not found, f"{dotted(path)} imports {found} when it is loaded"


def draws(tree: ast.AST) -> Iterator[str]:
    """What of `numpy.random` a file uses, wherever in it; the class `Generator` draws nothing by itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random"):
            yield node.attr
    names = [name.partition("numpy.random") for name in imported(tree, "a file that draws")]
    yield from (after.lstrip(".") for before, found, after in names if found and not before)


@pytest.mark.parametrize("path", [*modules(), *BENCHMARKS], ids=str)
def test_every_draw_comes_from_a_stream(path: Path) -> None:
    if path != PACKAGE / "data" / "streams.py":
        found = set(draws(tree(path))) - {"Generator"}
        assert not found, f"{path} uses {found} of numpy.random: draw from genrec.data.streams.stream"


def test_no_two_draws_share_a_purpose() -> None:
    calls = [
        node
        for path in [*modules(), *BENCHMARKS]
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "stream"
    ]
    purposes = [ast.unparse(call.args[1]) for call in calls]
    assert len(purposes) >= 30
    assert len({crc32(purpose.encode()) for purpose in purposes}) == len(purposes), sorted(purposes)


def test_modules_are_flat_small_and_named_for_what_they_hold() -> None:
    for path in modules():
        assert len(path.relative_to(PACKAGE).parts) <= 3, f"{dotted(path)} lies too deep"
        assert path.stem not in {"utils", "common", "helpers", "misc"}, (
            f"{dotted(path)} says nothing by its name"
        )
        assert path.stat().st_size <= 24_000, f"{dotted(path)} has {path.stat().st_size} bytes; split it"


def test_the_walker_sees_every_kind_of_draw() -> None:
    text = (
        "np.random.default_rng(0)\nfrom numpy.random import rand\nimport numpy.random\nx: np.random.Generator"
    )
    assert sorted(draws(ast.parse(text))) == ["", "Generator", "default_rng", "rand"]


def test_the_walker_sees_every_kind_of_import() -> None:
    text = "import genrec.cli.main\nfrom genrec import cli\ndef f():\n    from genrec.data import read"
    assert list(imported(ast.parse(text), "x")) == ["genrec.cli.main", "genrec.cli", "genrec.data.read"]
