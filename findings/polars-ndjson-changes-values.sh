#!/usr/bin/env bash
# Values that `polars.read_ndjson` reads as something else, without an error.
#
# One would guess: what `json.loads` gives, or an error: the last of two equal names wins, and a float that is read as
# text keeps its spelling.
# What happens: the first of two names wins, and a float above 2^53 becomes text like that of a whole number, one of many
# that it stands for: ids that went through a float come back looking sound, and are another item's.
#
# Versions: polars 2.1.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   float above 2^53: '76561198000000000'
#   a name twice    : 'first'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import io
import json

import polars as pl


def read(text):
    return pl.read_ndjson(io.BytesIO(text.encode()), schema={"id": pl.String}).item()


twice = '{"id": "first", "id": "last"}'
print("float above 2^53:", repr(read('{"id": 76561198000000001.0}')))
print("a name twice    :", repr(read(twice)))
assert read(twice) == "first" and json.loads(twice)["id"] == "last", "it changed"
PYTHON
