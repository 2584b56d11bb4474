"""The time that the demo tells follows the machine."""

from __future__ import annotations

import pytest
from genrec.runs import pace


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(3, "about 10 seconds"), (47, "about 50 seconds"), (89, "about 90 seconds"), (200, "about 3 minutes")],
)
def test_a_time_is_told_as_a_person_would(seconds: float, told: str) -> None:
    assert pace.told(seconds) == told


def test_a_slower_machine_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_STEPS", 5)
    few = min(pace.sample_seconds() for _ in range(5))
    monkeypatch.setattr(pace, "_STEPS", 50)
    many = pace.sample_seconds()
    assert 0 < few < many
    monkeypatch.setattr(pace, "sample_seconds", lambda: 2.0)
    assert pace.demo_seconds() == 2 * pace.DEMO_SAMPLES
