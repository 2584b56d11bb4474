"""Pretrained decoders as prefix language models: a source is read both ways, and answers are written after it.

Any decoder-only Hugging Face checkpoint will do. It was trained to look back only; the attention mask lets it look both
ways in the source, and LoRA or full tuning has to teach it what to make of that. The rest is told in `prefix.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel
from torch import Tensor

from genrec.backbones.adapters import linear_names
from genrec.backbones.prefix import PrefixBackbone, position_tables
from genrec.backbones.pretrained import PretrainedBackbone
from genrec.data.files import read_json, write_json

_LONGEST = 4096  # inter-positions that get a vector of their own, where a checkpoint knows more
# What RecSysLLM tunes of GLM-10B (Chu et al. 2023, section 4.1.3); GPT-NeoX, Bloom and Falcon have these names too.
_PAPER_TARGETS = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")


class PretrainedPrefixBackbone(PrefixBackbone, PretrainedBackbone):
    """A causal language model from a checkpoint that sees all of a source."""

    def __init__(self, name: str, *, start_token: int = 0, tables: bool = True, **tuning: Any) -> None:
        """Load a checkpoint and make the chosen part of it trainable.

        Args:
            name: folder of a checkpoint, or its name on the Hugging Face hub.
            start_token: what stands before an answer.
            tables: learnt vectors of both positions; always trained, and 0 at first, so that training starts from the
                checkpoint as it is.
            tuning: what else `PretrainedBackbone` takes. Without `lora_targets` the paper's layers get an adapter where
                the checkpoint has them, else those of queries and values.

        Raises:
            ConfigError, BackendMissingError: as in `PretrainedBackbone`.
        """
        super().__init__(name, **tuning)
        self.start_token = start_token
        self._last_position = self.max_positions - 1
        self.max_positions = min(self.max_positions, _LONGEST)
        width = self.vocabulary_vectors().shape[1]
        self.position_vectors = position_tables(self.max_positions, width) if tables else None

    @staticmethod
    def _usual_targets(model: Any) -> tuple[str, ...]:
        names = set(linear_names(model))
        if _PAPER_TARGETS[0] in names:
            return tuple(name for name in _PAPER_TARGETS if name in names)
        return PretrainedBackbone._usual_targets(model)

    def states(
        self,
        embedded_BTD: Tensor,
        places_BT: Tensor,
        mask_BTK: Tensor | None,
        cache: Any,
        real_BT: Tensor | None = None,
    ) -> Tensor:
        # A long answer to a long source may pass the last position of a checkpoint that counts them in a table.
        return self.run(places_BT.clamp_max(self._last_position), mask_BTK, cache, inputs_embeds=embedded_BTD)

    def embedded(self, tokens_BT: Tensor, nodes_BT: Tensor) -> Tensor:
        embedded_BTD: Tensor = self._model.get_input_embeddings()(tokens_BT)
        return embedded_BTD

    def save(self, folder: Path) -> None:
        super().save(folder)
        about = {"start_token": self.start_token, "tables": self.position_vectors is not None}
        write_json(folder / "prefix.json", about, indent=None)
        self.save_tables(folder)

    @classmethod
    def load(cls, folder: Path) -> PretrainedPrefixBackbone:
        """Read what `save` wrote; with adapters the checkpoint they belong to is loaded from where it was."""
        backbone = super().load(folder)
        assert isinstance(backbone, cls)
        about = read_json(folder / "prefix.json", _Saved)
        backbone.start_token = about.start_token
        if not about.tables:
            backbone.position_vectors = None
        backbone.read_tables(folder)
        return backbone


class _Saved(BaseModel):
    """What `prefix.json` holds."""

    start_token: int
    tables: bool
