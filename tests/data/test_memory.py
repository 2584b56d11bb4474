from __future__ import annotations

import resource
from pathlib import Path

import pytest
from genrec.data import memory
from genrec.data.memory import check_fits, machine_bytes, spelled
from genrec.errors import ConfigError


@pytest.mark.parametrize(
    ("size", "words"),
    [(12, "12 bytes"), (1500, "1.5 kB"), (24e9, "24.0 GB"), (4e12, "4.0 TB"), (4e19, "40,000.0 PB")],
)
def test_sizes_are_spelled_for_people(size: float, words: str) -> None:
    assert spelled(size) == words


def test_what_does_not_fit_is_told_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "machine_bytes", lambda: 24 * 10**9)
    check_fits("a model", 24e9, "lower depth")
    told = r"a model needs about 4\.0 TB, and this machine has 24\.0 GB: lower depth"
    with pytest.raises(ConfigError, match=told):
        check_fits("a model", 4e12, "lower depth")
    with pytest.raises(ConfigError, match=r"the GPU has 8\.0 GB"):
        check_fits("a model", 9e9, "lower depth", available=8 * 10**9)


def test_a_machine_that_does_not_tell_is_not_held_against_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "machine_bytes", lambda: None)
    check_fits("a model", 1e30, "lower depth")


def test_a_limit_of_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = machine_bytes()
    assert everything is not None
    monkeypatch.setattr(resource, "getrlimit", lambda which: (10**9, everything))
    assert machine_bytes() == 10**9
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY,) * 2)
    assert machine_bytes() == everything


def test_limits_of_control_groups_are_found_from_the_own_one_upwards(tmp_path: Path) -> None:
    group = tmp_path / "cgroup" / "user" / "job"
    group.mkdir(parents=True)
    own = tmp_path / "self"
    own.write_text("0::/user/job\n")
    (group / "memory.max").write_text("max\n")
    (group.parent / "memory.max").write_text("5000000000\n")
    assert memory._cgroup_limits(own, tmp_path / "cgroup") == [5_000_000_000]
    (tmp_path / "cgroup" / "memory").mkdir()
    (tmp_path / "cgroup" / "memory" / "memory.limit_in_bytes").write_text("3000000000\n")
    assert sorted(memory._cgroup_limits(own, tmp_path / "cgroup")) == [3_000_000_000, 5_000_000_000]
    assert memory._cgroup_limits(tmp_path / "nobody", tmp_path / "nowhere") == []
