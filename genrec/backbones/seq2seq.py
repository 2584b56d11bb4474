"""Backbones that read a source once, in both directions, and write answers with it in view.

Shape suffixes: B rows, T tokens of the source, L tokens of the answers, K keys of the decoder, D width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genrec.backbones.base import Backbone, Prefilled, Prefix


class Seq2SeqBackbone(Backbone):
    """A source is taken in, and answers follow it. `hidden` is of the answers; the cache holds what was taken in.

    start_token: what the decoder is given before an answer's first token, at the position before it.
    word_vectors: the word table; None: there is none.
    """

    start_token: int
    word_vectors: nn.Embedding | None

    @property
    def num_words(self) -> int:
        """Rows of the word table."""
        return 0 if self.word_vectors is None else self.word_vectors.num_embeddings

    @abstractmethod
    def prefill_source(
        self, tokens_BT: Tensor, nodes_BT: Tensor, positions_BT: Tensor, words_BT: Tensor, reach_BT: Tensor
    ) -> tuple[Any, int]:
        """A cache that has read a source, and how many of its keys stand for that.

        Where answers attend to the source apart from their own tokens, these are 0 keys, and `see` tells how much of
        the source may be seen.

        Args:
            tokens_BT: token ids, padded on the right.
            nodes_BT: trie node that each token writes, 0 for none.
            positions_BT: position of each token; need not be consecutive.
            words_BT: row of the word table whose vector is added to the token's; 0: none.
            reach_BT: how many tokens of its row, counted from the first, each token sees; at least one.
        """

    @abstractmethod
    def see(self, cache: Any, reach_BL: Tensor) -> None:
        """Let the tokens of the next call of `hidden` see that many tokens of the source."""

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """States (B, L, D) of the answers of a batch of training; several answers may share a source.

        Args:
            batch: tokens, nodes and positions (B, L) of the answers of a row side by side, each after a start token;
                sees (B, L), a number that a token shares with those of the tokens before it that it sees: its answer's,
                or one for all answers of a row; reach (B, L), how many tokens of the source it sees; source_tokens,
                source_nodes, source_positions, source_words and source_reach (B, T).
        """
        cache, num_keys = self.prefill_source(
            batch["source_tokens"],
            batch["source_nodes"],
            batch["source_positions"],
            batch["source_words"],
            batch["source_reach"],
        )
        sees_BL, reach_BL = batch["sees"], batch["reach"]
        self.see(cache, reach_BL)
        length = sees_BL.shape[1]
        before_LL = torch.ones((length, length), dtype=torch.bool, device=sees_BL.device).tril()
        own_BLL = (sees_BL[:, :, None] == sees_BL[:, None]) & before_LL
        source_BLT = torch.arange(num_keys, device=sees_BL.device) < reach_BL[:, :, None]
        mask_BLK = torch.cat([source_BLT, own_BLL], dim=2)
        return self.hidden(batch["tokens"], batch["nodes"], batch["positions"], mask_BLK, cache)

    def prefill(self, prefix: Prefix) -> Prefilled:
        """Read sources, and the start token of an answer after them."""
        tokens_BT, length_B = prefix.tokens_BT, prefix.length_B
        nothing_BT = torch.zeros_like(tokens_BT)
        whole_BT = length_B[:, None].expand_as(tokens_BT)
        words_BT = nothing_BT if prefix.words_BT is None else prefix.words_BT
        reach_BT = whole_BT if prefix.reach_BT is None else prefix.reach_BT
        cache, num_keys = self.prefill_source(
            tokens_BT, prefix.nodes_BT, prefix.positions_BT, words_BT, reach_BT
        )
        self.see(cache, length_B[:, None])
        start_B1 = torch.full_like(length_B, self.start_token)[:, None]
        source_BT = torch.arange(num_keys, device=length_B.device) < length_B[:, None]
        visible_BK = torch.cat([source_BT, torch.ones_like(start_B1, dtype=torch.bool)], dim=1)
        hidden_B1D = self.hidden(
            start_B1, torch.zeros_like(start_B1), prefix.start_B[:, None] - 1, visible_BK[:, None], cache
        )
        return Prefilled(cache, hidden_B1D[:, 0], visible_BK)


class EncoderDecoder(Seq2SeqBackbone):
    """A model of two stacks: an encoder for the source and a decoder, whose `hidden` is, for the answers."""

    @abstractmethod
    def encode(
        self, tokens_BT: Tensor, nodes_BT: Tensor, positions_BT: Tensor, words_BT: Tensor, reach_BT: Tensor
    ) -> Tensor:
        """States (B, T, D) of a source, given as in `prefill_source`."""

    @abstractmethod
    def remember(self, states_BTD: Tensor, positions_BT: Tensor) -> tuple[Any, int]:
        """A cache whose decoder sees the encoder's states; returned as by `prefill_source`."""

    def prefill_source(
        self, tokens_BT: Tensor, nodes_BT: Tensor, positions_BT: Tensor, words_BT: Tensor, reach_BT: Tensor
    ) -> tuple[Any, int]:
        states_BTD = self.encode(tokens_BT, nodes_BT, positions_BT, words_BT, reach_BT)
        return self.remember(states_BTD, positions_BT)
