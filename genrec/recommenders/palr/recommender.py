"""PALR: a retriever proposes, a profile tells what somebody likes, and a language model writes the list from the two.

Yang, Chen, Jiang, Cho, Huang, Lu 2023, https://arxiv.org/abs/2305.07622. What differs from the paper is told in
docs/palr.md; the recipes `palr-paper` and `palr-best` stand for both ways.

Shape suffixes: B users, C candidates, F scores of a candidate, k items wanted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.files import read_json, write_json
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions, Targets
from genrec.data.new_items import fitted_to
from genrec.data.ranking import Rankings
from genrec.decoding.ranker import Questions
from genrec.errors import ConfigError
from genrec.prompts.profiles import Profile
from genrec.prompts.template import own_texts
from genrec.recommenders.base import Recommender, load, register
from genrec.recommenders.held import fitted, part, usual_options
from genrec.recommenders.language.codebook import Codebook
from genrec.recommenders.language.decoder import TINY_DECODER, DecoderOnly, Rows, states_before
from genrec.recommenders.language.generative import Architecture, GenerativeRecommender
from genrec.recommenders.language.item_reading import ItemQuestions, item_states, item_steps
from genrec.recommenders.palr.candidates import filled_up, retrieve
from genrec.recommenders.palr.choice import ChoiceModel
from genrec.recommenders.palr.config import PalrConfig, Task
from genrec.recommenders.palr.lists import load_list_prompts
from genrec.recommenders.palr.profile_texts import ProfileTexts
from genrec.recommenders.palr.questions import ListQuestions
from genrec.recommenders.palr.scores import Likelihood, ProfileMatch, Score, of_retriever
from genrec.training.decoder_rows import collate
from genrec.training.mixture import Batches, Mixture


@dataclass(frozen=True)
class Trace:
    """How a list came about.

    `filled`: which of the chosen the model did not rank, so that they stand in the retriever's order.
    """

    profile: Profile
    candidates: IntArray
    chosen: IntArray
    filled: BoolArray


@register("palr")
class Palr(GenerativeRecommender):
    """history -> retriever's candidates -> likelihood under a language model, match with a profile, retriever's score.

    What is no candidate cannot be recommended: HR@k never exceeds the retriever's HR@num_candidates. Practical limits:
    those of `genrec` and of the retriever, and a question holds every candidate's code.
    """

    Config = PalrConfig
    pipeline = (
        "retriever's candidates -> likelihood under a language model, match with a profile, retriever's score -> "
        "candidates in order"
    )
    paper = "Yang et al. 2023, https://arxiv.org/abs/2305.07622"
    architecture: Architecture = DecoderOnly()
    tiny = TINY_DECODER | {"retriever": "itemknn", "tasks": ("recommend",), "max_items": 20}

    retriever_: Recommender
    profiles_: ProfileTexts
    lists_: ListQuestions  # where tokens are read
    weights_: FloatArray  # of each of `scores`
    ceiling_: float | None = None  # HR of the candidates of validation users

    # -- learning --------------------------------------------------------------------------------------------

    def _fit(
        self, train_data: Interactions, validation: Targets | None, run: Path | None, resume: bool
    ) -> None:
        config = self.config
        if config.retriever == self.name:
            raise ConfigError("palr cannot retrieve for itself: choose another retriever")
        usual = usual_options(config)
        retriever = part(config.retriever, config.retriever_options, usual, self.catalogue)
        home = None if run is None else run / "retriever"
        self.retriever_ = fitted(retriever, train_data, validation, home, resume)
        self.profiles_ = ProfileTexts(config, self.catalogue)
        spelt = [*self.prompt_texts(), *self.profiles_.words, *map(str, range(1, 21))]
        codebook = self._new_codebook(train_data, [] if config.reads_items else spelt)
        self._use(codebook, self._new_backbone(codebook))
        self.weights_ = np.array([score.usual for score in self.scores])
        self._train(self._steps(train_data), self._validation(validation), run, resume)
        self._forget_untrained(train_data)
        if validation is not None and config.ranking == "likelihood":
            self.calibrate(validation)

    def _steps(self, train_data: Interactions) -> Batches:
        config = self.config
        if config.reads_items:
            return item_steps(train_data.histories, config)
        return Mixture(
            self.lists_.example_sets(train_data),
            collate,
            batch_tokens=config.training.batch_tokens,
            num_epochs=config.training.epochs,
            seed=config.seed,
            purpose="lists",
            max_steps=config.training.max_steps,
        )

    def prompt_texts(self) -> list[str]:
        templates = load_list_prompts(self.config.prompt).values()
        return [text for template in templates for text in own_texts(template)]

    def _use(self, codebook: Codebook, backbone: Any) -> None:
        super()._use(codebook, backbone)
        if not self.config.reads_items:
            self.lists_ = ListQuestions(self.config, codebook, backbone.max_positions, self.profiles_)

    # -- asking ----------------------------------------------------------------------------------------------

    def questions(self, histories: Histories) -> Rows | ItemQuestions:
        if self.config.reads_items:
            return ItemQuestions(self.backbone_, histories)
        candidates = self._proposed(histories, self.config.num_candidates)
        return self.lists_.of(self.config.tasks[0], histories, candidates.items_BK)

    def _unasked(self) -> Questions:
        """Without candidates, whose titles a question would make likely."""
        return self._asked(self.config.tasks[0], Histories.from_lists([[]]), np.zeros((1, 0), np.int32))

    def _asked(self, task: Task, histories: Histories, candidates_BC: IntArray) -> Questions:
        """A task's question for each history."""
        if self.config.reads_items:
            return ItemQuestions(self.backbone_, histories)
        return self.lists_.of(task, histories, candidates_BC)

    def _proposed(
        self, histories: Histories, count: int, *, exclude_seen: bool = True, allowed: BoolArray | None = None
    ) -> Rankings:
        """The retriever's best items."""
        return retrieve(
            self.retriever_,
            histories,
            min(count, len(self.catalogue)),
            exclude_seen=exclude_seen,
            catalogue=self.catalogue,
            allowed=allowed,
        )

    def _rank(
        self, histories: Histories, k: int, *, exclude_seen: bool, allowed: BoolArray | None, exact: bool
    ) -> Rankings:
        proposed = self._proposed(
            histories, max(k, self.config.num_candidates), exclude_seen=exclude_seen, allowed=allowed
        )
        return self._ordered(histories, proposed, k)[0]

    def _scores_of(self, histories: Histories, items_J: IntArray, offered: BoolArray) -> FloatArray:
        # A score is one among the candidates that the retriever proposes.
        count = max(self.config.num_candidates, len(items_J))
        return self.rank(histories, count, exclude_seen=False, allowed=offered).scores_of(items_J)

    def _ordered(self, histories: Histories, proposed: Rankings, k: int) -> tuple[Rankings, BoolArray]:
        """The proposed items in the model's order, and which of them (B, k) are there in the retriever's order only."""
        num_candidates = self.config.num_candidates
        candidates = Rankings(
            proposed.items_BK[:, :num_candidates], proposed.scores_BK[:, :num_candidates], proposed.exact_B
        )
        if self.config.ranking == "list":
            ranked = self._written(histories, candidates.items_BK, k)
        else:
            ranked = ChoiceModel(self.scores, self.weights_).rank(histories, candidates)
        return filled_up(*ranked, proposed.items_BK, k)

    @property
    def scores(self) -> list[Score]:
        """What each candidate is scored by: each task's question (log p), the profile's match, the retriever."""
        likelihoods = [Likelihood(task, self._asked, self.ranker_) for task in self.config.tasks]
        attributes = self.profiles_.attributes
        match = [] if attributes is None else [ProfileMatch(attributes)]
        return [*likelihoods, *match, *of_retriever(self.retriever_, self.catalogue)]

    def _written(self, histories: Histories, candidates_BC: IntArray, k: int) -> tuple[IntArray, FloatArray]:
        """A list of at most `k` candidates; scores fall by one a place."""
        k = min(k, candidates_BC.shape[1])
        questions = self.lists_.of(self.config.asks_for_lists, histories, candidates_BC)
        written_Bk = self.ranker_.write_list(questions, candidates_BC, k)
        return written_Bk, np.tile(-np.arange(k, dtype=np.float32), (len(histories), 1))

    @torch.no_grad()
    def calibrate(self, validation: Targets, without: Collection[str] = ()) -> Self:
        """Learn the weights of the scores, but those named in `without`, from which candidates came true.

        Raises:
            ConfigError: the retriever proposes the target of none of these users.
        """
        config, scores = self.config, self.scores
        asked = validation.sample(config.calibration_users, config.seed, "users calibrated on").apart()
        self.backbone_.eval()
        wanted_F = np.array([float(score.name not in without) for score in scores])
        propose = partial(self._proposed, count=config.num_candidates)
        weights_F, ceiling = ChoiceModel(scores, wanted_F).fitted(asked, propose, config.ranking_batch)
        if not ceiling:
            raise ConfigError(
                f"{self.retriever_.name} proposes none of the {len(asked)} validation targets: take more candidates or "
                "another retriever"
            )
        self.weights_, self.ceiling_ = weights_F, ceiling
        return self

    def _choose_as(self, other: Self) -> None:
        super()._choose_as(other)
        self.weights_, self.ceiling_ = other.weights_.copy(), other.ceiling_
        self.retriever_._choose_as(other.retriever_)

    def with_retriever(self, retriever: Recommender, validation: Targets | None = None) -> Self:
        """Take candidates from another fitted retriever from now on.

        Args:
            retriever: fitted on the same catalogue.
            validation: to learn the weights anew, whose old values were fitted beside the old retriever's scores.

        Raises:
            ConfigError: the retriever knows other items.
        """
        retrieve(retriever, Histories.from_lists([[]]), 1, catalogue=self.catalogue)
        known = dict(zip([score.name for score in self.scores], self.weights_.tolist(), strict=True))
        self.retriever_ = retriever
        self.weights_ = np.array([known.get(score.name, score.usual) for score in self.scores])
        self.trained_ = {name: value for name, value in self.trained_.items() if name != "retriever_"}
        return self if validation is None else self.calibrate(validation)

    def notes(self) -> list[str]:
        """The ceiling, the weights, and profiles that could not be had."""
        told = []
        if self.ceiling_ is not None:
            told.append(
                f"{self.retriever_.name} proposes the next item of {self.ceiling_:.1%} of the validation users among "
                f"{self.config.num_candidates} candidates: no list can find more"
            )
            weights = zip(self.scores, self.weights_.tolist(), strict=True)
            told.append(
                "weights of the scores: " + ", ".join(f"{score.name} {value:.3g}" for score, value in weights)
            )
        return told + self.profiles_.notes()

    def background(self, history: Sequence[str | int]) -> dict[str, list[str]]:
        """The profile, a line a keyword, and the candidates as retrieved."""
        found, titles = self.trace(np.array(self.catalogue.rows(history), np.int32)), self.catalogue.titles
        profile = [f"{one.word}: {'; '.join(titles[row] for row in one.items)}" for one in found.profile]
        candidates = [titles[row] for row in found.candidates]
        return {"profile": profile, f"candidates ({self.retriever_.name})": candidates}

    def trace(self, history: IntArray, k: int = 10) -> Trace:
        """How the list of one history (rows of the catalogue) comes about."""
        k = min(k, len(self.catalogue))
        histories = Histories.from_lists([history])
        allowed = ~self.removed_ if self.removed_.any() else None
        proposed = self._proposed(histories, max(k, self.config.num_candidates), allowed=allowed)
        rankings, filled_BK = self._ordered(histories, proposed, k)
        there = rankings.items_BK[0] >= 0
        candidates = proposed.items_BK[0, : self.config.num_candidates]
        return Trace(
            self.profiles_.of(history),
            candidates[candidates >= 0],
            rankings.items_BK[0][there],
            filled_BK[0][there],
        )

    def _states_before(self, history: IntArray, item: int) -> Tensor:
        return self._states_after(self.questions(Histories.from_lists([history])), history, item)

    def _states_unasked(self, item: int) -> Tensor:
        return self._states_after(self._unasked(), np.zeros(0, np.int32), item)

    def _states_after(self, questions: Questions, history: IntArray, item: int) -> Tensor:
        """The states from which an item's code is predicted after the one question that there is."""
        code = self.codebook_.codes[item]
        if isinstance(questions, ItemQuestions):
            return item_states(self.backbone_, history, len(code))
        assert isinstance(questions, Rows)
        row = questions.rows[0].followed_by(code, self.codebook_.trie.paths[item])
        return states_before(self.backbone_, row, len(code))

    # -- the catalogue lives ---------------------------------------------------------------------------------

    def _catalogue_changed(self, trained: Catalogue) -> None:
        self.profiles_ = ProfileTexts(self.config, self.catalogue)
        super()._catalogue_changed(trained)
        retriever = self.retriever_
        items = fitted_to(retriever.catalogue, self.catalogue.table)
        self.retriever_ = retriever.with_items(items, retriever.removed_ids)

    # -- saving ----------------------------------------------------------------------------------------------

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        self.retriever_.save(folder / "retriever")
        write_json(folder / "palr.json", {"weights": self.weights_.tolist()}, indent=None)

    def _load(self, folder: Path) -> None:
        self.retriever_ = load(folder / "retriever")
        self.weights_ = np.array(read_json(folder / "palr.json", _Saved).weights)
        self.profiles_ = ProfileTexts(self.config, self.catalogue)
        self._use(*self._saved(folder))


class _Saved(BaseModel):
    """What `palr.json` holds."""

    weights: list[float]
