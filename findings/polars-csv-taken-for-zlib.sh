#!/usr/bin/env bash
# A plain CSV file whose first column is called `x^2`.
#
# One would guess: `read_csv` unpacks what is packed, and plain text is plain text.
# What happens: the two bytes `x^` are one of the four ways in which a zlib stream can begin, and nothing else is looked at
# before the file is inflated. A mark of the byte order in front, which is dropped again, keeps the text plain.
#
# Versions: polars 2.1.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   x2,y         : ['x2', 'y']
#   x^2,y        : OSError: corrupt deflate stream
#   mark, x^2,y  : ['x^2', 'y']
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import io

import polars as pl


def columns(text):
    try:
        return pl.read_csv(io.BytesIO(text.encode())).columns
    except OSError as error:
        return f"OSError: {error}"


print("x2,y         :", columns("x2,y\n4,1\n"))
print("x^2,y        :", columns("x^2,y\n4,1\n"))
print("mark, x^2,y  :", columns("\ufeffx^2,y\n4,1\n"))
assert "OSError" in columns("x^2,y\n4,1\n"), "it changed"
PYTHON
