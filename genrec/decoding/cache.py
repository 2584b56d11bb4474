"""The KV cache of a search: keys and values of histories and of all prefixes that were run, as tokens of one row.

Shape suffixes: B users, R rows of the search, T history tokens, K keys in the cache, D width, F prefixes that are run,
S slots of a row (prefixes that were run, padded), W slots of a row that are kept (padded), L tokens of a run (padded),
G tokens to run, Q tokens to run of one row (padded).
"""

from __future__ import annotations

from copy import copy

import torch
from torch import Tensor

from genrec.backbones.base import Backbone, Prefix
from genrec.backbones.hardware import device_bytes
from genrec.data.memory import check_fits


class SearchCache:
    """The KV cache of the rows of a search, and which of its keys each prefix that was run may see."""

    def __init__(self, backbone: Backbone, prefix: Prefix) -> None:
        """Run the histories: slot 0 of each row is the empty answer."""
        prefilled = backbone.prefill(prefix)
        self.backbone, self.cache = backbone, prefilled.cache
        self.hidden_RD = prefilled.hidden_BD
        self.visible_RSK = prefilled.visible_BK[:, None]
        self.next_RS = prefix.start_B[:, None]  # the position after a prefix
        self.start_R = prefix.start_B

    def fork(self) -> SearchCache:
        """A copy that goes on by itself."""
        other = copy(self)
        other.cache = self.backbone.fork(self.cache)
        return other

    def follow(self, token_RL: Tensor, node_RL: Tensor, length_R: Tensor) -> None:
        """Add so many tokens to slot 0 of each row, which becomes the empty answer after them; forget other slots."""
        rows_R = torch.arange(len(length_R), device=length_R.device)
        zeros_R = torch.zeros_like(rows_R)
        hidden_RQD, place_RL, slot_R = self.run(rows_R, zeros_R, zeros_R, token_RL, node_RL, length_R)
        last_RD = hidden_RQD[rows_R, place_RL[rows_R, (length_R - 1).clamp_min(0)]]
        self.hidden_RD = torch.where(length_R[:, None] > 0, last_RD, self.hidden_RD)
        self.keep(slot_R[:, None], torch.ones_like(slot_R[:, None], dtype=torch.bool))
        self.start_R = self.next_RS[:, 0]

    def take(self, rows_R: Tensor) -> SearchCache:
        """Forget all rows but these."""
        self.backbone.keep_rows(self.cache, rows_R)
        self.visible_RSK, self.next_RS = self.visible_RSK[rows_R], self.next_RS[rows_R]
        self.start_R = self.start_R[rows_R]
        return self

    def depth(self, row_F: Tensor, slot_F: Tensor) -> Tensor:
        """Tokens of the answer in each prefix."""
        return self.next_RS[row_F, slot_F] - self.start_R[row_F]

    def keep(self, slots_RW: Tensor, wanted_RW: Tensor) -> None:
        """Forget all slots but the wanted ones of these, which are renumbered 0 to W - 1, and what only others see."""
        num_keys = self.visible_RSK.shape[2]
        slots_RW = slots_RW.masked_fill(~wanted_RW, 0)
        self.visible_RSK = self.visible_RSK.gather(1, slots_RW[:, :, None].expand(-1, -1, num_keys))
        self.visible_RSK &= wanted_RW[:, :, None]
        self.next_RS = self.next_RS.gather(1, slots_RW)
        used_RK = self.visible_RSK.any(dim=1)
        num_used = int(used_RK.sum(dim=1).max())
        if 4 * num_used > 3 * num_keys:  # copying the rest would cost more than it saves
            return
        columns_RK = torch.argsort((~used_RK).to(torch.uint8), dim=1, stable=True)[:, :num_used]
        self.backbone.keep_keys(self.cache, columns_RK)
        self.visible_RSK = self.visible_RSK.gather(2, columns_RK[:, None].expand(-1, slots_RW.shape[1], -1))

    def run(
        self,
        row_F: Tensor,
        slot_F: Tensor,
        rank_F: Tensor,
        token_FL: Tensor,
        node_FL: Tensor,
        length_F: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run the tokens by which prefixes are extended.

        Args:
            row_F: row of each, sorted.
            slot_F: slot of the prefix that is extended.
            rank_F: number of each within its row, from 0.
            token_FL: its tokens, padded on the right.
            node_FL: the nodes that they write.
            length_F: its tokens.

        Returns:
            hidden_RQD; place_FL, the place in its row of each token; slot_F, the slot of each extended prefix.
        """
        device, (num_rows, num_slots, num_keys) = row_F.device, self.visible_RSK.shape
        step_L = torch.arange(token_FL.shape[1], device=device)
        real_FL = step_L < length_F[:, None]
        # One row of tokens a row of the search: each prefix's run side by side, padding at the end.
        before_F = length_F.cumsum(0) - length_F
        tokens_R = torch.zeros(num_rows, dtype=torch.int64, device=device).index_add_(0, row_F, length_F)
        place_FL = (before_F - (tokens_R.cumsum(0) - tokens_R)[row_F])[:, None] + step_L
        shape_RQ = (num_rows, int(tokens_R.max()))
        row_G, place_G = row_F[:, None].expand_as(place_FL)[real_FL], place_FL[real_FL]

        def table(values_FL: Tensor, nothing: int = 0) -> Tensor:
            table_RQ = torch.full(shape_RQ, nothing, dtype=torch.int64, device=device)
            table_RQ[row_G, place_G] = values_FL.expand_as(place_FL)[real_FL]
            return table_RQ

        # Padding belongs to a prefix of its own, which nobody sees.
        rank_RQ, step_RQ = table(rank_F[:, None], -1), table(step_L)
        parent_RQ = table(slot_F[:, None])
        position_RQ = table(self.next_RS[row_F, slot_F][:, None] + step_L)
        # Masks of bytes and of floats, and what each slot sees; keys and values are small beside them.
        length = num_keys + shape_RQ[1]
        check_fits(
            f"trying {shape_RQ[1]:,} tokens for each of {num_rows:,} users at once",
            num_rows * length * (6 * shape_RQ[1] + 2 * num_slots),
            "lower beams, or the users that are ranked at once (ranking_batch, --batch-size)",
            device_bytes(device),
        )
        # A token sees what the prefix that it extends saw, and its own run up to itself.
        past_RQK = self.visible_RSK.gather(1, parent_RQ[:, :, None].expand(-1, -1, num_keys))
        past_RQK &= (rank_RQ >= 0)[:, :, None]
        own_RQQ = (rank_RQ[:, :, None] == rank_RQ[:, None]) & (step_RQ[:, :, None] >= step_RQ[:, None])
        hidden_RQD = self.backbone.hidden(
            table(token_FL),
            table(node_FL),
            position_RQ,
            torch.cat([past_RQK, own_RQQ], dim=2),
            self.cache,
            rank_RQ >= 0,
        )

        num_new = int(rank_F.max()) + 1
        visible_RSK = torch.zeros(
            (num_rows, num_slots + num_new, num_keys + shape_RQ[1]), dtype=torch.bool, device=device
        )
        visible_RSK[:, :num_slots, :num_keys] = self.visible_RSK
        new_F = num_slots + rank_F
        visible_RSK[row_F, new_F, :num_keys] = self.visible_RSK[row_F, slot_F]
        visible_RSK[row_G, new_F[:, None].expand_as(place_FL)[real_FL], num_keys + place_G] = True
        next_RS = torch.zeros((num_rows, num_slots + num_new), dtype=torch.int64, device=device)
        next_RS[:, :num_slots] = self.next_RS
        next_RS[row_F, new_F] = self.next_RS[row_F, slot_F] + length_F
        self.visible_RSK, self.next_RS = visible_RSK, next_RS
        return hidden_RQD, place_FL, new_F


class FixedStates:
    """In place of histories and of their cache: states that predict every token of an answer, whatever was written.

    What was written shows in the node that a prefix has reached, whose children have vectors of their own. So nothing
    is run while a name is written, and there is nothing to keep.
    """

    def __init__(self, hidden_RD: Tensor) -> None:
        self.hidden_RD = hidden_RD

    @property
    def start_R(self) -> Tensor:
        """Where answers start, in positions."""
        return torch.zeros(len(self.hidden_RD), dtype=torch.int64, device=self.hidden_RD.device)

    @property
    def length_B(self) -> Tensor:
        """Tokens that a search would read."""
        return self.start_R

    def take(self, rows_R: Tensor) -> FixedStates:
        """The states of these rows."""
        return FixedStates(self.hidden_RD[rows_R])
