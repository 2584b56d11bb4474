"""Encoders of item histories: one position an item, states after each item out.

The blocks of SASRec (Kang & McAuley 2018, https://arxiv.org/abs/1808.09781) and of BSARec (Shin et al. 2024,
https://arxiv.org/abs/2312.10325). What differs from the papers is told in docs/baselines.md.

Shape suffixes: R rows of packed histories, T places of a row, S some places of all rows, D width, I items, L lags.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from genrec.backbones.dropout import Dropout
from genrec.backbones.item_vectors import Bags, ItemVectors


@dataclass(frozen=True)
class Sizes:
    """What an encoder is made of; the last two are BSARec's."""

    depth: int
    width: int
    num_heads: int
    dropout: float
    max_items: int
    filter_weight: float = 0.7
    num_frequencies: int = 2


def past(segments_RT: Tensor) -> Tensor:
    """Which places (R, T, T) each place may look at: those of its own history up to itself."""
    return (segments_RT[:, :, None] == segments_RT[:, None]).tril()


def _at(x_RTD: Tensor, place_S: Tensor | None) -> Tensor:
    """What stands at some places of all rows (S, D); None: everything as it is."""
    return x_RTD if place_S is None else x_RTD.flatten(0, 1).index_select(0, place_S)


class Attention(nn.Module):
    """Attention of each place to those that its row of `past_RTT` allows."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.num_heads, self.dropout = sizes.num_heads, Dropout(sizes.dropout)
        self.query, self.key, self.value, self.out = (nn.Linear(sizes.width, sizes.width) for _ in range(4))
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.zeros_(layer.bias)
        # Glorot's rule for the three as one matrix (3D, D), as torch's own attention is drawn: smaller scores at first.
        for layer in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(layer.weight, gain=math.sqrt(0.5))
        nn.init.xavier_normal_(self.out.weight)

    def forward(self, queries_RTD: Tensor, x_RTD: Tensor, past_RTT: Tensor) -> Tensor:
        num_rows, num_places, width = x_RTD.shape

        def heads(vectors: Tensor) -> Tensor:
            return vectors.view(num_rows, num_places, self.num_heads, -1).transpose(1, 2)

        query, key, value = heads(self.query(queries_RTD)), heads(self.key(x_RTD)), heads(self.value(x_RTD))
        scores_RHTT = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
        scores_RHTT = scores_RHTT.masked_fill(~past_RTT[:, None], -torch.inf)
        seen = self.dropout(scores_RHTT.softmax(dim=3)) @ value
        out: Tensor = self.out(seen.transpose(1, 2).reshape(num_rows, num_places, width))
        return out


class SASRecBlock(nn.Module):
    """Attention and a feed-forward layer; the norm stands before the queries only, and the second residual starts
    after it."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.attention = Attention(sizes)
        self.query_norm, self.norm = nn.LayerNorm(sizes.width), nn.LayerNorm(sizes.width)
        self.inner, self.outer = nn.Linear(sizes.width, sizes.width), nn.Linear(sizes.width, sizes.width)
        self.dropout = Dropout(sizes.dropout)

    def forward(self, x_RTD: Tensor, past_RTT: Tensor, place_S: Tensor | None = None) -> Tensor:
        x_RTD = x_RTD + self.attention(self.query_norm(x_RTD), x_RTD, past_RTT)
        x_RTD = self.norm(_at(x_RTD, place_S))
        out: Tensor = x_RTD + self.dropout(self.outer(self.dropout(self.inner(x_RTD)).relu()))
        return out


