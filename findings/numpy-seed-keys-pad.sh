#!/usr/bin/env bash
# Generators keyed by a list of numbers: a seed, a purpose, a step, or a history of any length.
#
# One would guess: another list is another stream.
# What happens: a list of fewer than four numbers is filled up with zeros, so `[7, 1]`, `[7, 1, 0]` and `[7, 1, 0, 0]` are
# one stream: step 0 of a purpose is the purpose without a step. A number of 2**32 or more counts as two, so that
# `[2**32, 5]` is `[0, 1, 5]`. Put the length of the key into it, and a number of unknown size last.
#
# Versions: numpy 2.4.6, Python 3.11. Date: 2026-11-30.
# Output seen:
#   [7, 1] draws as [7, 1, 0]: True
#   [7, 1] draws as [7, 1, 0, 0]: True
#   [7, 1] draws as [7, 1, 1]: False
#   [4294967296, 5] draws as [0, 1, 5]: True
#   [7, 1, 2, 3, 4] draws as [7, 1, 2, 3, 4, 0]: False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np

PAIRS = (
    ([7, 1], [7, 1, 0]),
    ([7, 1], [7, 1, 0, 0]),
    ([7, 1], [7, 1, 1]),
    ([2**32, 5], [0, 1, 5]),
    ([7, 1, 2, 3, 4], [7, 1, 2, 3, 4, 0]),
)
same = []
for one, other in PAIRS:
    same.append(np.random.default_rng(one).random() == np.random.default_rng(other).random())
    print(f"{one} draws as {other}: {same[-1]}")
assert same == [True, True, False, True, False], "it changed"
PYTHON
