"""PALR: a retriever proposes, a profile tells what somebody likes, and a language model writes the list from the two.

Yang, Chen, Jiang, Cho, Huang, Lu 2023, https://arxiv.org/abs/2305.07622. What differs from the paper is told in
docs/palr.md; the recipes `palr-paper` and `palr-best` stand for both ways.

Shape suffixes: B users, C candidates, F scores of a candidate, k items wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from genrec.backbones.base import Backbone
from genrec.backbones.hardware import device
from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.files import read_json, write_json
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions, Targets
from genrec.data.new_items import fitted_to
from genrec.data.ranking import Rankings
from genrec.data.streams import stream
from genrec.errors import ConfigError
from genrec.prompts.profiles import AttributeProfiles, Profile, profile_text
from genrec.prompts.template import Field as Named
from genrec.prompts.template import own_texts
from genrec.recommenders.base import Recommender, load, register
from genrec.recommenders.language.codebook import Codebook
from genrec.recommenders.language.decoder import TINY_DECODER, DecoderOnly, Rows
from genrec.recommenders.language.generative import GenerativeRecommender
from genrec.recommenders.palr.affinity import enriched
from genrec.recommenders.palr.candidates import CandidateLists, filled_up, fitted_retriever, retrieve
from genrec.recommenders.palr.chat import open_chat
from genrec.recommenders.palr.config import PalrConfig, Task
from genrec.recommenders.palr.examples import ListTasks, packed_kind
from genrec.recommenders.palr.lists import load_list_prompts
from genrec.recommenders.palr.llm_profiles import LLMProfiles
from genrec.recommenders.palr.mixture import best_first, fit_weights
from genrec.training.decoder_rows import DecoderLayout, HistoryRows, collate
from genrec.training.mixture import ExampleSet, Mixture


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
    """history -> retriever's candidates + profile -> decoder-only language model -> the candidates in its order.

    What is no candidate cannot be recommended: HR@k never exceeds the retriever's HR@num_candidates. Practical limits:
    those of `genrec` and of the retriever, and a question holds every candidate's code.
    """

    Config = PalrConfig
    pipeline = (
        "retriever's candidates and a profile in words -> decoder-only language model -> candidates in order"
    )
    paper = "Yang et al. 2023, https://arxiv.org/abs/2305.07622"
    architecture = DecoderOnly()
    tiny = {**TINY_DECODER, **{"retriever": "itemknn", "tasks": ("recommend",)}}  # noqa: RUF012

    retriever_: Recommender
    attributes_: AttributeProfiles | None
    profiles_: AttributeProfiles | LLMProfiles | None
    weights_: FloatArray  # of each score in `_scores`
    ceiling_: float | None = None  # HR of the candidates of validation users
    num_profiles_: int = 0  # that stood in a question, learnt or asked
    num_empty_profiles_: int = 0
    packed_: HistoryRows
    layout_: DecoderLayout

    # -- learning --------------------------------------------------------------------------------------------

    def _fit(
        self, train_data: Interactions, validation: Targets | None, run: Path | None, resume: bool
    ) -> None:
        config = self.config
        if config.retriever == self.name:
            raise ConfigError("palr cannot retrieve for itself: choose another retriever")
        self.retriever_ = fitted_retriever(
            config.retriever,
            config.retriever_options,
            {name: getattr(config, name) for name in ("seed", "threads", "ranking_batch")},
            train_data,
            validation,
            run,
            resume,
        )
        self._use_profiles()
        # How much a profile says is not known before there is validation; the others are about log-probabilities.
        self.weights_ = np.array([float(name != "profile") for name in self.score_names])
        keywords = [] if self.attributes_ is None else self.attributes_.words
        spelt = [*self.prompt_texts(), *keywords, *map(str, range(1, 21))]
        codebook = self._new_codebook(train_data, spelt)
        self._use(codebook, self._new_backbone(codebook))
        steps = Mixture(
            self._kinds(train_data),
            collate,
            batch_tokens=config.batch_tokens,
            num_epochs=config.epochs,
            seed=config.seed,
            purpose="lists",
            max_steps=config.max_steps,
        )
        self._train(steps, self._validation(validation), run, resume)
        if validation is not None and config.ranking == "likelihood":
            self.calibrate(validation)

    def _use_profiles(self) -> None:
        """Make profiles of the present catalogue."""
        config = self.config
        self.attributes_ = None if config.profile == "none" else AttributeProfiles(self.catalogue)
        self.profiles_ = self.attributes_
        if self.attributes_ is not None and config.profile == "chat":
            self.profiles_ = LLMProfiles(
                open_chat(config.chat), self.attributes_, Path(config.chat_cache).expanduser()
            )

    def _kinds(self, train_data: Interactions) -> list[ExampleSet]:
        """Examples of all tasks."""
        config, histories = self.config, train_data.histories
        longer = enriched(train_data, config.enrich_to)
        lists = ListTasks(
            self.layout_,
            longer,
            lambda history: self._profile_text(self._profile(history)),
            CandidateLists(train_data, config.num_candidates).one,
            config.num_targets,
            config.swap_share,
            one_piece=config.profile == "chat",
            seed=config.seed,
        )
        able = np.flatnonzero(longer.lengths >= 2)
        count = min(len(able), max(1, round(config.users_share * len(able))))
        users = np.sort(
            stream(config.seed, "users whose lists are trained on").choice(able, count, replace=False)
        )
        kinds = []
        for task in config.tasks:
            if task == "recommend" and config.packed:
                kinds.append(packed_kind(self.packed_, histories))
            elif len(users):
                kinds.append(lists.kind(self.prompts_[task], users, config.num_candidates, 1))
        if not kinds:
            raise ConfigError("no history has two items: there is no list to learn")
        return kinds

    def prompt_texts(self) -> list[str]:
        templates = load_list_prompts(self.config.prompt).values()
        return [text for template in templates for text in own_texts(template)]

    def _use(self, codebook: Codebook, backbone: Backbone) -> None:
        super()._use(codebook, backbone)
        config, tokenizer = self.config, codebook.tokenizer
        self.prompts_ = load_list_prompts(config.prompt)
        self.layout_ = DecoderLayout(
            codebook.trie,
            tokenizer.encode,
            tokenizer.begin or tokenizer.end,
            max_items=config.max_items,
            max_tokens=min(config.max_tokens, backbone.max_positions),
        )
        self.packed_ = HistoryRows(self.layout_)

    def _profile(self, history: IntArray) -> Profile:
        return () if self.profiles_ is None else self.profiles_.of(history)

    def _profile_text(self, profile: Profile) -> str:
        """Keywords alone, in a line: the history is there already to say whence they are."""
        self.num_profiles_ += 1
        self.num_empty_profiles_ += not profile
        text = profile_text(profile, self.catalogue.titles, num_titles=0)
        return f"{text}. " if text else ""

    # -- asking ----------------------------------------------------------------------------------------------

    def questions(self, histories: Histories) -> Rows:
        task = self.config.tasks[0]
        return self._questions(
            task, histories, self._proposed(histories, self.config.num_candidates).items_BK
        )

    def _questions(self, task: Task, histories: Histories, candidates_BC: IntArray) -> Rows:
        """A task's question for each history; `candidates_BC` in the retriever's order."""
        if task == "recommend" and self.config.packed:
            return Rows([self.packed_.question(history) for history in histories])
        segments, room = self.prompts_[task], self.config.num_targets * self.layout_.longest_code
        profiles: list[Profile] = [()] * len(histories)
        if Named("profile") in segments and self.profiles_ is not None:
            profiles = self.profiles_.of_all(histories)  # all at once: a chat model may be asked side by side
        rows = []
        for history, candidates, profile in zip(histories, candidates_BC, profiles, strict=True):
            named = self._in_order(candidates[candidates >= 0], history)
            values = {"history": history, "candidates": named, "count": self.config.num_targets}
            if Named("profile") in segments:
                values["profile"] = self._profile_text(profile)
            rows.append(self.layout_.question(segments, values, room))
        return Rows(rows)

    def _in_order(self, candidates: IntArray, history: IntArray) -> IntArray:
        if self.config.order == "retriever":
            return candidates
        if self.config.order == "catalogue":
            return np.sort(candidates)
        rng = stream(self.config.seed, "order of candidates", *history.tolist())
        return rng.permutation(np.sort(candidates))

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

    def _ordered(self, histories: Histories, proposed: Rankings, k: int) -> tuple[Rankings, BoolArray]:
        """The proposed items in the model's order, and which of them (B, k) are there in the retriever's order only."""
        num_candidates = self.config.num_candidates
        candidates_BC = proposed.items_BK[:, :num_candidates]
        if self.config.ranking == "list":
            ranked_BC, scores_BC = self._written(histories, candidates_BC, min(k, candidates_BC.shape[1]))
        else:
            ranked_BC, scores_BC = self._by_likelihood(histories, candidates_BC, proposed.scores_BK)
        return filled_up(ranked_BC, scores_BC, proposed.items_BK, k)

    def _by_likelihood(
        self, histories: Histories, candidates_BC: IntArray, retrieved_BK: FloatArray
    ) -> tuple[IntArray, FloatArray]:
        """The candidates by the weighted sum of their scores; one of weight 0 is not asked for."""
        scores_BCF = self._scores(histories, candidates_BC, retrieved_BK, self.weights_ != 0)
        return best_first(candidates_BC, scores_BCF, self.weights_)

    def _scores(
        self, histories: Histories, candidates_BC: IntArray, retrieved_BK: FloatArray, wanted_F: BoolArray
    ) -> FloatArray:
        """Scores (B, C, F), in the order of `score_names`; 0 where none is wanted or no candidate stands."""
        makers: list[Callable[[], FloatArray]] = [
            partial(self._log_likelihood, task, histories, candidates_BC) for task in self.config.tasks
        ]
        if self.attributes_ is not None:
            makers.append(partial(self._matches, histories, candidates_BC))
        makers.append(lambda: retrieved_BK[:, : candidates_BC.shape[1]])
        scores_BCF = np.zeros((*candidates_BC.shape, len(makers)))
        for place in np.flatnonzero(wanted_F).tolist():
            scores_BCF[..., place] = np.where(candidates_BC >= 0, makers[place](), 0.0)
        return scores_BCF

    def _matches(self, histories: Histories, candidates_BC: IntArray) -> FloatArray:
        """How well each candidate (B, C) suits the profile."""
        assert self.attributes_ is not None
        pairs = zip(histories, candidates_BC, strict=True)
        return np.stack([self.attributes_.matches(history, items) for history, items in pairs])

    @property
    def score_names(self) -> list[str]:
        """What each candidate is scored by: each task's question (log p), the profile's match, the retriever."""
        profile = [] if self.config.profile == "none" else ["profile"]
        return [*self.config.tasks, *profile, self.retriever_.name]

    def _log_likelihood(self, task: Task, histories: Histories, candidates_BC: IntArray) -> FloatArray:
        """log p(item | question) (B, C) of the candidates."""
        questions = self._questions(task, histories, candidates_BC)
        return self.ranker_.log_likelihood(questions, candidates_BC)

    def _written(self, histories: Histories, candidates_BC: IntArray, k: int) -> tuple[IntArray, FloatArray]:
        """A list of `k` candidates; scores fall by one a place."""
        questions = self._questions(self.config.asks_for_lists, histories, candidates_BC)
        written_Bk = self.ranker_.write_list(questions, candidates_BC, k)
        return written_Bk, np.tile(-np.arange(k, dtype=np.float32), (len(histories), 1))

    @torch.inference_mode()
    def calibrate(self, validation: Targets, without: Collection[str] = ()) -> Self:
        """Learn the weights of the scores, but those named in `without`, from which candidates came true.

        Raises:
            ConfigError: the retriever proposes the target of none of these users.
        """
        asked = validation.sample(self.config.calibration_users, self.config.seed, "users calibrated on")
        self.backbone_.eval()
        parts, num_hits = [], 0
        known_F = np.array([name not in without for name in self.score_names])
        at_once = self.config.ranking_batch
        for start in range(0, len(asked), at_once):
            some = asked.take(np.arange(start, min(start + at_once, len(asked))))
            proposed = self._proposed(some.histories, self.config.num_candidates)
            hits_BC = proposed.items_BK == some.items[:, None]
            rows = np.flatnonzero(hits_BC.any(axis=1))
            num_hits += len(rows)
            if len(rows):
                kept = proposed.take(rows)
                scores_BCF = self._scores(some.histories.take(rows), kept.items_BK, kept.scores_BK, known_F)
                parts.append((scores_BCF, kept.items_BK >= 0, hits_BC[rows].argmax(axis=1)))
        if not parts:
            raise ConfigError(
                f"{self.retriever_.name} proposes none of the {len(asked)} validation targets: take more candidates or "
                "another retriever"
            )
        self.ceiling_ = num_hits / len(asked)
        scores_BCF, there_BC, chosen_B = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        self.weights_ = fit_weights(scores_BCF, there_BC, chosen_B)
        return self

    def with_retriever(self, retriever: Recommender, validation: Targets | None = None) -> Self:
        """Take candidates from another fitted retriever from now on.

        Args:
            retriever: fitted on the same catalogue.
            validation: to learn the weights anew, whose old values are for the old retriever's scores.

        Raises:
            ConfigError: the retriever knows other items.
        """
        retrieve(retriever, Histories.from_lists([[]]), 1, catalogue=self.catalogue)
        self.retriever_ = retriever
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
            weights = zip(self.score_names, self.weights_.tolist(), strict=True)
            told.append(
                "weights of the scores: " + ", ".join(f"{name} {value:.3g}" for name, value in weights)
            )
        if self.num_profiles_:
            told.append(f"{self.num_empty_profiles_:,} of {self.num_profiles_:,} profiles had nothing to say")
        if isinstance(self.profiles_, LLMProfiles):
            counts = self.profiles_.counts
            told.append(
                f"profiles: {counts.asked:,} asked for, {counts.cached:,} known already, {counts.fallbacks:,} answers "
                "unusable and made from attributes"
            )
        return told

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
            self._profile(history),
            candidates[candidates >= 0],
            rankings.items_BK[0][there],
            filled_BK[0][there],
        )

    def _states_before(self, history: IntArray, item: int) -> Tensor:
        question = self.questions(Histories.from_lists([history])).rows[0]
        row = question.followed_by(self.codebook_.codes[item], self.layout_.paths[item])
        batch = {name: tensor.to(device()) for name, tensor in collate([row]).items()}
        hidden_BTD: Tensor = self.backbone_(batch)
        return hidden_BTD[0, -len(self.codebook_.codes[item]) - 1 : -1]

    # -- the catalogue lives ---------------------------------------------------------------------------------

    def _catalogue_changed(self, trained: Catalogue) -> None:
        super()._catalogue_changed(trained)
        retriever = self.retriever_
        items = fitted_to(retriever.catalogue, self.catalogue.table)
        self.retriever_ = retriever.with_items(items, retriever.removed_ids)
        self._use_profiles()

    # -- saving ----------------------------------------------------------------------------------------------

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        self.retriever_.save(folder / "retriever")
        write_json(folder / "palr.json", {"weights": self.weights_.tolist()}, indent=None)

    def _load(self, folder: Path) -> None:
        self.retriever_ = load(folder / "retriever")
        self.weights_ = np.array(read_json(folder / "palr.json", _Saved).weights)
        self._use_profiles()
        self._use(*self._saved(folder))


class _Saved(BaseModel):
    """What `palr.json` holds."""

    weights: list[float]
