"""Pretrained decoders as prefix language models: a source is read both ways, and answers are written after it.

Any decoder-only Hugging Face checkpoint will do. It was trained to look back only; the attention mask lets it look both
ways in the source, as GLM does (Du et al. 2022, https://arxiv.org/abs/2103.10360), and LoRA or full tuning has to teach
it what to make of that. Two-dimensional positions are those of `CompactPrefixBackbone`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from genrec.backbones.cache import GrowingCache
from genrec.backbones.compact_prefix import INTRA, both_positions, placed, within
from genrec.backbones.pretrained import PretrainedBackbone, linear_names
from genrec.backbones.seq2seq import Seq2SeqBackbone

_LONGEST = 4096  # inter-positions that get a vector of their own, where a checkpoint knows more
# What RecSysLLM tunes of GLM-10B (Chu et al. 2023, section 4.1.3); GPT-NeoX, Bloom and Falcon have these names too.
_PAPER_TARGETS = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")
_VECTORS = "position_vectors.safetensors"


class PretrainedPrefixBackbone(Seq2SeqBackbone, PretrainedBackbone):
    """A causal language model from a checkpoint that sees all of a source."""

    word_vectors = None

    def __init__(self, name: str, *, start_token: int = 0, tables: bool = True, **tuning: Any) -> None:
        """Load a checkpoint and make the chosen part of it trainable.

        Args:
            name: folder of a checkpoint, or its name on the Hugging Face hub.
            start_token: what stands before an answer.
            tables: learnt vectors of both positions, 0 at first, so that training starts from the checkpoint as it is;
                always trained. The checkpoint's own positions count on from the source to the answer either way.
            tuning: what else `PretrainedBackbone` takes. Without `lora_targets` the paper's layers get an adapter where
                the checkpoint has them, else those of queries and values.

        Raises:
            ConfigError, BackendMissingError: as in `PretrainedBackbone`.
        """
        super().__init__(name, **tuning)
        self.start_token = start_token
        self._last_position = self.max_positions - 1
        self.max_positions = min(self.max_positions, _LONGEST)
        self.position_vectors: nn.Embedding | None = None
        if tables:
            size = self.vocabulary_vectors().shape[1]
            self.position_vectors = nn.Embedding(self.max_positions + INTRA, size)
            nn.init.zeros_(self.position_vectors.weight)

    @staticmethod
    def _usual_targets(model: Any) -> tuple[str, ...]:
        names = set(linear_names(model))
        if _PAPER_TARGETS[0] in names:
            return tuple(name for name in _PAPER_TARGETS if name in names)
        return PretrainedBackbone._usual_targets(model)

    def hidden(
        self,
        tokens_BT: Tensor,
        nodes_BT: Tensor,
        positions_BT: Tensor,
        mask_BTK: Tensor | None = None,
        cache: Any = None,
    ) -> Tensor:
        inter_BT, intra_BT = both_positions(positions_BT)
        # The first token of an answer is the next one after its mask. A long answer to a long source may pass the last
        # position of a checkpoint that counts them in a table.
        turned_BT = (inter_BT + intra_BT).clamp_max(self._last_position)
        return self._states(tokens_BT, positions_BT, turned_BT, mask_BTK, cache)

    def take_in(
        self, tokens_BT: Tensor, nodes_BT: Tensor, positions_BT: Tensor, words_BT: Tensor, reach_BT: Tensor
    ) -> tuple[GrowingCache, int]:
        cache = self.new_cache()
        places_BT = both_positions(positions_BT)[0]
        self._states(tokens_BT, positions_BT, places_BT, within(reach_BT), cache)
        return cache, tokens_BT.shape[1]

    def see(self, cache: GrowingCache, reach_BL: Tensor) -> None:
        """The mask of `hidden` covers the source's keys, so there is nothing to tell."""

    def _states(
        self,
        tokens_BT: Tensor,
        positions_BT: Tensor,
        turned_BT: Tensor,
        mask_BTK: Tensor | None,
        cache: GrowingCache | None,
    ) -> Tensor:
        """States after the last layer; `turned_BT` are the positions that the checkpoint itself is told."""
        embedded_BTD = self._model.get_input_embeddings()(tokens_BT)
        if self.position_vectors is not None:
            embedded_BTD = placed(embedded_BTD, self.position_vectors, positions_BT)
        mask = torch.ones_like(tokens_BT) if mask_BTK is None else self.additive(mask_BTK, embedded_BTD.dtype)
        states: Tensor = self._model.base_model(
            inputs_embeds=embedded_BTD,
            attention_mask=mask,
            position_ids=turned_BT,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state
        return states

    def save(self, folder: Path) -> None:
        super().save(folder)
        (folder / "prefix.json").write_text(json.dumps({"start_token": self.start_token}) + "\n")
        if self.position_vectors is not None:
            save_file({"position_vectors": self.position_vectors.weight.data}, folder / _VECTORS)

    @classmethod
    def load(cls, folder: Path) -> PretrainedPrefixBackbone:
        """Read what `save` wrote; with adapters the checkpoint they belong to is loaded from where it was."""
        backbone = super().load(folder)
        assert isinstance(backbone, cls)
        backbone.start_token = json.loads((folder / "prefix.json").read_text())["start_token"]
        if (folder / _VECTORS).exists():
            assert backbone.position_vectors is not None
            backbone.position_vectors.weight.data = load_file(folder / _VECTORS)["position_vectors"]
        else:
            backbone.position_vectors = None
        return backbone
