"""Popular: the items that most interactions of the training part fell on, the same for everybody."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from safetensors.numpy import save_file

from genrec.data.catalogue import Catalogue
from genrec.data.files import read_safetensors, write_atomically
from genrec.data.interactions import FloatArray, Histories, Interactions, Targets
from genrec.recommenders.base import Recommender, register


@register("popular")
class Popular(Recommender):
    """interactions -> count of each item -> the same scores for every history, ties in catalogue order.

    The floor that any other recommender has to pass. No practical limit: one number an item.
    """

    pipeline: ClassVar[str] = (
        "interactions -> count of each item -> the most taken ones, the same for everybody"
    )
    paper: ClassVar[str] = "Cremonesi et al. 2010 (TopPop), https://doi.org/10.1145/1864708.1864721"
    sequential: ClassVar[bool] = False

    def _fit(self, train: Interactions, validation: Targets | None, run: Path | None, resume: bool) -> None:
        counts_I = np.bincount(train.histories.items, minlength=train.num_items)
        self.counts_I_: FloatArray = counts_I.astype(np.float32)

    def _score(self, histories: Histories) -> FloatArray:
        return np.tile(self.counts_I_, (len(histories), 1))

    def _save(self, folder: Path) -> None:
        state = {"counts": self.counts_I_}
        write_atomically(folder / "popular.safetensors", lambda path: save_file(state, path))

    def _load(self, folder: Path) -> None:
        self.counts_I_ = read_safetensors(folder / "popular.safetensors", ["counts"])["counts"]

    def _catalogue_changed(self, trained: Catalogue) -> None:
        self.counts_I_ = np.pad(self.counts_I_, (0, len(self.catalogue) - len(trained)))
