"""What else is asked beside the language model: recommenders that score every item, weighed into one prior.

Their scores are added up with weights, the softmax over the catalogue makes of the sum the mass of every item, and
names are written with that mass as a prior (`genrec.decoding.prior`). All weights are fitted to the items that
validation users took next, in two convex problems: first those of the experts among the whole catalogue
(`genrec.recommenders.language.weights`), then those of the prior and of the language model among the children of the
nodes on the way to these items.

Items that nobody took in training have weights of their own: what counts says nothing of them, and texts say more of
them than of others. These are fitted to all validation users who took one of them, who are too few among the others.

Shape suffixes: B users, I items in the order of the leaves of the trie, E experts' scores, N decisions, C children, K
items that were never trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import BaseModel
from torch import Tensor

from genrec.backbones.hardware import device
from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.files import read_json, write_json
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions, Targets
from genrec.data.new_items import fitted_to
from genrec.decoding.constraint import TrieTensors
from genrec.decoding.prior import Memory, Prior, PriorOf
from genrec.errors import ConfigError
from genrec.recommenders.base import Recommender, load, recommender_class
from genrec.recommenders.held import fitted, part, usual_options
from genrec.recommenders.language.config import PRIOR, PriorOptions
from genrec.recommenders.language.products import Products
from genrec.recommenders.language.weights import WORST, fit_weights, minimum
from genrec.recommenders.sasrec import SASRec
from genrec.recommenders.start import Start

_NUMBERS_HELD = (
    1 << 28
)  # scores that are held while weights are fitted: 1 GB, as is the prior of the same users
_LEAST_WEIGHT = 1e-6
_Weights = Mapping[str, float]


@dataclass(frozen=True)
class Decisions:
    """The choices on the way to the items that were taken, of nodes with about as many children.

    `row_N`: the users; `node_N`: where they stood; `logits_NC`: the language model's, -inf beyond the children;
    `taken_N`: the child on the way.
    """

    row_N: Tensor
    node_N: Tensor
    logits_NC: Tensor
    taken_N: Tensor


@dataclass(frozen=True)
class Experts:
    """Fitted recommenders, and the weight of each of their scores by its name.

    `prior_weight` and `words_weight`: of the prior's logarithms and of the language model's logits in writing.
    `untrained_I`: the items that nobody took in training, with `untrained_weights` of their scores, to which
    `untrained_bias` is added; None: the same weights as for others, and nothing.
    """

    models: Sequence[Recommender]
    weights: _Weights
    untrained_I: BoolArray
    prior_weight: float = 1.0
    words_weight: float = 1.0
    untrained_weights: _Weights | None = None
    untrained_bias: float = 0.0
    _held: list[Products] = field(default_factory=list, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, models: Sequence[Recommender], untrained_I: BoolArray) -> Self:
        """Experts whose weights are not fitted: the first score alone counts.

        Raises:
            ConfigError: two of them give a score of the same name.
        """
        names = [name for model in models for name in scores_of(model, Histories.from_lists([[]]))]
        _check_differ(names)
        return cls(models, {name: float(place == 0) for place, name in enumerate(names)}, untrained_I)

    def logits(self, histories: Histories, exclude_seen: bool) -> FloatArray:
        """The weighed scores (B, I) by item; `exclude_seen`: items of the history are not expected."""
        total_BI: FloatArray | None = None
        for model in self.models:
            for name, scores_BI in scores_of(model, histories).items():
                weight = self._weight(name)
                if total_BI is None:
                    total_BI = weight * scores_BI
                elif np.any(weight):
                    for total_I, scores_I in zip(total_BI, scores_BI, strict=True):  # stays in the cache
                        total_I += weight * scores_I
        assert total_BI is not None
        if self.untrained_bias:
            total_BI[:, self.untrained_I] += np.float32(self.untrained_bias)
        if exclude_seen:
            total_BI[histories.rows, histories.items] = WORST
        return total_BI

    def shares(self, histories: Histories) -> dict[str, FloatArray]:
        """What each score adds (B, I) to the logits, by its name; the bias of untrained items counts with the first."""
        found = {
            name: self._weight(name) * scores_BI
            for model in self.models
            for name, scores_BI in scores_of(model, histories).items()
        }
        first_BI = next(iter(found.values()))
        first_BI[:, self.untrained_I] += np.float32(self.untrained_bias)
        return found

    def _weight(self, name: str) -> np.float32 | FloatArray:
        """Of a score, where it differs between the items for each of them (I,)."""
        weight = np.float32(self.weights[name])
        if self.untrained_weights is None:
            return weight
        return np.where(self.untrained_I, np.float32(self.untrained_weights[name]), weight)

    def prior(self, histories: Histories, trie: TrieTensors, exclude_seen: bool) -> PriorOf:
        """What is expected of some of these histories, given their rows; `exclude_seen` as in `logits`.

        What it gives holds until it is asked again: the next prior is laid out in the same memory.
        """
        temperature = 1 / max(self.words_weight, _LEAST_WEIGHT)
        products, memory = self._products(trie), Memory()

        def of(rows: IntArray) -> Prior:
            some = histories.take(rows)
            found = None if products is None else products.prior(some, exclude_seen, memory)
            if found is None:
                logits_BI = _there(self.logits(some, exclude_seen))
                found = Prior.of_scores(trie, logits_BI, memory=memory)
            return replace(found, weight=self.prior_weight, temperature=temperature)

        return of

    def _products(self, trie: TrieTensors) -> Products | None:
        """What a single model of vectors expects; None where others count as well."""
        model = self.models[0]
        if len(self.models) > 1 or not isinstance(model, SASRec):
            return None
        if not self._held or self._held[0].trie is not trie:
            of_untrained = (self.untrained_weights or self.weights)[model.name]
            weight_I = np.where(self.untrained_I, of_untrained, self.weights[model.name])
            bias_I = np.where(self.untrained_I, self.untrained_bias, 0.0)
            self._held[:] = [Products.of(model, trie, weight_I, bias_I)]
        return self._held[0]

    @property
    def most_users(self) -> int:
        """Users whose scores, and whose prior, may be held together."""
        return max(1, _NUMBERS_HELD // (max(2, len(self.weights)) * len(self.models[0].catalogue)))

    def asked(self, validation: Targets, options: PriorOptions, seed: int) -> Targets:
        """The validation users whom the weights are learned from: those who took something new."""
        asked = validation.sample(options.calibration_users, seed, "users that the prior is weighed on")
        return _new_to_them(asked.apart(), self.most_users)

    def weighed(self, asked: Targets, validation: Targets, config: Any) -> Experts:
        """These with all weights that need no language model.

        Args:
            asked: of `validation`, as `asked` chooses them.
            validation: what users took next; of an order, each item.
            config: a recommender's, with `PriorOptions`, `seed` and `ranking_batch`.
        """
        validation = validation.apart()
        found, taken_B = self.fitted(asked, config.ranking_batch), self.untrained_I[validation.items]
        takers = validation.take(np.flatnonzero(taken_B))
        takers = takers.sample(
            config.calibration_users, config.seed, "users that untrained items are weighed on"
        )
        takers = _new_to_them(takers, self.most_users)
        others = asked.take(np.flatnonzero(~self.untrained_I[asked.items]))
        if not len(takers) or not len(others):
            return found
        # As many for each of the takers as there are in all of validation.
        standing_for = float((~taken_B).sum() / taken_B.sum()) * len(takers) / len(others)
        return found.fitted_to_untrained(others, takers, standing_for, config.ranking_batch)

    def fitted(self, asked: Targets, at_once: int) -> Experts:
        """These with weights that fit what users took next.

        Args:
            asked: users, as `asked` chooses them, and what they took.
            at_once: users that are scored together.
        """
        parts, seen = [], []
        for start in range(0, len(asked), at_once):
            some = asked.histories.take(np.arange(start, min(start + at_once, len(asked))))
            scores_EBI = [scores for model in self.models for scores in scores_of(model, some).values()]
            parts.append(_there(np.stack(scores_EBI)))
            seen.append((_there(some.rows), _there(some.items.astype(np.int64))))
        weights_E = fit_weights(parts, seen, _there(asked.items.astype(np.int64)))
        return replace(self, weights=dict(zip(self.weights, weights_E, strict=True)))

    def fitted_to_untrained(
        self, asked: Targets, takers: Targets, standing_for: float, at_once: int
    ) -> Experts:
        """These with weights for items that were never trained: of users who took any, how many, and which?

        The others keep their weights. These stay near them, as few users may have taken such an item: a shift of 1 of a
        score of deviation 1, or of the bias, costs as much as one of a normal distribution.

        Args:
            asked: users who took an item that was trained.
            takers: users who took one that was not.
            standing_for: users that each of `asked` stands for, while each of `takers` is one.
            at_once: users that are scored together.
        """
        columns_K, names = np.flatnonzero(self.untrained_I), list(self.weights)
        parts = []
        for users, share in ((asked, standing_for), (takers, 1.0)):
            for start in range(0, len(users), at_once):
                some = users.take(np.arange(start, min(start + at_once, len(users))))
                scores = [one for model in self.models for one in scores_of(model, some.histories).values()]
                scores_EBK = np.stack([scores_BI[:, columns_K] for scores_BI in scores])
                seen_BI = np.zeros(scores[0].shape, bool)
                seen_BI[some.histories.rows, some.histories.items] = True
                trained_BI = np.zeros_like(scores[0])
                for name, scores_BI in zip(names, scores, strict=True):
                    trained_BI += np.float32(self.weights[name]) * scores_BI
                trained_BI[seen_BI | self.untrained_I] = WORST
                # All that was trained is one more choice, with the sum of its items' chances.
                rest_B = _there(trained_BI).logsumexp(dim=1)
                place_B = np.searchsorted(columns_K, some.items) if users is takers else len(columns_K)
                taken_B = np.broadcast_to(place_B, len(some)).astype(np.int64)
                parts.append(
                    (_there(scores_EBK), _there(seen_BI[:, columns_K]), rest_B, _there(taken_B), share)
                )
        spread_E = torch.cat([part[0] for part in parts], dim=1).std(dim=(1, 2))
        scale_E = torch.where(spread_E > 0, spread_E, torch.inf)
        weight_E = spread_E.new_tensor([self.weights[name] for name in names])
        total = sum(share * len(taken_B) for *_, taken_B, share in parts)

        def losses(shifts: Tensor) -> Iterator[Tensor]:
            for scores_EBK, seen_BK, rest_B, taken_B, share in parts:
                logits_BK = (
                    torch.einsum("e,ebk->bk", weight_E + shifts[:-1] / scale_E, scores_EBK) + shifts[-1]
                )
                logits_BK = logits_BK.masked_fill(seen_BK, float(WORST))
                choices = torch.cat([logits_BK, rest_B[:, None]], dim=1)
                yield F.cross_entropy(choices, taken_B, reduction="sum") * (share / total)
            yield shifts.square().sum() / (2 * total)

        least = [*(-weight_E * spread_E).tolist(), None]
        *shift_E, bias = minimum(losses, [0.0] * len(least), least)
        found = (weight_E + weight_E.new_tensor(shift_E) / scale_E).clamp_min(0).tolist()
        return replace(self, untrained_weights=dict(zip(names, found, strict=True)), untrained_bias=bias)

    def balanced(self, decisions: Sequence[Decisions], prior: Prior) -> Experts:
        """These with the prior and the language model weighed against each other.

        Args:
            decisions: on the way to what users took next.
            prior: of the same users, of weight and temperature 1.
        """
        offsets = [prior.offsets(one.row_N, one.node_N, one.logits_NC.shape[1]) for one in decisions]

        def losses(weights_2: Tensor) -> Iterator[Tensor]:
            for one, offset_NC in zip(decisions, offsets, strict=True):
                there_NC = one.logits_NC > -torch.inf
                words_NC = one.logits_NC.masked_fill(~there_NC, 0)
                logits_NC = weights_2[0] * offset_NC + weights_2[1] * words_NC
                logits_NC = logits_NC.masked_fill(~there_NC, -torch.inf)
                yield F.cross_entropy(logits_NC, one.taken_N, reduction="sum") / len(prior.row_R)

        prior_weight, words_weight = minimum(losses, [1.0, 0.2], [0.0, 0.0])
        return replace(self, prior_weight=max(prior_weight, _LEAST_WEIGHT), words_weight=words_weight)

    def silenced(self) -> Experts:
        """These without the language model: what is written is the prior alone."""
        return replace(self, prior_weight=1.0, words_weight=0.0)

    def weighed_as(self, others: Experts) -> Experts:
        """These with the weights of others of the same names, which their models take over from theirs as well."""
        for model, other in zip(self.models, others.models, strict=True):
            model._choose_as(other)
        return replace(others, models=self.models, untrained_I=self.untrained_I)

    def grown(self, catalogue: Catalogue) -> Experts:
        """These for an edited catalogue, whose further items were never trained."""
        num_new = len(catalogue) - len(self.untrained_I)
        untrained_I = np.pad(self.untrained_I, (0, num_new), constant_values=True)
        return replace(
            self, models=[_edited(model, catalogue) for model in self.models], untrained_I=untrained_I
        )

    def told(self) -> str:
        """The weights of the scores."""
        told = f"weights of the prior's scores: {_listed(self.weights)}"
        if self.untrained_weights is None:
            return told
        return (
            f"{told} (of {int(self.untrained_I.sum()):,} items that nobody took in training "
            f"{_listed(self.untrained_weights)}, and {self.untrained_bias:+.3g})"
        )

    def notes(self) -> list[str]:
        """The weights, in a sentence."""
        return [
            f"{self.told()}; in writing the prior has {self.prior_weight:.3g} and the language model "
            f"{self.words_weight:.3g}"
        ]

    def save(self, folder: Path) -> None:
        """Write the recommenders and the weights."""
        for place, model in enumerate(self.models):
            model.save(folder / str(place))
        numbers = {name: getattr(self, name) for name in _Saved.model_fields.keys() & vars(self).keys()}
        numbers |= {"num_models": len(self.models), "untrained": np.flatnonzero(self.untrained_I).tolist()}
        write_json(folder / "weights.json", numbers, indent=None)

    @classmethod
    def load(cls, folder: Path) -> Experts:
        """Read what `save` wrote."""
        saved = read_json(folder / "weights.json", _Saved).model_dump()
        models = [load(folder / str(place)) for place in range(saved.pop("num_models"))]
        untrained_I = np.zeros(len(models[0].trained_catalogue), bool)
        untrained_I[saved.pop("untrained")] = True
        return cls(models, untrained_I=untrained_I, **saved)


class _Saved(BaseModel):
    """What `weights.json` holds."""

    weights: dict[str, float]
    prior_weight: float
    words_weight: float
    num_models: int
    # of a version that did not tell them apart: none
    untrained: list[int] = []
    untrained_weights: dict[str, float] | None = None
    untrained_bias: float = 0.0


def _listed(weights: _Weights) -> str:
    return ", ".join(f"{name} {weight:.3g}" for name, weight in weights.items())


def fit_experts(
    config: Any,
    train_data: Interactions,
    validation: Targets | None,
    run: Path | None,
    resume: bool,
    start: Start | None = None,
) -> Experts | None:
    """The recommenders of a prior, fitted; their weights are not. None where there are none.

    What is wrong with any of them is told before the first is trained.

    Args:
        config: a recommender's, with `PriorOptions`, `seed`, `threads` and `ranking_batch`.
        train_data, validation, run, resume: as in `Recommender.fit`.
        start: an earlier recommender with such a prior; each of its parts is where the one of its name starts.
    """
    names, options, catalogue = config.expected_by, dict(config.prior_options), train_data.catalogue
    if config.prior is None:
        text = PRIOR["transitions"] if catalogue.titled else {"text": "none"}
        for name, chosen in (PRIOR | {"transitions": text}).items():
            if name in names:
                options[name] = recommender_class(name).Config.merged(chosen, options.get(name, {}))
    usual = usual_options(config)
    parts = [part(name, options.get(name, {}), usual, catalogue) for name in names]
    check_experts(parts)
    homes = [None if run is None else run / "prior" / str(place) for place in range(len(parts))]
    earlier: Experts | None = None if start is None else vars(start.model.as_trained).get("experts_")
    before = () if earlier is None else earlier.models
    starts = {model.name: Start(model, start.budget) for model in before if start is not None}
    models = [
        fitted(model, train_data, validation, home, resume, starts.get(model.name))
        for model, home in zip(parts, homes, strict=True)
    ]
    taken_I = np.bincount(train_data.histories.items, minlength=train_data.num_items)
    return Experts.of(models, taken_I == 0) if models else None


def check_experts(models: Sequence[Recommender]) -> None:
    """Raise ConfigError where one ranks without a score for every item, or two are of the same kind."""
    for model in models:
        if type(model)._score is Recommender._score:
            raise ConfigError(
                f"{model.name} gives no score to every item, so it can be no part of a prior: take sasrec, bsarec, "
                "transitions or another one that does"
            )
    _check_differ([model.name for model in models])


def _check_differ(names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"the prior has two scores {twice[0]!r}: name each of its recommenders once")


def scores_of(model: Recommender, histories: Histories) -> dict[str, FloatArray]:
    """The scores (B, I) float32 of a recommender by their names; never NaN or infinite."""
    return {name: _bounded(scores_BI) for name, scores_BI in model._scores(histories).items()}


def _bounded(scores_BI: FloatArray) -> FloatArray:
    if scores_BI.min(initial=0) < WORST or not scores_BI.max(initial=0) <= -WORST:  # neither holds of NaN
        scores_BI = np.minimum(np.fmax(scores_BI, WORST), -WORST)
    return scores_BI.astype(np.float32, copy=False)


def _new_to_them(asked: Targets, count: int) -> Targets:
    """The first users, so many at most, who took what they did not have."""
    pairs = zip(asked.items.tolist(), asked.histories, strict=True)
    rows = np.flatnonzero([item not in history for item, history in pairs])
    return asked.take(rows[:count])


def _edited(model: Recommender, catalogue: Catalogue) -> Recommender:
    return model.with_items(fitted_to(model.catalogue, catalogue.table), model.removed_ids)


def _there(array: FloatArray | IntArray | BoolArray) -> Tensor:
    """An array on the device."""
    return torch.from_numpy(array).to(device())
