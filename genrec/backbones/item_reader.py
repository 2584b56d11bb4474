"""A language model that reads histories item by item and writes names along the trie.

A history is one position an item, a tenth of what its titles have in tokens. An item is read as the bag of its title's
tokens and of the trie nodes on its code's path, and the edge into a node is predicted by the sum of the same two
vectors, its token's and its own. So the logit of a child, state · (token + node), goes by the history, which is in the
state, and by all that was written so far, which is in the node: a log-bilinear model (Mnih & Hinton 2007,
https://doi.org/10.1145/1273496.1273577) over the children of a node. The state is the same along a name, so nothing has
to be run while one is written.

Shape suffixes: R rows of packed histories, T places of a row, N trie nodes, E edges, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import save_file
from torch import Tensor, nn

from genrec.backbones.base import NodeModel, twin
from genrec.backbones.item_encoder import BSARecNetwork, SASRecNetwork, Sizes
from genrec.backbones.item_vectors import Bags
from genrec.data.files import read_json, read_safetensors, write_atomically, write_json
from genrec.data.interactions import IntArray

Encoder = Literal["sasrec", "bsarec"]
_NETWORKS: Mapping[str, type[SASRecNetwork]] = {"sasrec": SASRecNetwork, "bsarec": BSARecNetwork}


class ItemReader(NodeModel):
    """An encoder over items, and the vectors of tokens and nodes that items are read and edges are predicted by."""

    def __init__(self, bags: Bags, num_tokens: int, encoder: Encoder, sizes: Sizes) -> None:
        """Fresh weights.

        Args:
            bags: of each item, its title's tokens and the nodes of its code, which are numbered after the tokens.
            num_tokens: of the vocabulary.
            encoder: whose blocks.
            sizes: of the encoder.
        """
        super().__init__()
        self.num_tokens, self.encoder, self.sizes = num_tokens, encoder, sizes
        self.network = _NETWORKS[encoder](bags, sizes, own=False)
        # The state before anything is known of a user.
        self.nobody_D = nn.Parameter(torch.zeros(sizes.width))

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """States (R, T, D) after each item of packed histories: items, ages and segments as `pack` makes them."""
        item_N, place_RT = torch.unique(batch["items"], return_inverse=True)
        vectors_RTD = F.embedding(place_RT, self.network.vectors(item_N))
        states_RTD: Tensor = self.network(vectors_RTD, batch["ages"], batch["segments"])
        return states_RTD

    def edge_vectors(self, tokens_E: Tensor, nodes_E: Tensor) -> Tensor:
        words = self.network.vectors.words
        nodes_E = nodes_E + self.num_tokens
        if torch.is_grad_enabled():
            return F.embedding(tokens_E, words) + F.embedding(nodes_E, words)
        pair_E2 = torch.stack([tokens_E.long(), nodes_E], dim=1)
        sum_ED: Tensor = F.embedding_bag(pair_E2, words, mode="sum")  # the same, written once
        return sum_ED

    @torch.no_grad()
    def forget_nodes(self, node_M: Tensor) -> None:
        """Set the vectors of these nodes to nought, as those of nodes that come after the training are."""
        self.network.vectors.words[self.num_tokens + node_M] = 0

    @torch.no_grad()
    def begin_at(self, earlier: ItemReader, old_of_new_N: IntArray) -> None:
        """Take over what an earlier model has learnt, which has the same tokens; vectors of new nodes become nought.

        Args:
            earlier: of the same sizes.
            old_of_new_N: (N,) the number that each node has there, -1 where there is none.
        """
        self.network.begin_at(earlier.network)
        self.nobody_D.copy_(earlier.nobody_D)
        words, theirs = self.network.vectors.words, earlier.network.vectors.words.to(self.nobody_D.device)
        words[: self.num_tokens] = theirs[: self.num_tokens]
        words[self.num_tokens :] = 0
        known = torch.from_numpy(np.flatnonzero(old_of_new_N >= 0)).to(words.device)
        words[self.num_tokens + known] = theirs[
            self.num_tokens + torch.from_numpy(old_of_new_N).to(words.device)[known]
        ]

    def with_nodes(self, new_node_of_old: Tensor, num_nodes: int, bags: Bags) -> ItemReader:
        """This model for another trie, all else shared: node vectors renumbered, those of new nodes zero.

        Args:
            new_node_of_old: (old num_nodes,) int64, the new number of each old node, -1 where it is gone.
            num_nodes: nodes of the new trie.
            bags: as in the constructor, of the items of the new trie.
        """
        old_ND = self.network.vectors.words.detach()[self.num_tokens :]
        moved_ND = old_ND.new_zeros((num_nodes, old_ND.shape[1]))
        kept_N = new_node_of_old >= 0
        moved_ND[new_node_of_old[kept_N]] = old_ND[kept_N]
        words = torch.cat([self.network.vectors.words.detach()[: self.num_tokens], moved_ND])
        other = twin(self)
        other.network = twin(self.network)
        other.network.vectors = self.network.vectors.grown(bags, words)
        return other

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state = self.state_dict()
        write_atomically(folder / "model.safetensors", lambda path: save_file(state, path))
        about = {"num_tokens": self.num_tokens, "encoder": self.encoder, "sizes": asdict(self.sizes)}
        write_json(folder / "reader.json", about)

    @classmethod
    def load(cls, folder: Path, bags: Bags) -> ItemReader:
        """Read what `save` wrote; `bags` are those that it was trained with."""
        about = read_json(folder / "reader.json", dict[str, Any])
        reader = cls(bags, about["num_tokens"], about["encoder"], Sizes(**about["sizes"]))
        reader.load_state_dict(read_safetensors(folder / "model.safetensors", [], framework="pt"))
        return reader
