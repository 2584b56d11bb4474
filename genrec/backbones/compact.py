"""The compact backbone: a small Llama trained from scratch, sized by one dial.

Notable features
- `depth` sets everything: layers = depth, width = 64 x depth, one head per 32 of width.
- Its weights are a plain `LlamaForCausalLM`, input and output embeddings tied.
- Dropout on embeddings and on both residual branches. Llama itself only drops attention weights; on the few hundred
  thousand interactions of a typical log that is not enough.
- Optional *node vectors*: every node of the trie has a vector that is added to its token's embedding, at the input
  and in the output row of its edge alike. The token says what a title shares with others, the node what is this
  item's (or this series', this brand's) own. At a leaf it is the item vector of SASRec, tied on both sides.
"""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AttentionInterface, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from genrec.backbones.base import Backbone, look_up, twin
from genrec.backbones.cache import GrowingCache
from genrec.backbones.dropout import Dropout
from genrec.backbones.quiet import quiet
from genrec.backbones.width import compact_width, num_heads
from genrec.data.files import read_json, read_safetensors, write_json
from genrec.errors import ConfigError


def _attend(
    module: nn.Module,
    query_BHTD: Tensor,
    key_BHKD: Tensor,
    value_BHKD: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention in float32 on the CPU, also under mixed precision; causal where there is no mask.

    torch 2.13's fused kernel is slower in bfloat16 than in float32 on the CPU, forward and backward. transformers
    calls this by name.
    """
    with torch.autocast(query_BHTD.device.type, enabled=False):
        if query_BHTD.device.type == "cpu":
            query_BHTD, key_BHKD, value_BHKD = query_BHTD.float(), key_BHKD.float(), value_BHKD.float()
        attended_BHTD = F.scaled_dot_product_attention(
            query_BHTD, key_BHKD, value_BHKD, attn_mask=attention_mask, is_causal=attention_mask is None
        )
    return attended_BHTD.transpose(1, 2).contiguous(), None


AttentionInterface.register("genrec", _attend)


class CompactBackbone(Backbone):
    """A Llama of `depth` layers over its own small vocabulary."""

    def __init__(
        self,
        vocab_size: int,
        *,
        depth: int = 2,
        width: int | None = None,
        dropout: float = 0.2,
        num_nodes: int = 0,
        max_positions: int = 8192,
    ) -> None:
        """A backbone with fresh weights.

        Args:
            vocab_size: tokens.
            depth: layers.
            width: hidden size; None: 64 x depth.
            dropout: on embeddings and residual branches, in training only.
            num_nodes: nodes of the trie that get a vector of their own; 0: none.
            max_positions: largest position + 1 that will be asked for.
        """
        super().__init__()
        width = width or compact_width(depth)
        self.arguments = {
            "vocab_size": vocab_size,
            "depth": depth,
            "width": width,
            "dropout": dropout,
            "num_nodes": num_nodes,
            "max_positions": max_positions,
        }
        self.max_positions = max_positions
        self.lm = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocab_size,
                hidden_size=width,
                intermediate_size=2 * width,
                num_hidden_layers=depth,
                num_attention_heads=num_heads(width),
                num_key_value_heads=num_heads(width),
                max_position_embeddings=max_positions,
                tie_word_embeddings=True,
                attn_implementation="genrec",
                bos_token_id=None,
                eos_token_id=None,
            )
        )
        self.node_vectors = nn.Embedding(num_nodes, width) if num_nodes else None
        if self.node_vectors is not None:
            nn.init.normal_(self.node_vectors.weight, std=0.02)
        self.dropout = Dropout(dropout)
        for layer in self.lm.model.layers:
            layer.self_attn.o_proj.register_forward_hook(self._drop)
            layer.mlp.down_proj.register_forward_hook(self._drop)

    def _drop(self, module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        dropped: Tensor = self.dropout(output)
        return dropped

    def hidden(
        self,
        tokens_BT: Tensor,
        nodes_BT: Tensor,
        positions_BT: Tensor,
        mask_BTK: Tensor | None = None,
        cache: Any = None,
        real_BT: Tensor | None = None,
    ) -> Tensor:
        return self.states(self.edge_vectors(tokens_BT, nodes_BT), positions_BT, mask_BTK, cache, real_BT)

    def states(
        self,
        embedded_BTD: Tensor,
        places_BT: Tensor,
        mask_BTK: Tensor | None,
        cache: Any,
        real_BT: Tensor | None = None,
    ) -> Tensor:
        """States (B, T, D) after the last layer, given embeddings; the rest is as in `hidden`."""
        if real_BT is not None and mask_BTK is not None and cache is not None and not self.training:
            return self._states_of(real_BT, embedded_BTD, places_BT, mask_BTK, cache)
        states_BTD: Tensor = self.lm.model(
            inputs_embeds=self.dropout(embedded_BTD),
            attention_mask=None if mask_BTK is None else self.additive(mask_BTK, embedded_BTD.dtype),
            position_ids=places_BT,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state
        return states_BTD

    def _states_of(
        self, real_BT: Tensor, embedded_BTD: Tensor, places_BT: Tensor, mask_BTK: Tensor, cache: Any
    ) -> Tensor:
        """`states` where only some tokens are real: padding takes part in attention alone, where it is not seen.

        Step by step what transformers' model does. A step of a search has tokens for few rows: more than half of the
        table is padding.
        """
        model, shape_BT = self.lm.model, places_BT.shape
        place_G = torch.nonzero(real_BT.flatten()).squeeze(1)

        def table(vectors_GHD: Tensor) -> Tensor:
            """One row of vectors a row of tokens (B, H, T, D), nothing in padding."""
            flat = vectors_GHD.new_zeros((real_BT.numel(), *vectors_GHD.shape[1:]))
            flat.index_copy_(0, place_G, vectors_GHD)
            return flat.view(*shape_BT, *vectors_GHD.shape[1:]).transpose(1, 2)

        mask_B1TK = self.additive(mask_BTK, embedded_BTD.dtype)
        states_GD = embedded_BTD.flatten(0, 1)[place_G]
        cos, sin = model.rotary_emb(states_GD[None], places_BT.flatten()[None, place_G])
        for number, layer in enumerate(model.layers):
            attention = layer.self_attn
            read_GD = layer.input_layernorm(states_GD)
            query, key, value = (
                part(read_GD).view(len(place_G), -1, attention.head_dim)
                for part in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            query, key = (one[0] for one in apply_rotary_pos_emb(query[None], key[None], cos, sin, 2))
            keys, values = cache.update(table(key), table(value), number)
            attended_BTHD, _ = _attend(attention, table(query), keys, values, mask_B1TK)
            states_GD = states_GD + attention.o_proj(attended_BTHD.flatten(0, 1).flatten(1)[place_G])
            states_GD = states_GD + layer.mlp(layer.post_attention_layernorm(states_GD))
        states_BTD = torch.zeros_like(embedded_BTD)
        states_BTD.view(-1, states_BTD.shape[2]).index_copy_(0, place_G, model.norm(states_GD))
        return states_BTD

    def new_cache(self) -> GrowingCache:
        return GrowingCache()

    def edge_vectors(self, tokens_E: Tensor, nodes_E: Tensor) -> Tensor:
        vectors = look_up(self.lm.model.embed_tokens.weight, tokens_E)
        return vectors if self.node_vectors is None else vectors + look_up(self.node_vectors.weight, nodes_E)

    def vocabulary_vectors(self) -> Tensor:
        weight: Tensor = self.lm.get_output_embeddings().weight
        return weight

    def with_nodes(self, new_node_of_old: Tensor, num_nodes: int) -> Self:
        """This model for another trie, all else shared: node vectors renumbered, those of new nodes zero.

        Args:
            new_node_of_old: (old num_nodes,) int64, the new number of each old node, -1 where it is gone.
            num_nodes: nodes of the new trie.
        """
        if self.node_vectors is None:
            return self
        old = self.node_vectors.weight.data
        moved = torch.zeros(num_nodes, old.shape[1], dtype=old.dtype, device=old.device)
        kept = new_node_of_old >= 0
        moved[new_node_of_old[kept]] = old[kept]
        other = twin(self)
        other.node_vectors = nn.Embedding(num_nodes, old.shape[1], _weight=moved)
        other.arguments = self.arguments | {"num_nodes": num_nodes}
        return other

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with quiet():
            self.lm.save_pretrained(folder)
        if self.node_vectors is not None:
            save_file({"node_vectors": self.node_vectors.weight.data}, folder / "node_vectors.safetensors")
        write_json(folder / "compact.json", self.arguments)

    @classmethod
    def load(cls, folder: Path) -> CompactBackbone:
        """Read what `save` wrote."""
        backbone = cls.built(folder)
        backbone.read_decoder(folder)
        return backbone

    @classmethod
    def built(cls, folder: Path) -> Self:
        """One with fresh weights and the arguments that `save` wrote.

        Raises:
            ConfigError: one of them is not known here.
        """
        arguments = read_json(folder / "compact.json", dict[str, Any])
        unknown = sorted(set(arguments) - set(signature(cls).parameters))
        if unknown:
            raise ConfigError(
                f"{folder} was written by a version of genrec whose models had an argument {unknown[0]!r}: train it "
                "anew, or go on with that version"
            )
        return cls(**arguments)

    def read_decoder(self, folder: Path) -> None:
        """Take the weights that `save` wrote of the decoder and the node vectors."""
        # transformers' `from_pretrained` makes a second model, and compiles a thousand patterns of other models' names.
        names = self.lm.state_dict().keys() - {"lm_head.weight"}  # tied to the input's
        weights = read_safetensors(folder / "model.safetensors", sorted(names), framework="pt")
        self.lm.load_state_dict(weights, strict=False)
        if self.node_vectors is not None:
            arrays = read_safetensors(folder / "node_vectors.safetensors", ["node_vectors"], framework="pt")
            self.node_vectors.weight.data = arrays["node_vectors"]
