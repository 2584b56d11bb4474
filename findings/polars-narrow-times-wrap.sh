#!/usr/bin/env bash
# Unix seconds in an Int32 column, brought to milliseconds.
#
# One would guess: `column * 1000` widens where it must, or fails, or gives null: polars refuses a lossy `cast` by
# default, and reading `[1_700_000_000] * 1000` from Python widens too.
# What happens: a Python number takes the type of the column, and the product wraps modulo 2^32 without a word: a log
# longer than 25 days comes out in another order. `pandas.to_numeric(downcast="integer")`, Spark's `IntegerType` and
# many Parquet files hold seconds like this. `.abs()` of the smallest value stays negative, too.
#
# Versions: polars 2.1.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   Int32  * 1000: [-807050, 603016, 2013081] seconds, of type Int32
#   UInt32 * 1000: [3487918, 603016, 2013081] seconds, of type UInt32
#   cast first   : [1700000000, 1710000000, 1720000000] seconds, of type Int64
#   Int32 abs of the smallest: -2147483648
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import polars as pl

seconds = [1_700_000_000, 1_710_000_000, 1_720_000_000]
wrong = 0
for kind in (pl.Int32, pl.UInt32):
    product = pl.Series(seconds, dtype=kind) * 1000
    back = (product // 1000).to_list()
    wrong += back != seconds
    print(f"{kind!r:6} * 1000: {back} seconds, of type {product.dtype}")
product = pl.Series(seconds, dtype=pl.Int32).cast(pl.Int64) * 1000
print(f"cast first   : {(product // 1000).to_list()} seconds, of type {product.dtype}")
smallest = pl.Series([-(2**31)], dtype=pl.Int32).abs()[0]
print(f"Int32 abs of the smallest: {smallest}")
assert wrong == 2 and smallest == -(2**31), "it changed"
PYTHON