class SASRecNetwork(nn.Module):
    """Packed histories in, hidden states out; the item vectors serve as output vectors too."""

    Block: ClassVar[type[nn.Module]] = SASRecBlock

    def __init__(self, bags: Bags, sizes: Sizes, *, own: bool = True, own_dropout: float = 0.0) -> None:
        """Fresh weights.

        Args:
            bags: the words of each item.
            sizes: of the encoder.
            own, own_dropout: as in `ItemVectors`.
        """
        super().__init__()
        # Of Xavier's rule for a table of items.
        std = math.sqrt(2 / (len(bags.words) + sizes.width))
        self.vectors = ItemVectors(bags, sizes.width, std, own=own, own_dropout=own_dropout)
        # By age, so that the newest item always stands at the same place.
        self.age_vectors = nn.Parameter(nn.init.xavier_normal_(torch.empty(sizes.max_items, sizes.width)))
        self.blocks = nn.ModuleList(self.Block(sizes) for _ in range(sizes.depth))
        self.dropout, self.norm = Dropout(sizes.dropout), nn.LayerNorm(sizes.width)
        # Of each head scores, shares and what dropout left of them, and once which places may look.
        self.attention_copies = sizes.depth * (3 * sizes.num_heads + 1)

    def begin_at(self, other: SASRecNetwork) -> None:
        """Take over all that another network of the same sizes has learnt, but the vectors of its items."""
        learnt = {
            name: weight for name, weight in other.state_dict().items() if not name.startswith("vectors.")
        }
        self.load_state_dict(learnt, strict=False)

    def forward(
        self, vectors_RTD: Tensor, ages_RT: Tensor, segments_RT: Tensor, place_S: Tensor | None = None
    ) -> Tensor:
        """States (R, T, D) after each item, given the vectors of the items; or those (S, D) at these flat places."""
        vectors_RTD = vectors_RTD * math.sqrt(vectors_RTD.shape[2])
        x_RTD = self.dropout(vectors_RTD + F.embedding(ages_RT, self.age_vectors))
        out: Tensor = self.norm(self._through_blocks(x_RTD, segments_RT, place_S))
        return out

    def _through_blocks(self, x_RTD: Tensor, segments_RT: Tensor, place_S: Tensor | None) -> Tensor:
        """The last block feeds forward what is asked for alone."""
        past_RTT = past(segments_RT)
        *blocks, last = self.blocks
        for block in blocks:
            x_RTD = block(x_RTD, past_RTT)
        out: Tensor = last(x_RTD, past_RTT, place_S)
        return out


class FrequencyFilter(nn.Module):
    """The slow part of a history plus the weighted rest.

    The paper cuts the Fourier transform of the whole padded row. To keep the `num_frequencies` slowest waves is a
    product with a fixed circulant matrix, which needs no transform, and restricted to the past it lets every place
    be a target: at the last place of a history it is the paper's filter, if padding is nought.
    """

    weight_L: Tensor

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        lag_L = torch.arange(sizes.max_items)
        waves = [
            2 * torch.cos(2 * math.pi * wave * lag_L / sizes.max_items)
            for wave in range(1, sizes.num_frequencies + 1)
        ]
        self.register_buffer("weight_L", sum(waves, torch.ones(sizes.max_items)) / sizes.max_items, False)
        self.quick_D = nn.Parameter(torch.randn(sizes.width))

    def forward(self, x_RTD: Tensor, past_RTT: Tensor) -> Tensor:
        place_T = torch.arange(x_RTD.shape[1], device=x_RTD.device)
        lag_TT = (place_T[:, None] - place_T).clamp_min(0)
        slow_RTD = (self.weight_L[lag_TT] * past_RTT) @ x_RTD
        return slow_RTD + self.quick_D.square() * (x_RTD - slow_RTD)


class BSARecBlock(nn.Module):
    """The filter and attention side by side, then a feed-forward layer."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.share = sizes.filter_weight
        self.filter = FrequencyFilter(sizes)
        self.attention = Attention(sizes)
        self.inner = nn.Linear(sizes.width, 4 * sizes.width)
        self.outer = nn.Linear(4 * sizes.width, sizes.width)
        for layer in (self.inner, self.outer):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.filter_norm, self.attention_norm, self.norm = (nn.LayerNorm(sizes.width) for _ in range(3))
        self.dropout = Dropout(sizes.dropout)

    def forward(self, x_RTD: Tensor, past_RTT: Tensor, place_S: Tensor | None = None) -> Tensor:
        filtered_RTD = self.filter_norm(x_RTD + self.dropout(self.filter(x_RTD, past_RTT)))
        attended_RTD = self.attention(x_RTD, x_RTD, past_RTT)
        attended_RTD = self.attention_norm(x_RTD + self.dropout(attended_RTD))
        x_RTD = _at(self.share * filtered_RTD + (1 - self.share) * attended_RTD, place_S)
        out: Tensor = self.norm(x_RTD + self.dropout(self.outer(F.gelu(self.inner(x_RTD)))))
        return out


class BSARecNetwork(SASRecNetwork):
    """Packed histories in, hidden states out; vectors start smaller, are not scaled, and are normed first."""

    Block: ClassVar[type[nn.Module]] = BSARecBlock

    def __init__(self, bags: Bags, sizes: Sizes, *, own: bool = True, own_dropout: float = 0.0) -> None:
        super().__init__(bags, sizes, own=own, own_dropout=own_dropout)
        self.vectors.draw(0.02)
        nn.init.normal_(self.age_vectors, std=0.02)

    def forward(
        self, vectors_RTD: Tensor, ages_RT: Tensor, segments_RT: Tensor, place_S: Tensor | None = None
    ) -> Tensor:
        x_RTD = self.dropout(self.norm(vectors_RTD + F.embedding(ages_RT, self.age_vectors)))
        return self._through_blocks(x_RTD, segments_RT, place_S)
