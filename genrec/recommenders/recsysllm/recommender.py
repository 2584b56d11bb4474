"""RecSysLLM: one language model that fills in what is masked, entities whole and in the order of time, then does tasks.

Chu, Wang, Zhu, Zhang, Ruan, ... 2023, https://arxiv.org/abs/2308.10837. Its four ideas have a switch each: entity-aware
masking, chronological spans, two-dimensional positions and their dynamic restart. What differs from the paper is told
in docs/recsysllm.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor

from genrec.backbones.base import Backbone
from genrec.backbones.tokenizer import TextTokenizer, WordTokenizer
from genrec.data.interactions import Histories, IntArray, Interactions, Targets
from genrec.data.ranking import Rankings
from genrec.data.split import some_users
from genrec.prompts.profiles import AttributeProfiles
from genrec.recommenders.base import register
from genrec.recommenders.language.codebook import Codebook
from genrec.recommenders.language.config import Items, Pretrained, WriterPriorOptions
from genrec.recommenders.language.experts import fit_experts
from genrec.recommenders.language.generative import (
    Architecture,
    GenerativeRecommender,
    compact_sizes,
    tuning,
)
from genrec.recommenders.language.item_reading import ItemQuestions, item_states, item_steps
from genrec.recommenders.options import Passes, Pretraining
from genrec.recommenders.p5.recommender import P5, TaskCompact, TaskConfig, TaskTraining
from genrec.recommenders.recsysllm.infilling import InfillingLayout
from genrec.recommenders.recsysllm.masking import LEVELS, Level
from genrec.recommenders.recsysllm.passages import Masks, Passages
from genrec.tasks.base import tasks as all_tasks
from genrec.tasks.material import TrainingText
from genrec.tasks.recommender import PromptKind
from genrec.training.encoder_rows import EncoderLayout
from genrec.training.layout import Span
from genrec.training.mixture import Mixture
from genrec.training.objectives import CodeLoss, TaskLoss

_MASKS: dict[Level, str] = {"entity": "[M]", "sentence": "[sM]", "document": "[gM]"}


class RecSysLLMTraining(TaskTraining):
    """How `recsysllm` is trained."""

    epochs: Passes = 8
    pretraining_epochs: Pretraining = Field(
        0, description="passes of span infilling over texts before the tasks"
    )


class NextItems(Items):
    """A model that reads items, and learns nothing but what comes next."""

    defaults: ClassVar = Items.defaults | {
        "families": ("sequential",),
        "times": {"next": 1},
        "max_items": 50,
    }


class RecSysLLMConfig(TaskConfig, WriterPriorOptions):
    """Options of `recsysllm`: those of tasks, the pre-training, the switches of its four ideas, and a prior."""

    # Two-dimensional positions stand in for whole-word vectors.
    dropped: ClassVar = {"stride": 0, "word_vectors": "none"}
    about_tokens: ClassVar = [
        "prompts", "user_tokens", "named_users", "other_words", "dropped_words", "draws", "packed", "held_share",
        "levels", "mask_share", "whole_entities", "chronological", "two_dimensional", "dynamic",
    ]  # fmt: skip

    backbone: Annotated[TaskCompact | NextItems | Pretrained, Field(discriminator="kind")]  # type: ignore[assignment]
    training: RecSysLLMTraining
    levels: tuple[Level, ...] = Field(
        LEVELS, strict=False, min_length=1, max_length=3, description="of masks: entity, sentence, document"
    )
    mask_share: float = Field(0.15, gt=0, le=1, description="entities or sentences that are masked")
    whole_entities: bool = Field(True, description="masks cut no entity; False: spans are cut anywhere")
    chronological: bool = Field(True, description="spans are filled in in the order of time; False: in any")
    two_dimensional: bool = Field(True, description="positions in the text and inside an entity; False: one")
    dynamic: bool = Field(
        True, description="positions inside entities restart with each entity that is written"
    )

    @model_validator(mode="after")
    def _items_follow_histories(self) -> Self:
        learnt = [name for name, count in self.times.items() if count]
        if self.reads_items and (self.families != ("sequential",) or learnt != ["next"]):
            raise ValueError(
                "backbone=items learns what comes next and no other task: leave families and times out, or take "
                "backbone=compact"
            )
        if self.expected_by and "sequential" not in self.families:
            raise ValueError(
                f"a prior is about what comes next, and families={','.join(self.families)} learn no such lists: leave "
                "prior out, or add sequential"
            )
        return self


class PrefixModel:
    """Decoders that read a question in both directions, compact or from a checkpoint.

    What makes these is imported where it is used, as in `DecoderOnly`.
    """

    loss: type[CodeLoss] = TaskLoss

    def check(self, checkpoint: str) -> None:
        from genrec.backbones.checkpoint import decoder_config

        decoder_config(checkpoint)

    def new(self, config: Any, codebook: Codebook, num_users: int) -> Backbone:
        tokenizer = codebook.tokenizer
        if config.backbone.kind == "pretrained":
            from genrec.backbones.pretrained_prefix import PretrainedPrefixBackbone

            start_token = (tokenizer.begin or tokenizer.end)[0]
            return PretrainedPrefixBackbone(
                config.backbone.path, start_token=start_token, tables=config.two_dimensional, **tuning(config)
            )
        from genrec.backbones.compact_prefix import CompactPrefixBackbone

        return CompactPrefixBackbone(
            start_token=tokenizer.end[0],
            tables=config.two_dimensional,
            **compact_sizes(config.backbone, codebook),
        )

    def load(self, folder: Path, config: Any, codebook: Codebook) -> Backbone:
        if config.backbone.kind == "compact":
            from genrec.backbones.compact_prefix import CompactPrefixBackbone

            return CompactPrefixBackbone.load(folder)
        from genrec.backbones.pretrained_prefix import PretrainedPrefixBackbone

        return PretrainedPrefixBackbone.load(folder)


@register("recsysllm")
class RecSysLLM(P5):
    """questions in words, after masked texts if wanted -> prefix language model -> item, stars or a sentence.

    Practical limits: those of `p5`; with the compact backbone a question holds at most 1,023 tokens.
    """

    Config: ClassVar[type[RecSysLLMConfig]] = RecSysLLMConfig
    pipeline = (
        "questions, after masked texts if wanted -> prefix language model -> item over the trie, stars or a "
        "sentence"
    )
    paper = "Chu et al. 2023, https://arxiv.org/abs/2308.10837"
    tiny = P5.tiny | {"pretraining_epochs": 2}
    architecture: Architecture = PrefixModel()
    backbone_: Any  # where items are read, an `ItemReader`

    # -- learning --------------------------------------------------------------------------------------------

    def _fit(
        self, train_data: Interactions, validation: Targets | None, run: Path | None, resume: bool
    ) -> None:
        asked = some_users(train_data, self.config.users_share, self.config.seed)
        experts = fit_experts(self.config, asked, validation, run, resume)
        super()._fit(train_data, validation, run, resume)
        self._forget_untrained(asked)
        self._use_experts(experts, validation)

    def _learn(
        self,
        train_data: Interactions,
        texts: TrainingText,
        validation: Targets | None,
        run: Path | None,
        resume: bool,
    ) -> None:
        config = self.config
        if config.reads_items:
            histories = some_users(train_data, config.users_share, config.seed).histories
            self._train(item_steps(histories, config), self._validation(validation), run, resume)
            return
        if config.training.pretraining_epochs:
            # Questions that fit into no row are told now, not after the pre-training: its checkpoint would stay in the
            # way of the command with a larger max_tokens.
            asked = some_users(train_data, config.users_share, config.seed)
            self._steps(asked, texts.of_users(asked), 1)[0]
            steps = Mixture(
                self.passages(train_data, texts).kinds(),
                self.layout_.collate,
                batch_tokens=config.training.batch_tokens,
                num_epochs=config.training.pretraining_epochs,
                seed=config.seed,
                purpose="masked texts",
                max_steps=config.training.max_steps,
            )
            before = None if run is None else run / "pretraining"
            self._train(steps, None, before, resume, evaluations=1, patience=0)
        super()._learn(train_data, texts, validation, run, resume)

    def passages(self, train_data: Interactions, texts: TrainingText) -> Passages:
        """The texts of which something is masked in the pre-training."""
        config, attributes = self.config, AttributeProfiles(self.catalogue)
        assert isinstance(self.layout_, InfillingLayout)
        masks = Masks(
            {level: Span.of_text(mask_token(self.codebook_.tokenizer, level)) for level in LEVELS},
            config.levels,
            config.mask_share,
            config.whole_entities,
            config.chronological,
        )
        return Passages(self.layout_, train_data, texts, attributes, masks)

    def _vocabulary(self, texts: TrainingText) -> tuple[list[str], list[str]]:
        if self.config.reads_items:  # nothing but names
            return [], []
        spelt, words = super()._vocabulary(texts)
        masks = _MASKS.values() if self.config.backbone.kind == "compact" else ()
        return [*spelt, *AttributeProfiles(self.catalogue).words], [*words, *masks]

    def _new_layout(self, options: dict[str, Any]) -> EncoderLayout:
        config, mask = self.config, mask_token(self.codebook_.tokenizer, "entity")
        return InfillingLayout(
            mask=mask, two_dimensional=config.two_dimensional, dynamic=config.dynamic, **options
        )

    def _use(self, codebook: Codebook, backbone: Any) -> None:
        if self.config.reads_items:  # nothing is asked in words
            GenerativeRecommender._use(self, codebook, backbone)
        else:
            super()._use(codebook, backbone)

    # -- answering -------------------------------------------------------------------------------------------

    def tasks(self, prompt: PromptKind = "seen") -> list[str]:
        return [] if self.config.reads_items and prompt != "seen" else super().tasks(prompt)

    def answer(
        self,
        task: str,
        questions: Sequence[Mapping[str, Any]],
        *,
        prompt: PromptKind = "seen",
        greedy: bool = False,
    ) -> Any:
        """As in `p5`; candidates that a history is given for are ranked with the prior as well."""
        if self.config.reads_items or self.experts_ is not None:
            asked = self.prompts_.one(all_tasks()[task], prompt)
            if asked.group == "next":
                return self.asked_with(prompt)._among(questions)
        return super().answer(task, questions, prompt=prompt, greedy=greedy)

    def _among(self, questions: Sequence[Mapping[str, Any]]) -> Rankings:
        """The candidates of each question, best first after its history."""
        histories = Histories.from_lists([question["history"] for question in questions])
        lists = [np.asarray(question["candidates"], np.int32) for question in questions]
        candidates_BC = np.stack(lists) if lists else np.zeros((0, 1), np.int32)
        prior = self._prior(histories, exclude_seen=False)
        return self.ranker_.rank_candidates(
            self.questions(histories), candidates_BC, candidates_BC.shape[1], prior
        )

    def questions(self, histories: Histories) -> Any:
        if self.config.reads_items:
            return ItemQuestions(self.backbone_, histories)
        return super().questions(histories)

    def _states_before(self, history: IntArray, item: int) -> Tensor:
        if self.config.reads_items:
            return item_states(self.backbone_, history, len(self.codebook_.codes[item]))
        return super()._states_before(history, item)


def mask_token(tokenizer: TextTokenizer, level: Level) -> IntArray:
    """What stands for something hidden: a token of its own, or to a checkpoint the mask's name as text."""
    if isinstance(tokenizer, WordTokenizer):
        return tokenizer.word_ids[[tokenizer.words.index(_MASKS[level])]]
    return np.array(tokenizer.encode([_MASKS[level]])[0])
