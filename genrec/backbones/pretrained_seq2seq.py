"""Pretrained encoder–decoders: any Hugging Face T5 or BART checkpoint, tuned in full, with LoRA or with QLoRA.

T5: Raffel et al. 2020, https://arxiv.org/abs/1910.10683. BART: Lewis et al. 2020, https://arxiv.org/abs/1910.13461.

Masks, positions and how much of the source a token sees are the caller's, and several answers may stand side by side in
a row. The models' own loops over their layers count positions themselves, so the loops are ours; weights, activations
and dropout are theirs, and for ordinary input so are the numbers. Only LayerDrop is left out.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoModelForSeq2SeqLM

from genrec.backbones.base import Backbone, look_up
from genrec.backbones.cache import GrowingCache
from genrec.backbones.checkpoint import checkpoint_config
from genrec.backbones.pretrained import PretrainedBackbone, Tuning
from genrec.backbones.seq2seq import EncoderDecoder
from genrec.backbones.t5_and_bart import FAMILIES, Family
from genrec.data.files import read_safetensors
from genrec.errors import ConfigError


class SourceCache(GrowingCache):
    """Keys and values of the answers' tokens with their positions, those of the source, and what is seen of these.

    Shape: positions_BK; source, keys and values (B, heads, T, width of a head) a layer; reach, numbers (B, 1, 1, T) or
    (B, 1, L, T) to add to the scores of the source.
    """

    positions_BK: Tensor
    source: list[tuple[Tensor, Tensor]]
    reach: Tensor


class PretrainedSeq2SeqBackbone(EncoderDecoder, PretrainedBackbone):
    """A T5 or BART.

    In its pretraining the positions of source and answer both started at 0, the answer's with its start token, so
    that `Prefix.start_B` is 1. T5 sees no positions but the distances among them.
    """

    _loader: Any = AutoModelForSeq2SeqLM
    _task = "SEQ_2_SEQ_LM"
    _inputs = ("input_ids", "decoder_input_ids")

    def __init__(
        self,
        name: str,
        *,
        num_words: int = 0,
        tuning: Tuning = "lora",
        lora_rank: int = 8,
        lora_alpha: int = 16,
        lora_dropout: float = 0.05,
        lora_targets: tuple[str, ...] = (),
        adapter: Path | None = None,
    ) -> None:
        """Load a checkpoint and make the chosen part of it trainable.

        Args:
            name, tuning, lora_rank, lora_alpha, lora_dropout, lora_targets, adapter: as in `PretrainedBackbone`.
            num_words: rows of a fresh word table, of which row 0 is never added; always trained. 0: no table.

        Raises:
            ConfigError: no checkpoint there, or one with weights missing, of another kind, without a start token, or
                with an output head that we do not compute exactly.
            BackendMissingError: QLoRA without bitsandbytes or without a GPU.
        """
        super().__init__(
            name,
            tuning=tuning,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            lora_dropout=lora_dropout,
            lora_targets=lora_targets,
            adapter=adapter,
        )
        config = self._model.config
        self.start_token = _start_token(self._model, name)
        self.max_positions = self._family.max_positions(config)
        self.word_vectors = nn.Embedding(num_words, config.d_model) if num_words else None
        if self.word_vectors is not None:
            nn.init.normal_(self.word_vectors.weight, std=0.02 * math.sqrt(config.d_model))

    @staticmethod
    def _config(name: str) -> Any:
        return seq2seq_config(name)

    @staticmethod
    def _usual_targets(model: Any) -> tuple[str, ...]:
        return FAMILIES[model.config.model_type].lora_targets

    @property
    def _family(self) -> Family:
        return FAMILIES[self._model.config.model_type]

    @property
    def _writer(self) -> Any:
        return self._model.get_decoder()

    def _check_reading(self) -> None:
        """The loops over the layers are ours, and take what we give them."""

    @property
    def _head_scale(self) -> float:
        return self._family.head_scale(self._model.config)

    def encode(
        self, tokens_BT: Tensor, nodes_BT: Tensor, positions_BT: Tensor, words_BT: Tensor, reach_BT: Tensor
    ) -> Tensor:
        family, stack = self._family, self._model.get_encoder()
        embedded_BTD = stack.embed_tokens(tokens_BT)
        if self.word_vectors is not None:
            word_BTD = look_up(self.word_vectors.weight, words_BT) / math.sqrt(embedded_BTD.shape[2])
            embedded_BTD = embedded_BTD + (word_BTD * (words_BT > 0)[:, :, None]).to(embedded_BTD.dtype)
        states_BTD = family.enter(stack, embedded_BTD, positions_BT)
        place_T = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        mask = self.additive(place_T < reach_BT[:, :, None], states_BTD.dtype)
        scores = family.scores(stack, positions_BT, positions_BT, mask)
        for layer in family.layers(stack):
            own = family.own(layer)
            read_BTD = own.read(states_BTD)
            states_BTD = own.write(states_BTD, read_BTD, own.keys(read_BTD), scores)
            states_BTD = family.feed_forward(layer, states_BTD)
        return family.leave(stack, states_BTD)

    def new_cache(self) -> SourceCache:
        return SourceCache()

    def remember(self, states_BTD: Tensor, positions_BT: Tensor) -> tuple[SourceCache, int]:
        cache, family = self.new_cache(), self._family
        layers = family.layers(self._model.get_decoder())
        cache.source = [family.source(layer).keys(states_BTD) for layer in layers]
        cache.positions_BK = positions_BT[:, :0]
        return cache, 0

    def see(self, cache: SourceCache, reach_BL: Tensor) -> None:
        """Let the tokens of the next calls of `hidden` see that many tokens of the source.

        Args:
            cache: of `remember`.
            reach_BL: (B, 1) for any number of tokens. Padding, of which it may say 0, sees one: a softmax over nothing
                has no value.
        """
        keys = cache.source[0][0]
        place_T = torch.arange(keys.shape[2], device=keys.device)
        cache.reach = self.additive(place_T < reach_BL.clamp_min(1)[:, :, None], keys.dtype)

    def hidden(
        self,
        tokens_BT: Tensor,
        nodes_BT: Tensor,
        positions_BT: Tensor,
        mask_BTK: Tensor | None = None,
        cache: Any = None,
        real_BT: Tensor | None = None,
    ) -> Tensor:
        family, stack = self._family, self._model.get_decoder()
        cache.positions_BK = torch.cat([cache.positions_BK, positions_BT], dim=1)
        if mask_BTK is None:
            place_T = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
            mask_BTK = (place_T <= place_T[:, None])[None]
        states_BTD = family.enter(stack, stack.embed_tokens(tokens_BT), positions_BT)
        mask = self.additive(mask_BTK, states_BTD.dtype)
        scores = family.scores(stack, positions_BT, cache.positions_BK, mask)
        for number, layer in enumerate(family.layers(stack)):
            own, source = family.own(layer), family.source(layer)
            read_BTD = own.read(states_BTD)
            keys, values = cache.update(*own.keys(read_BTD), number)
            states_BTD = own.write(states_BTD, read_BTD, (keys, values), scores)
            states_BTD = source.write(states_BTD, source.read(states_BTD), cache.source[number], cache.reach)
            states_BTD = family.feed_forward(layer, states_BTD)
        return family.leave(stack, states_BTD) * self._head_scale

    @staticmethod
    def keep_rows(cache: SourceCache, rows_R: Tensor) -> None:
        Backbone.keep_rows(cache, rows_R)
        cache.source = [(keys[rows_R], values[rows_R]) for keys, values in cache.source]
        cache.positions_BK, cache.reach = cache.positions_BK[rows_R], cache.reach[rows_R]

    @staticmethod
    def keep_keys(cache: SourceCache, columns_BK: Tensor) -> None:
        Backbone.keep_keys(cache, columns_BK)
        cache.positions_BK = cache.positions_BK.gather(1, columns_BK)

    def save(self, folder: Path) -> None:
        super().save(folder)
        if self.word_vectors is not None:
            save_file({"word_vectors": self.word_vectors.weight.data}, folder / _WORDS)

    @classmethod
    def load(cls, folder: Path) -> PretrainedSeq2SeqBackbone:
        """Read what `save` wrote; with adapters the checkpoint they belong to is loaded from where it was."""
        backbone = super().load(folder)
        assert isinstance(backbone, cls)
        if (folder / _WORDS).exists():
            weights = read_safetensors(folder / _WORDS, ["word_vectors"], framework="pt")["word_vectors"]
            backbone.word_vectors = nn.Embedding(len(weights), weights.shape[1], _weight=weights)
        return backbone


_WORDS = "word_vectors.safetensors"


def seq2seq_config(name: str) -> Any:
    """The configuration of a T5 or BART checkpoint.

    Raises:
        ConfigError: there is no checkpoint `name`, or it is of another kind.
    """
    config = checkpoint_config(name)
    if config.model_type not in FAMILIES or not config.is_encoder_decoder:
        kind = ", ".join(config.architectures or []) or config.model_type
        raise ConfigError(
            f"{name!r} is not an encoder-decoder that is known here ({kind}): give a T5 checkpoint, e.g. "
            "google/flan-t5-small, or a BART, e.g. facebook/bart-base"
        )
    return config


def _start_token(model: Any, name: str) -> int:
    for config in (model.config, model.generation_config):
        token = getattr(config, "decoder_start_token_id", None)
        if token is not None:
            return int(token)
    raise ConfigError(
        f"the configuration of {name!r} does not say with which token an answer starts: set decoder_start_token_id in "
        "its config.json"
    )
