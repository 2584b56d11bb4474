"""The common way to write only what a catalogue holds, to measure ours by.

transformers' `generate` asks `prefix_allowed_tokens_fn` for each beam which tokens a dictionary of dictionaries allows:
so do GENRE, LC-Rec, OpenP5 and MiniOneRec.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from genrec.backbones.base import Prefix
from genrec.backbones.pretrained import PretrainedBackbone
from genrec.codes.trie import Codes, Trie
from genrec.decoding.beam import BeamSearch, Normalise
from genrec.decoding.constraint import TrieTensors


def random_llama(
    folder: Path, vocab_size: int, end: int, *, layers: int, width: int, inner: int
) -> LlamaForCausalLM:
    """A random Llama with one head per 64 of width (32 below 512), written to `folder`.

    Its output vectors are scaled until choices are as uneven as a trained model's (logits with a standard deviation of
    about 3): among even ones no beam finds anything. The input is normed at once, so that nothing else changes.
    """
    torch.manual_seed(0)
    heads = width // (64 if width >= 512 else 32)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=width,
            intermediate_size=inner,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            max_position_embeddings=8192,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=end,
            pad_token_id=0,
        )
    ).eval()
    model.model.embed_tokens.weight.data *= 3 / (0.02 * width**0.5)
    model.save_pretrained(folder)
    return model


class CommonWay:
    """Lists by `generate` over a dictionary trie."""

    def __init__(self, model: LlamaForCausalLM, codes: Codes) -> None:
        """Put the codes, each closed by the model's end token, into dictionaries."""
        self.model, self.end = model, int(model.config.eos_token_id)
        self.trie: dict[int, Any] = {}
        self.item_of_code = {}
        for item, code in enumerate(codes):
            node = self.trie
            for token in code.tolist():
                node = node.setdefault(token, {})
            self.item_of_code[tuple(code.tolist())] = item
        self.longest = int(codes.lengths.max())

    @torch.inference_mode()
    def lists(
        self, histories: Sequence[np.ndarray], k: int, beams: int, normalise: Normalise
    ) -> tuple[np.ndarray, np.ndarray]:
        """Items (-1: none) and scores, (B, k) each, of histories as tokens; padded on the left, as `generate` asks."""
        longest = max(len(history) for history in histories)
        tokens_BT = torch.zeros((len(histories), longest), dtype=torch.int64)
        mask_BT = torch.zeros_like(tokens_BT)
        for row, history in enumerate(histories):
            tokens_BT[row, longest - len(history) :] = torch.from_numpy(history)
            mask_BT[row, longest - len(history) :] = 1

        def allowed(batch: int, sentence_T: Tensor) -> list[int]:
            node = self.trie
            for token in sentence_T[longest:].tolist():
                node = node.get(token, {})
            return list(node) or [self.end]

        answer = self.model.generate(
            tokens_BT,
            attention_mask=mask_BT,
            num_beams=beams,
            num_return_sequences=k,
            max_new_tokens=self.longest,
            do_sample=False,
            length_penalty=0.0,
            early_stopping=False,
            renormalize_logits=normalise == "children",
            prefix_allowed_tokens_fn=allowed,
            output_scores=True,
            return_dict_in_generate=True,
        )
        items = []
        for row in answer.sequences[:, longest:].tolist():
            code = tuple(row[: row.index(self.end) + 1]) if self.end in row else tuple(row)
            items.append(self.item_of_code.get(code, -1))
        return np.array(items).reshape(-1, k), answer.sequences_scores.numpy().reshape(-1, k)


class SameModel:
    """Our search with the checkpoint of `random_llama`, on the same codes."""

    def __init__(self, folder: Path, codes: Codes, trie: Trie, normalise: Normalise) -> None:
        self.tensors = TrieTensors.of(trie, "cpu")
        self.search = BeamSearch(
            PretrainedBackbone(str(folder), tuning="full").eval(), self.tensors, normalise
        )

    @staticmethod
    def prefix(histories: Sequence[np.ndarray]) -> Prefix:
        """Histories as tokens, to be continued."""
        length_B = torch.tensor([len(history) for history in histories])
        tokens_BT = torch.zeros((len(histories), int(length_B.max())), dtype=torch.int64)
        for row, history in enumerate(histories):
            tokens_BT[row, : len(history)] = torch.from_numpy(history)
        positions_BT = torch.arange(tokens_BT.shape[1]).expand_as(tokens_BT)
        return Prefix(tokens_BT, torch.zeros_like(tokens_BT), positions_BT, length_B, length_B)
