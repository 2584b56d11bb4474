"""Memory that a training step takes, estimated from the shapes of a batch before the first step."""

from __future__ import annotations

from torch import nn

from genrec.backbones.hardware import device, device_bytes
from genrec.data.memory import check_fits
from genrec.training.mixture import Batch
from genrec.training.objectives import Loss

_FLOAT = 4  # bytes; bfloat16 under mixed precision is cast from and kept beside it


def check_step_fits(model: nn.Module, loss: Loss, batch: Batch, num_replicas: int) -> None:
    """Raise where a step on such a batch is larger than memory.

    Args:
        model: what learns.
        loss: of the model on a batch.
        batch: any one of the training: they are filled to about the same size.
        num_replicas: of the model that share the batch.

    Raises:
        ConfigError: it is.
    """
    needed = weight_bytes(model, num_replicas) + batch_bytes(model, loss, batch)
    rows, places = next(iter(_tables(batch)))
    check_fits(
        f"a training step on {rows:,} rows of {places:,} places (weights, gradients, Adam's moments, activations)",
        needed,
        "lower the batch (batch_tokens, batch_size), max_items or max_tokens, or the model (depth, width)",
        device_bytes(device()),
    )


def weight_bytes(model: nn.Module, num_replicas: int) -> int:
    """Bytes of weights, and of the gradients (one set a replica) and Adam's two moments of those that are learnt."""
    weights = list(model.parameters())
    learnt = sum(weight.numel() for weight in weights if weight.requires_grad)
    held = sum(weight.numel() * weight.element_size() for weight in weights)
    return held + learnt * _FLOAT * (num_replicas + 2)


def batch_bytes(model: nn.Module, loss: Loss, batch: Batch) -> int:
    """Bytes of what the backward pass needs of the forward one, about: the inputs and outputs of linear layers, the
    scores or masks of attention, and those of the loss."""
    tables = list(_tables(batch))
    places = sum(rows * length for rows, length in tables)
    squares = sum(rows * length**2 for rows, length in tables) * getattr(model, "attention_copies", 1)
    return places * place_bytes(model) + _FLOAT * (squares + loss.num_scores(model, batch))


def place_bytes(model: nn.Module) -> int:
    """Bytes of the inputs and outputs of linear layers, which the backward pass needs of every place."""
    # Output vectors are read by the loss, and only for the places and classes that it counts.
    embedded = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    return _FLOAT * sum(
        module.in_features + module.out_features
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and id(module.weight) not in embedded and "lm_head" not in name
    )


def _tables(batch: Batch) -> list[tuple[int, int]]:
    """Rows and places of each table of tokens or items."""
    names = ("source_tokens", "tokens") if "tokens" in batch else ("items",)
    return [(batch[name].shape[0], batch[name].shape[1]) for name in names if name in batch]
