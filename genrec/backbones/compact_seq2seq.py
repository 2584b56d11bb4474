"""The compact encoder–decoder: two small Llamas trained from scratch, sized by one dial.

Notable features
- The encoder sees as much of the source as it is told to: all of it, or each item only what came before it.
- The decoder has no attention of its own for the source. Its layers turn the encoder's states into further keys and
  values beside those of the answer ("merged attention", Zhang, Titov and Sennrich 2019,
  https://arxiv.org/abs/1908.11365), so that a search keeps one kind of keys and rotary positions tell how long ago an
  item was.
- Embeddings, node vectors and output vectors are one and the same for both, as in the compact decoder.
- Optional *word vectors*, added to the source's embeddings: P5's whole-word embeddings, or one vector a user and item.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from genrec.backbones.base import look_up
from genrec.backbones.cache import GrowingCache
from genrec.backbones.compact import CompactBackbone
from genrec.backbones.seq2seq import EncoderDecoder
from genrec.data.files import read_safetensors


class CompactSeq2SeqBackbone(EncoderDecoder, CompactBackbone):
    """An encoder and a decoder of `depth` layers each over one small vocabulary."""

    def __init__(
        self,
        vocab_size: int,
        *,
        depth: int = 2,
        width: int | None = None,
        dropout: float = 0.2,
        num_nodes: int = 0,
        num_words: int = 0,
        start_token: int = 0,
        max_positions: int = 8192,
    ) -> None:
        """A backbone with fresh weights.

        Args:
            vocab_size, depth, width, dropout, num_nodes, max_positions: as in the compact decoder.
            num_words: rows of the word table, of which row 0 is never added; 0: no table.
            start_token: what the decoder is given before an answer.
        """
        super().__init__(
            vocab_size,
            depth=depth,
            width=width,
            dropout=dropout,
            num_nodes=num_nodes,
            max_positions=max_positions,
        )
        self.arguments |= {"num_words": num_words, "start_token": start_token}
        self.start_token = start_token
        self.encoder = LlamaModel(LlamaConfig(**(self.lm.config.to_dict() | {"vocab_size": 1})))
        self.encoder.config._attn_implementation = "genrec"
        self.encoder.embed_tokens = None  # it is given embeddings: those of the decoder
        for layer in self.encoder.layers:
            layer.self_attn.o_proj.register_forward_hook(self._drop)
            layer.mlp.down_proj.register_forward_hook(self._drop)
        size = self.lm.config.hidden_size
        self.word_vectors = nn.Embedding(num_words, size) if num_words else None
        if self.word_vectors is not None:
            nn.init.normal_(self.word_vectors.weight, std=0.02 * math.sqrt(size))

    def encode(
        self, tokens_BT: Tensor, nodes_BT: Tensor, positions_BT: Tensor, words_BT: Tensor, reach_BT: Tensor
    ) -> Tensor:
        embedded_BTD = self.edge_vectors(tokens_BT, nodes_BT)
        if self.word_vectors is not None:
            word_BTD = look_up(self.word_vectors.weight, words_BT) / math.sqrt(embedded_BTD.shape[2])
            embedded_BTD = embedded_BTD + word_BTD * (words_BT > 0)[:, :, None]
        visible_BTT = torch.arange(tokens_BT.shape[1], device=tokens_BT.device) < reach_BT[:, :, None]
        states: Tensor = self.encoder(
            inputs_embeds=self.dropout(embedded_BTD),
            attention_mask=self.additive(visible_BTT, embedded_BTD.dtype),
            position_ids=positions_BT,
            use_cache=False,
        ).last_hidden_state
        return states

    def remember(self, states_BTD: Tensor, positions_BT: Tensor) -> tuple[GrowingCache, int]:
        cache, model = self.new_cache(), self.lm.model
        cos, sin = model.rotary_emb(states_BTD, positions_BT)
        for number, layer in enumerate(model.layers):
            attention = layer.self_attn
            read_BTD = layer.input_layernorm(states_BTD)
            keys, values = (
                part(read_BTD).unflatten(2, (-1, attention.head_dim)).transpose(1, 2)
                for part in (attention.k_proj, attention.v_proj)
            )
            _, keys = apply_rotary_pos_emb(keys, keys, cos, sin)
            cache.update(keys, values, number)
        return cache, states_BTD.shape[1]

    def see(self, cache: GrowingCache, reach_BL: Tensor) -> None:
        """The mask of `hidden` covers the source's keys, so there is nothing to tell."""

    def save(self, folder: Path) -> None:
        super().save(folder)
        weights = {f"encoder.{name}": weight for name, weight in self.encoder.state_dict().items()}
        if self.word_vectors is not None:
            weights["word_vectors"] = self.word_vectors.weight.data
        save_file(weights, folder / "encoder.safetensors")

    @classmethod
    def load(cls, folder: Path) -> CompactSeq2SeqBackbone:
        """Read what `save` wrote."""
        backbone = cls.built(folder)
        backbone.read_decoder(folder)
        weights = read_safetensors(folder / "encoder.safetensors", framework="pt")
        if backbone.word_vectors is not None:
            backbone.word_vectors.weight.data = weights.pop("word_vectors")
        encoder = {name.removeprefix("encoder."): weight for name, weight in weights.items()}
        backbone.encoder.load_state_dict(encoder)
        return backbone
