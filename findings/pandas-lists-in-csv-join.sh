#!/usr/bin/env bash
# Lists of a Parquet file that pandas writes into CSV and `ast.literal_eval` reads back.
#
# One would guess: `['Drama', 'War']`, which `ast.literal_eval` takes for a list of two.
# What happens: pandas holds lists from Parquet as numpy arrays, whose text has no commas. Python joins texts that stand
# beside one another, so the list comes back as one word, without an error.
#
# Versions: pandas 3.1.1, pyarrow 26.0.1, Python 3.11. Date: 2026-11-30.
# Output seen:
#   in the cell: ['Drama' 'War']
#   read back  : ['DramaWar']
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1 pyarrow==26.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import ast
import csv
import io

import pandas as pd

target = io.BytesIO()
pd.DataFrame({"genres": [["Drama", "War"]]}).to_parquet(target)
text = pd.read_parquet(target).to_csv(index=False)
cell = list(csv.reader(io.StringIO(text)))[1][0]
print("in the cell:", cell)
print("read back  :", ast.literal_eval(cell))
assert ast.literal_eval(cell) == ["DramaWar"], "it changed"
PYTHON
