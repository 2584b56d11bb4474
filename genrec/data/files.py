"""The package's own files: written atomically, and read with errors that name the file.

These are runs, models, checkpoints, records of downloads and cached answers. Where one is empty, truncated, in another
encoding or of another shape, the error names it and says what to do. Users' files are read elsewhere: interactions and
items by `data/readers`, recipes by `runs/recipe.py`, prompts by `prompts/`.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from genrec.data.parquet import look_over
from genrec.data.yaml_text import parse_yaml
from genrec.errors import ConfigError, RunError, first_problem, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

T = TypeVar("T")

ADVICE = "restore it from a copy, or make it again with the command that wrote it"


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a hidden temporary file beside `path`, then rename it: nobody ever reads half a file.

    The temporary name belongs to nobody else, so that no file of a user and no second writer is touched; it goes when
    `write` fails. A link stays a link: what it points to is replaced.

    Raises:
        ConfigError: `path` is there and is no file, as a device is not.
        OSError: it cannot be written.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path} is no ordinary file and is not replaced: choose another name")
    temporary = _reserved(path)
    try:
        write(temporary)
        _to_disk(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:  # told of the file that was asked for
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened
        with suppress(OSError):  # some network file systems do not take it
            _to_disk(path.parent)


@contextmanager
def all_or_nothing(
    folder: Path,
    *,
    names: Collection[str] | None = None,
    keep: Callable[[BaseException], bool] = lambda error: False,
) -> Iterator[None]:
    """Let what the block makes in `folder` go again where it fails, so that nothing is in the way of the next try.

    Args:
        folder: need not be there; if the block makes it, and folders around it, they go again as well, once empty.
        names: of what the block makes, where others may put something beside it meanwhile; None: all that is new.
        keep: which failures leave everything as it is, as one does after which a command goes on.
    """
    before = set(folder.iterdir()) if folder.is_dir() else set()
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except BaseException as error:
        if not keep(error):
            for path in set(folder.iterdir()) - before if folder.is_dir() else ():
                if names is not None and path.name not in names:
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
            # The innermost first; one that holds something stays, and so do those around it.
            with suppress(OSError):
                for path in made:
                    path.rmdir()
        raise


def put_folder(new: Path, old: Path) -> None:
    """Let a folder take the place of another, which goes, if there is one; both lie beside one another.

    A process that is killed half way has moved the old one aside: `restore_folder` puts it back.
    """
    aside = _aside(old)
    for _ in range(3):  # one who opens it between may put it back
        if old.exists():
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(old, aside)
        try:
            os.replace(new, old)
            break
        except OSError:
            if not old.exists():
                raise
    shutil.rmtree(aside, ignore_errors=True)


def restore_folder(path: Path) -> None:
    """Put a folder back that `put_folder` had moved aside when its process was killed."""
    aside = _aside(path)
    if aside.exists() and not path.exists():
        os.replace(aside, path)


def _aside(path: Path) -> Path:
    path = Path(os.path.abspath(path))  # "." and ".." have no name
    return path.parent / f".{path.name}.replaced"


def put_link(link: Path, target: str) -> None:
    """Let a link lead to `target`, as written from its folder; it leads to the old or to the new one at any moment."""
    temporary = link.with_name(f".{link.name}.{secrets.token_hex(4)}.tmp")
    os.symlink(target, temporary, target_is_directory=True)
    try:
        os.replace(temporary, link)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline=""))


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
    """Write plain values as JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


def read_text(path: Path, *, advice: str = ADVICE) -> str:
    """The UTF-8 text of a file.

    Raises:
        RunError: it is missing, or in another encoding.
        OSError: it cannot be read.
    """
    with naming_damage(path, advice):
        return path.read_bytes().decode("utf-8")


def read_json(path: Path, shape: type[T], *, advice: str = ADVICE, not_finite: bool = False) -> T:
    """The value of a JSON file.

    Args:
        path: the file.
        shape: what it holds, for pydantic: a model, a `TypedDict`, `dict[str, Any]`, `list[str]`.
        advice: what to do where it is damaged.
        not_finite: it may hold NaN and infinities, as the losses of a training that diverged.

    Raises:
        RunError: it is missing or damaged, the same key stands twice, or it is of another shape.
        OSError: it cannot be read.
    """
    with naming_damage(path, advice):
        return shaped(_json(path.read_bytes().decode("utf-8"), not_finite), shape)


def read_json_lines(path: Path, shape: type[T], *, advice: str = ADVICE, may_be_cut: bool = False) -> list[T]:
    """The values of a file that holds one of `shape` a line; they may hold NaN and infinities.

    Args:
        path: the file.
        shape: what each line holds, as in `read_json`.
        advice: what to do where it is damaged.
        may_be_cut: whoever wrote it may have been killed; a last line without its end is left out.

    Raises:
        RunError: it is missing or empty, or a line is damaged or of another shape.
        OSError: it cannot be read.
    """
    values = []
    *lines, rest = read_text(path, advice=advice).split("\n")
    for number, line in enumerate([*lines, *([rest] if rest and not may_be_cut else [])], start=1):
        with naming_damage(path, advice, f"line {number}: "):
            values.append(shaped(_json(line, not_finite=True), shape))
    if not values and not may_be_cut:  # nobody makes such a file before there is a line for it
        raise _damaged(path, "it is empty", advice)
    return values


