"""Options of a writer that reads items and is trained in a moment, and titles for it."""

from __future__ import annotations

from typing import Any

NUM_ITEMS = 20
TITLES = [f"{('red', 'green', 'blue', 'black')[row % 4]} paint {row}" for row in range(NUM_ITEMS)]
SMALL: dict[str, Any] = {
    "backbone": "items",
    "width": 16,
    "depth": 1,
    "dropout": 0.0,
    "vocab_size": 300,
    "epochs": 6,
    "min_steps": 0,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "warmup_steps": 1,
    "bf16": False,
}
