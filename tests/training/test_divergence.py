"""A training whose numbers are lost ends with a word about it, and not as a model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from genrec.errors import ConfigError
from genrec.training.mixture import Batch
from genrec.training.trainer import TrainingOptions, train
from torch import Tensor, nn

OPTIONS = TrainingOptions(
    learning_rate=0.5,
    weight_decay=0.0,
    warmup_steps=0,
    lr_scheduler_type="constant",
    gradient_accumulation_steps=1,
    bf16=False,
    seed=0,
    evaluations=1,
    patience=0,
    report_to=(),
)


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(()))


class LostAfter:
    """A loss that is a number for so many batches, and not one after them."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        self.left -= 1
        slope = getattr(model, "module", model).slope
        return slope.square() if self.left >= 0 else slope * float("inf")

    def num_items(self, batch: Batch) -> int:
        return 1

    def num_scores(self, model: nn.Module, batch: Batch) -> int:
        return 0


def learn(loss: LostAfter, folder: Path, num_steps: int) -> nn.Module:
    model = Line()
    steps = [{"items": torch.zeros((1, 1), dtype=torch.int64)}] * num_steps
    train(model, loss, steps, OPTIONS, folder, validate=None, resume=False)
    return model


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"the loss is (-?inf|nan) after 4 updates: lower learning_rate=0\.5"
    ):
        learn(LostAfter(3), tmp_path, 10)
    assert (tmp_path / "log.jsonl").exists()


def test_weights_that_are_no_numbers_are_not_the_end_of_a_training(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lower learning_rate"):
        learn(LostAfter(9), tmp_path, 10)


def test_other_trainings_come_to_their_end(tmp_path: Path) -> None:
    assert abs(float(learn(LostAfter(10), tmp_path, 10).slope.detach())) < 1
