#!/usr/bin/env bash
# Dates of a shop's export, `31.05.24`, read by the format for four digits, `%d.%m.%Y`.
#
# One would guess: two digits do not fit `%Y`, so `strict=False` gives null and the next format gets its turn.
# What happens: they fit, and the year is 24: a log of 2024 lies before Rome fell, in the right order, so that nothing
# looks wrong until somebody cuts by time. `%y` reads it; whoever tries formats in turn has to look at the years, too.
#
# Versions: polars 2.1.0, Python 3.11. Date: 2026-11-30.
# Output seen:
#   %d.%m.%Y: 0024-05-31
#   %d.%m.%y: 2024-05-31
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import polars as pl

years = {}
for form in ("%d.%m.%Y", "%d.%m.%y"):
    day = pl.Series(["31.05.24"]).str.to_datetime(form, strict=False).dt.date()[0]
    years[form] = day and day.year
    print(f"{form}: {day and day.isoformat()}")
assert years == {"%d.%m.%Y": 24, "%d.%m.%y": 2024}, "it changed"
PYTHON
