"""Files of our own are read and replaced through `genrec/data/files.py` alone: nobody parses or renames by hand."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import genrec
import pytest

PACKAGE = Path(genrec.__file__).parent
PARSERS = {
    "json.load", "json.loads", "yaml.load", "yaml.safe_load", "yaml.parse", "parse_yaml", "load_file", "safe_open",
    "safetensors.safe_open", "safetensors.torch.load_file", "safetensors.numpy.load_file", "np.load", "torch.load",
    "pl.read_parquet", "pl.scan_parquet", "pl.read_parquet_schema", "pq.read_table", "pq.read_schema", "pq.ParquetFile",
    "pickle.load", "pickle.loads", "YAML", "os.replace", "os.rename", "shutil.move",
}  # fmt: skip

# Who else may call which, because the bytes are no file of ours.
ALLOWED = {
    "data/files.py": {
        "json.loads",
        "parse_yaml",
        "safe_open",
        "pl.read_parquet",
        "os.replace",
    },
    "data/parquet.py": {"pq.ParquetFile"},  # whoever wrote them
    "data/ranking_file.py": {"pl.read_parquet", "pl.scan_parquet"},  # lists that any program made
    "data/download.py": {"os.replace"},  # folders, and parts that have arrived
    "data/yaml_text.py": {"yaml.parse"},  # texts, whoever wrote them
    "runs/lists.py": {"pl.scan_parquet"},  # parts whose hashes were just compared
    "runs/recipe.py": {"parse_yaml"},  # recipes of users, and what they write as key=value
    "prompts/template.py": {"parse_yaml"},  # prompts of users
    "prompts/task_prompts.py": {"parse_yaml"},
    "recommenders/palr/endpoint.py": {"json.loads"},  # answers of a server
}


def calls(path: Path) -> Iterator[str]:
    """Dotted names of what a file calls."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
        elif isinstance(node, ast.ImportFrom):  # `map(load_file, …)` calls it, too
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_files_of_ours_go_through_one_door(path: Path) -> None:
    where = path.relative_to(PACKAGE).as_posix()
    if where.startswith("data/readers/"):  # interactions and items of users
        return
    found = set(calls(path)) & PARSERS
    assert found <= ALLOWED.get(where, set()), f"{where} calls {found}: read and write with genrec.data.files"


def test_the_list_of_who_may_is_not_longer_than_it_must_be() -> None:
    for where, names in ALLOWED.items():
        assert names == set(calls(PACKAGE / where)) & PARSERS, where
