#!/usr/bin/env bash
# A log or a folder with brackets in its name: `ratings[2024].parquet`, as copies of downloads and exports are called.
#
# One would guess: a path that exists is that file, and a pattern is only what matches nothing by itself.
# What happens: the name is a pattern first. The file beside it that matches is read in its place, without a word; where
# none does, an existing file is an error. `glob=False` reads the file; `read_parquet_schema` has no such
# switch, and `scan_parquet(path, glob=False).collect_schema()` stands in for it.
#
# Versions: polars 2.1.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   ratings[2024].parquet alone      : ComputeError
#   with ratings2.parquet beside it  : reads that of ratings2.parquet
#   glob=False                       : reads that of ratings[2024].parquet
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import polars as pl


def found(**options):
    try:
        return "reads that of " + pl.read_parquet("ratings[2024].parquet", **options).item()
    except Exception as error:
        return type(error).__name__


pl.DataFrame({"of": ["ratings[2024].parquet"]}).write_parquet("ratings[2024].parquet")
alone = found()
pl.DataFrame({"of": ["ratings2.parquet"]}).write_parquet("ratings2.parquet")
beside, as_it_is = found(), found(glob=False)
print("ratings[2024].parquet alone      :", alone)
print("with ratings2.parquet beside it  :", beside)
print("glob=False                       :", as_it_is)
assert "2024" not in alone + beside and "2024" in as_it_is, "it changed"
PYTHON
