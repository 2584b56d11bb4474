#!/usr/bin/env bash
# Two draws without replacement by equal seeds, one small and one large.
#
# One would guess: 500 of 22,000 users drawn for validation and 20 % of them drawn for training overlap by chance, so
# about a fifth of the 500 are in both, whatever the number of users.
# What happens: up to 10,000 users it is so. From 10,001 on, where each draw takes more than a fiftieth of the users, the
# smaller one lies wholly inside the larger: two generators of equal seeds walk the same path, and there
# `Generator.choice(replace=False)` takes another algorithm, whose first picks do not depend on how many are asked for.
# "Learnt" and "validated" users become the same people as soon as the data set grows.
#
# Versions: numpy 2.4.6, Python 3.11. Date: 2026-11-30.
# Output seen:
#   10000 users: 21.2 % of the small draw are in the large one
#   10001 users: 100.0 % of the small draw are in the large one
#   22363 users: 100.0 % of the small draw are in the large one
#   22363 users, a key of its own for each draw: 19.2 % of the small draw are in the large one
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import zlib

import numpy as np


def shared(users, first, second):
    small = first.choice(users, 500, replace=False)
    large = second.choice(users, users // 5, replace=False)
    return np.isin(small, large).mean()


def keyed(purpose):
    return np.random.default_rng([0, zlib.crc32(purpose)])


seen = {users: shared(users, np.random.default_rng(0), np.random.default_rng(0)) for users in (10_000, 10_001, 22_363)}
for users, share in seen.items():
    print(f"{users} users: {share:.1%} of the small draw are in the large one".replace("%", " %", 1))
apart = shared(22_363, keyed(b"validated"), keyed(b"learnt"))
print(f"22363 users, a key of its own for each draw: {apart:.1%} of the small draw are in the large one".replace("%", " %", 1))
assert 0.1 < seen[10_000] < 0.3 and seen[10_001] == seen[22_363] == 1 and 0.1 < apart < 0.3, "it changed"
PYTHON
