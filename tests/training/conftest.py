"""Lets the tests of this folder import the modules beside them, and stop a training."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import genrec.training.trainer as trainer
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ctrl-C in the middle of the n-th batch from now on; 0: never again."""
    compute = trainer.Learner.backward

    def set_stop(count: int) -> None:
        batches = itertools.count(1)

        def stopping(*args: Any, **kwargs: Any) -> torch.Tensor:
            if next(batches) == count:
                raise KeyboardInterrupt
            return compute(*args, **kwargs)

        monkeypatch.setattr(trainer.Learner, "backward", stopping)

    return set_stop
