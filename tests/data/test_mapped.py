"""Large arrays go to files without a name; whoever uses them does not notice."""

from __future__ import annotations

import errno
import gc
from pathlib import Path
from typing import Any

import genrec
import numpy as np
import polars as pl
import pytest
from genrec.data import mapped as module
from genrec.data.mapped import mapped

LOG = pl.DataFrame(
    {
        "user": np.repeat(np.arange(40), 6),
        "item": np.random.default_rng(0).permuted(np.tile(np.arange(20), (40, 1)), axis=1)[:, :6].ravel(),
        "time": np.arange(240),
    }
).with_columns(title=pl.format("Film {}, part {}", pl.col("item") // 4, pl.col("item") % 4))


def is_mapped(array: Any) -> bool:
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_large_array_is_mapped_and_leaves_no_name(folder: Path) -> None:
    array = np.arange(module.SMALLEST // 8).reshape(-1, 2)
    found = mapped(array)
    assert type(found) is np.ndarray
    assert is_mapped(found)
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, array)
    assert list(folder.iterdir()) == []


def test_a_small_array_stays_where_it_is() -> None:
    array = np.arange(9)
    assert mapped(array) is array


def test_no_room_in_the_folder_costs_memory_and_not_the_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.tempfile, "TemporaryFile", full)
    array = np.zeros(module.SMALLEST)
    assert mapped(array) is array


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_the_file_goes_with_the_array(folder: Path) -> None:
    found = mapped(np.zeros(module.SMALLEST, np.int8))
    assert str(folder) in Path("/proc/self/maps").read_text()
    del found
    gc.collect()
    assert str(folder) not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("name", sorted(genrec.recommenders()))
def test_training_from_mapped_data_is_the_same(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = dict(genrec.recommenders()[name].tiny)
    if "epochs" in options:
        options["epochs"] = 1
    lists = []
    for smallest in (2**40, 0):
        monkeypatch.setattr(module, "SMALLEST", smallest)
        data = genrec.read(LOG)
        assert is_mapped(data.train.histories.items) == (smallest == 0)
        model = genrec.create(name, **options).fit(data.train, data.validation)
        lists.append(model.rank(data.test.histories))
    np.testing.assert_array_equal(lists[0].items_BK, lists[1].items_BK)
    np.testing.assert_array_equal(lists[0].scores_BK, lists[1].scores_BK)
    assert list(folder.iterdir()) == []