def read_yaml(path: Path, shape: type[T], *, advice: str = ADVICE) -> T:
    """The value of a YAML file of `shape`, as in `read_json`.

    Raises:
        RunError: it is missing, damaged or of another shape.
        OSError: it cannot be read.
    """
    with naming_damage(path, advice):
        return shaped(parse_yaml(path.read_bytes().decode("utf-8")), shape)


def read_parquet(
    path: Path,
    schema: Mapping[str, Any] | None = None,
    *,
    intact: bool = False,
    advice: str = ADVICE,
) -> pl.DataFrame:
    """The table of a Parquet file.

    Args:
        path: the file.
        schema: columns that it must have, with their polars types; others may be there, too.
        intact: it is as it was written, since its hash was compared: Arrow need not look it over.
        advice: what to do where it is damaged.

    Raises:
        RunError: it is missing or damaged, or a column is missing or of another type.
        OSError: it cannot be read.
    """
    import polars as pl  # here, as `genrec --help` comes by this file

    with naming_damage(path, advice):
        if not intact:
            look_over(path)
        try:
            table = pl.read_parquet(path, glob=False)  # a name with brackets is a name
        # A panic is no Exception: what polars raises where a damaged file breaks its own promises.
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise ValueError(str(error)) from None
        for name, dtype in (schema or {}).items():
            found = table.schema.get(name)
            if found != dtype:
                raise ValueError(f"the column {name} is {found or 'missing'} where {dtype} belongs")
        return table


def read_safetensors(
    path: Path,
    names: Iterable[str] = (),
    *,
    framework: Literal["numpy", "pt"] = "numpy",
    advice: str = ADVICE,
) -> dict[str, Any]:
    """The arrays of a safetensors file by name, of numpy or torch (`pt`).

    Args:
        path: the file.
        names: arrays that it must have; others may be there, too.
        framework: `numpy` or `pt`.
        advice: what to do where it is damaged.

    Raises:
        RunError: it is missing or damaged, or an array is missing.
        OSError: it cannot be read.
    """
    with naming_damage(path, advice), _opened(path, framework) as file:
        found = list(file.keys())
        missing = sorted(set(names) - set(found))
        if missing:
            raise ValueError(f"it has no {missing[0]}, only {', '.join(found) or 'nothing'}")
        return {name: file.get_tensor(name) for name in found}


def safetensors_shapes(path: Path, *, advice: str = ADVICE) -> dict[str, tuple[int, ...]]:
    """The shapes of a file's arrays by name, of which only the header is read.

    Raises:
        RunError: it is missing or damaged.
        OSError: it cannot be read.
    """
    with naming_damage(path, advice), _opened(path, "numpy") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


@contextmanager
def _opened(path: Path, framework: str) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework) as file:
            yield file
    except SafetensorError as error:
        raise ValueError(str(error)) from None


@contextmanager
def naming_damage(path: Path, advice: str = ADVICE, where: str = "") -> Iterator[None]:
    """Inside it, what a parser raises over `path` becomes a RunError that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise RunError(f"{path} is missing: {advice}") from None
    except UnicodeDecodeError as error:
        raise _damaged(path, f"{where}byte {error.start} is no UTF-8", advice) from None
    except RecursionError:
        raise _damaged(path, f"{where}nested too deeply", advice) from None
    except ValidationError as error:
        problem = first_problem(error)
        place = ".".join(problem.place) + ": " if problem.place else ""
        raise _damaged(path, f"{where}{place}{problem.what}", advice) from None
    except ValueError as error:
        empty = path.is_file() and not path.stat().st_size
        raise _damaged(path, where + ("it is empty" if empty else str(error)), advice) from None


def _damaged(path: Path, reason: str, advice: str) -> RunError:
    return RunError(f"{path} is damaged ({one_line(reason)}): {advice}")


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def shaped(value: Any, shape: type[T]) -> T:
    """`value`, as what pydantic makes of it for `shape`; nothing is turned into another type."""
    adapter: Any = _adapter(shape)  # type: ignore[arg-type]  # a type is hashable
    found: T = adapter.validate_python(value, strict=True)
    return found


def _json(text: str, not_finite: bool) -> Any:
    def constant(name: str) -> float:
        if not not_finite:
            raise ValueError(f"it holds {name}")
        return float(name)

    def number(digits: str) -> float:
        value = float(digits)
        if not not_finite and not math.isfinite(value):
            raise ValueError(f"it holds {digits[:20]}")
        return value

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the key {twice!r} stands twice")
        return values

    return json.loads(text, parse_constant=constant, parse_float=number, object_pairs_hook=mapping)


def _reserved(path: Path) -> Path:
    """An empty hidden file beside `path` that did not exist before; its permissions are those of any new file."""
    while True:
        temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.tmp")
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            continue
        except OSError as error:  # about the file that was asked for
            raise OSError(error.errno, error.strerror, str(path)) from None
        return temporary


def _to_disk(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, would outlive the machine's end."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
