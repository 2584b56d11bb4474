"""What a language model that reads items learns from: a recommender of whole items, asked at every place of a history.

Distillation (Hinton et al. 2015, https://arxiv.org/abs/1503.02531): a softmax over items is a better model than one
over the children of every node, and its expectations, written along the trie, tell more than the item that was taken.
The teacher is there in training alone.

Shape suffixes: R rows of packed histories, T places of a row, K places that the teacher is asked at, D its width,
I items in the order of the leaves of the trie.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from genrec.backbones.item_encoder import SASRecNetwork
from genrec.data.interactions import Interactions, Targets
from genrec.decoding.constraint import TrieTensors
from genrec.decoding.prior import Prior
from genrec.errors import ConfigError, shown
from genrec.recommenders.base import Recommender
from genrec.recommenders.held import fitted, part, usual_options
from genrec.recommenders.language.config import PRIOR
from genrec.recommenders.sasrec import SASRec
from genrec.training.mixture import Batch
from genrec.training.objectives import Shares


@dataclass(frozen=True)
class ItemTeacher:
    """A trained network over items, and the trie along which its expectations are told."""

    network: SASRecNetwork
    trie: TrieTensors
    share: float

    @torch.no_grad()
    def expected(self, batch: Batch, place_K: Tensor) -> Shares:
        table_ID = self.network.vectors.table()
        vectors_RTD = F.embedding(batch["items"], table_ID)
        states_KD = self.network(vectors_RTD, batch["ages"], batch["segments"], place_K)
        return Prior.of_states(self.trie, states_KD, table_ID[self.trie.item_of_leaf_I]).shares


def fit_teacher(
    config: Any, train_data: Interactions, validation: Targets | None, run: Path | None, resume: bool
) -> SASRec | None:
    """The recommender that teaches, fitted as in a prior unless it is a run; None where there is none.

    Args:
        config: a recommender's, with `TaughtOptions`, `seed`, `threads` and `ranking_batch`.
        train_data, validation, run, resume: as in `Recommender.fit`.

    Raises:
        ConfigError: it is of another kind or of other items, or reads fewer of them than it is asked about.
    """
    if config.taught_by is None:
        return None
    usual = usual_options(config)
    name, catalogue = config.taught_by, train_data.catalogue
    model: Recommender = part(name, PRIOR.get(name, {}), usual, catalogue)
    if not isinstance(model, SASRec):
        raise ConfigError(
            f"{model.name} cannot teach (taught_by), as it is not asked at every place of a history at once: take "
            "sasrec, bsarec or a run of one"
        )
    if model.config.max_items < config.max_items:
        raise ConfigError(
            f"the teacher {shown(name)} reads {model.config.max_items} items of a history, fewer than "
            f"max_items={config.max_items}: lower max_items, or take a teacher with as many"
        )
    home = None if run is None else run / "prior" / "teacher"
    model = fitted(model, train_data, validation, home, resume)
    assert isinstance(model, SASRec)
    return model
