"""Random models over random tries, and what they give every item when whole rows are scored one at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from genrec.backbones.base import Prefix
from genrec.backbones.compact import CompactBackbone
from genrec.codes.trie import Codes, Trie
from genrec.decoding.beam import BeamSearch, Normalise
from genrec.decoding.constraint import TrieTensors
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

END, VOCABULARY = 6, 7
Code = tuple[int, ...]


@dataclass
class Case:
    """A random model, catalogue and batch of histories."""

    model: CompactBackbone
    trie: Trie
    codes: list[Code]
    prefix: Prefix

    @property
    def tensors(self) -> TrieTensors:
        return TrieTensors.of(self.trie, "cpu")

    def search(self, normalise: Normalise = "children") -> BeamSearch:
        return BeamSearch(self.model, self.tensors, normalise)

    @torch.inference_mode()
    def log_probabilities(
        self, normalise: Normalise = "children", offset_BN: Tensor | None = None, temperature: float = 1.0
    ) -> Tensor:
        """log p(item | history) of each user and item (B, I): whole rows, no cache, no beam.

        `offset_BN` is added to the logit of each node over `temperature`, among the children.
        """
        prefix, rows = self.prefix, []
        codes = [torch.tensor(code) for code in self.codes]
        paths = [torch.from_numpy(path).long() for path in self.trie.paths]
        path_IL = pad_sequence(paths, batch_first=True)  # 0, the root, is no step of a path; so in a tail
        code_IL = pad_sequence(codes, batch_first=True, padding_value=-1)
        token_N, parent_N = self.tensors.token_N, torch.from_numpy(self.trie.parent_N)
        choices_ILN = parent_N[path_IL][:, :, None] == parent_N
        for user, length in enumerate(prefix.length_B.tolist()):
            places = [torch.arange(len(code)) + prefix.start_B[user] for code in codes]
            hidden_ITD = self.model.hidden(
                _rows(prefix.tokens_BT[user, :length], codes),
                _rows(prefix.nodes_BT[user, :length], paths),
                _rows(prefix.positions_BT[user, :length], places),
            )
            states_ILD = hidden_ITD[:, length - 1 : -1]
            if normalise == "children":
                vectors_ND = self.model.edge_vectors(token_N.clamp_min(0), torch.arange(len(token_N)))
                logits_ILN = states_ILD @ vectors_ND.T / temperature
                if offset_BN is not None:
                    logits_ILN = logits_ILN + offset_BN[user]
                logits_ILN = logits_ILN.masked_fill(~choices_ILN, -torch.inf)
                log_p_IL = logits_ILN.log_softmax(2).gather(2, path_IL[:, :, None]).squeeze(2)
            else:
                logits_ILV = states_ILD @ self.model.vocabulary_vectors().T
                log_p_IL = logits_ILV.log_softmax(2).gather(2, code_IL[:, :, None].clamp_min(0)).squeeze(2)
            real_IL = code_IL >= 0 if normalise == "vocabulary" else path_IL > 0
            rows.append(log_p_IL.masked_fill(~real_IL, 0).sum(1))
        return torch.stack(rows)


def _rows(history_T: Tensor, answers: list[Tensor]) -> Tensor:
    """One row an answer: the history, then the answer, padded on the right."""
    return pad_sequence([torch.cat([history_T, answer]) for answer in answers], batch_first=True)


def make(
    codes: list[Code], seed: int, *, num_users: int, node_vectors: bool = False, scale: float = 10
) -> Case:
    """A case whose weights are scaled up, so that its distributions are anything but even."""
    torch.manual_seed(seed)
    trie = Trie.build(Codes.from_lists(codes))
    model = CompactBackbone(
        VOCABULARY, depth=2, width=32, dropout=0.0, num_nodes=trie.num_nodes if node_vectors else 0
    ).eval()
    for weight in model.parameters():
        if weight.dim() == 2:
            weight.data *= scale
    length_B = torch.randint(1, 7, (num_users,))
    length_B[0] = 1  # a user without a history: the begin token only
    num_tokens = int(length_B.max())
    positions_BT = torch.randint(0, 3, (num_users, num_tokens)).cumsum(1)  # not consecutive
    prefix = Prefix(
        torch.randint(VOCABULARY, (num_users, num_tokens)),
        torch.randint(trie.num_nodes, (num_users, num_tokens)),
        positions_BT,
        length_B,
        positions_BT.amax(1) + torch.randint(1, 10, (num_users,)),
    )
    return Case(model, trie, codes, prefix)


def random_codes(seed: int, num_items: int) -> list[Code]:
    """Codes of 0 to 5 pieces out of two or three; some pieces make runs of forced tokens."""
    rng = np.random.default_rng(seed)
    pieces = [[(0,), (1,)], [(0,), (1, 2, 1), (2,)], [(0, 0, 0), (1,), (1, 2)]][seed % 3]
    codes: set[Code] = set()
    while len(codes) < num_items:
        chosen = [pieces[piece] for piece in rng.integers(0, len(pieces), rng.integers(0, 6))]
        codes.add((*(token for piece in chosen for token in piece), END))
    return [sorted(codes)[row] for row in rng.permutation(num_items)]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    seed = draw(st.integers(0, 10_000))
    return make(
        random_codes(seed, draw(st.sampled_from([1, 2, 5, 12, 25, 40]))),
        seed,
        num_users=draw(st.integers(1, 4)),
        node_vectors=draw(st.booleans()),
        scale=draw(st.sampled_from([1.0, 10.0, 30.0])),
    )
