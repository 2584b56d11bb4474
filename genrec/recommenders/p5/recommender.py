"""P5: one encoder–decoder that rates, explains, sums up reviews and recommends, each asked for in words.

Geng, Liu, Fu, Ge, Zhang 2022, https://arxiv.org/abs/2203.13366; numberings of Hua et al. 2023,
https://arxiv.org/abs/2305.06569. What differs from the papers is told in docs/p5.md; the recipes `p5-paper` and
`p5-best` stand for both ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator
from torch import Tensor

from genrec.backbones.base import Backbone
from genrec.backbones.seq2seq import Seq2SeqBackbone
from genrec.backbones.tokenizer import WordTokenizer
from genrec.data.interactions import Histories, IntArray, Interactions, Targets
from genrec.data.split import some_users
from genrec.errors import shown
from genrec.prompts.task_prompts import task_prompt_files
from genrec.recommenders.base import register
from genrec.recommenders.language.codebook import Codebook
from genrec.recommenders.language.config import Compact, Pretrained
from genrec.recommenders.language.generative import Architecture, GenerativeRecommender
from genrec.recommenders.language.seq2seq import (
    EncoderDecoder,
    Seq2SeqConfig,
    Seq2SeqTraining,
    Sources,
    layout_options,
    load_users,
    save_users,
    user_words,
)
from genrec.recommenders.options import BatchTokens, Depth, Name, Names, Passes, Width
from genrec.recommenders.p5.answers import TaskAnswers
from genrec.recommenders.p5.examples import example_sets
from genrec.recommenders.p5.prompts import TaskPrompts
from genrec.tasks.base import Rating, families, review_fields, training_sets
from genrec.tasks.material import Material, TrainingText
from genrec.tasks.recommender import PromptKind
from genrec.training.encoder_rows import EncoderLayout, WordTable
from genrec.training.mixture import Mixture
from genrec.training.validation import loss_validation

_FEWEST_HELD = 20  # reviews by whose loss a checkpoint is chosen
FAMILIES = ("rating", "sequential", "explanation", "review", "direct")  # those of the paper


class TaskCompact(Compact):
    """A small model from scratch that does tasks."""

    depth: Depth = 1
    width: Width | None = Field(128, description="its hidden size; 64 x depth if not given")
    dropout: float = Field(0.3, ge=0, lt=1, description="its dropout on embeddings and residual branches")


class TaskTraining(Seq2SeqTraining):
    """How a model that does tasks is trained."""

    epochs: Passes = 18
    batch_tokens: BatchTokens = 3000


class TaskConfig(Seq2SeqConfig):
    """Options of all recommenders that do the tasks of `p5`."""

    backbone: Annotated[TaskCompact | Pretrained, Field(discriminator="kind")]
    training: TaskTraining
    prompts: Name = Field("p5", description="folder of prompts: p5, or a path")
    families: Names = Field(FAMILIES, description="families of tasks that are learnt")
    user_tokens: bool = Field(
        True, description="each user has a token of their own; False: spelt as text (paper; checkpoints)"
    )
    named_users: float = Field(
        0.0, ge=0, le=1, description="share of the histories and reviews learnt with their user's name"
    )
    users_share: float = Field(
        1.0, gt=0, le=1, description="users whose histories and reviews the tasks are learnt from"
    )
    other_words: float = Field(
        0.0, ge=0, lt=1, description="share of a prompt's own words changed in training, for wordings to come"
    )
    dropped_words: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of a review's words that are left out each time it is read in training",
    )
    draws: int = Field(
        0,
        ge=0,
        le=1000,
        description="sentences drawn for an explanation, of which the one most like the others is taken; 0: the "
        "likeliest is written",
    )
    packed: bool = Field(
        True, description="histories as packed rows; False: one drawn piece an example (paper)"
    )
    held_share: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="of the training reviews, those whose loss chooses the checkpoint where no lists are learnt",
    )
    times: dict[Name, Annotated[int, Field(ge=0, le=1000)]] = Field(
        {name: one.times for name, one in training_sets().items()},
        description="examples drawn of each user or review in an epoch; packed histories count once",
    )

    @field_validator("times")
    @classmethod
    def _known(cls, times: dict[str, int]) -> dict[str, int]:
        known = training_sets()
        for name in times:
            if name not in known:
                raise ValueError(f"there is no {shown(name)}; choose among {', '.join(known)}")
        return times


class P5Config(TaskConfig):
    """Options of `p5`; the defaults are the recipe `p5-best`."""

    word_vectors: Literal["none", "order"] = Field(
        "none", description="order: whole-word embeddings, by a word's place in the source (paper)"
    )


@register("p5")
class P5(GenerativeRecommender):
    """question in words -> encoder–decoder language model -> item by search over the trie, stars, or a sentence.

    Practical limits: those of `genrec-seq2seq`; a `choose` question holds a hundred codes, which is dear to learn.
    """

    Config: ClassVar[type[TaskConfig]] = P5Config
    architecture: Architecture = EncoderDecoder()
    backbone_: Seq2SeqBackbone
    layout_: EncoderLayout
    users_: dict[str, int]
    prompts_: TaskPrompts
    answers_: TaskAnswers
    asking: PromptKind = "seen"  # the prompts that lists are asked for with
    pipeline = (
        "question in words -> encoder-decoder language model -> item over the trie, stars or a sentence"
    )
    paper = "Geng et al. 2022, https://arxiv.org/abs/2203.13366"
    tiny = {  # noqa: RUF012
        "depth": 1,
        "width": 64,
        "vocab_size": 400,
        "dropout": 0.0,
        "epochs": 40,
        "batch_tokens": 700,
        "learning_rate": 4e-3,
        "warmup_steps": 100,
        "evaluations": 1,
        "beams": 10,
        "bf16": False,
        "families": ("sequential",),
        "times": {"next": 1},
    }

    # -- learning --------------------------------------------------------------------------------------------

    def _fit(
        self, train_data: Interactions, validation: Targets | None, run: Path | None, resume: bool
    ) -> None:
        config = self.config
        self.users_ = {str(user): row for row, user in enumerate(train_data.users)}
        reads = {"texts", "headlines"} & self._columns
        texts = TrainingText(train_data if reads else replace(train_data, texts=None, headlines=None))
        fields = texts.fields(review_fields())
        self.prompts_ = TaskPrompts.choose(self.name, config, task_prompt_files(config.prompts), fields)
        codebook = self._new_codebook(train_data, *self._vocabulary(texts))
        self._use(codebook, self._new_backbone(codebook, len(self.users_)))
        self._learn(train_data, texts, validation, run, resume)

    @property
    def _columns(self) -> set[str]:
        """What the families that are trained on need of reviews."""
        trained = [family for name, family in families().items() if name in self.config.families]
        return {column for family in trained for columns in family.fields.values() for column in columns}

    def _learn(
        self,
        train_data: Interactions,
        texts: TrainingText,
        validation: Targets | None,
        run: Path | None,
        resume: bool,
    ) -> None:
        """Train the backbone; `texts` are those of all users."""
        config, changed = self.config, dict[str, Any]()
        train_data = some_users(train_data, config.users_share, config.seed)
        texts, validate = texts.of_users(train_data), self._validation(validation)
        if "sequential" not in config.families:  # there are no lists to be measured by
            validate = None
            if self._num_held(texts) >= _FEWEST_HELD:
                texts, held = texts.parted(config.held_share, config.seed)
                steps = self._steps(train_data, held, 1, purpose="reviews held back")
                validate, changed = loss_validation(self.backbone_, self._loss(), steps), {"best": "loss"}
        steps = self._steps(train_data, texts, config.training.epochs, config.training.max_steps)
        self._train(steps, validate, run, resume, **changed)

    def _num_held(self, texts: TrainingText) -> int:
        """Reviews that can be held back; 0 where no family learns from them."""
        return int(self.config.held_share * len(texts.reviews)) if self._columns else 0

    def _steps(
        self,
        train_data: Interactions,
        texts: TrainingText,
        num_epochs: int,
        max_steps: int | None = None,
        purpose: str = "tasks",
    ) -> Mixture:
        config, layout = self.config, self.layout_
        material = Material(
            self.prompts_.learnt,
            train_data,
            texts,
            code_lengths=layout.read_lengths,
            own_length=layout.own_length,
            max_items=layout.max_items,
            max_tokens=layout.max_tokens,
            packed=config.packed,
            named_users=config.named_users,
            other_words=config.other_words,
            dropped_words=config.dropped_words,
        )
        return Mixture(
            example_sets(material, layout, config.times),
            layout.collate,
            batch_tokens=config.training.batch_tokens,
            num_epochs=num_epochs,
            seed=config.seed,
            purpose=purpose,
            max_steps=max_steps,
        )

    def prompt_texts(self) -> list[str]:
        """The words of all prompts."""
        return self.prompts_.texts()

    def _vocabulary(self, texts: TrainingText) -> tuple[list[str], list[str]]:
        """What else than names the tokenizer has to spell, and words that are a token each."""
        known = [family for name, family in families().items() if name in {*FAMILIES, *self.config.families}]
        answers = [task.answer for family in known for task in family.tasks]
        numbers = [word for answer in answers if isinstance(answer, Rating) for word in answer.words]
        users, spelt = user_words(len(self.users_)), [*self.prompt_texts(), *numbers, "someone"]
        if self._has_user_tokens:
            return [*spelt, *texts.all_texts()], users
        return [*spelt, *users, *texts.all_texts()], []

    @property
    def _has_user_tokens(self) -> bool:
        """A checkpoint's embeddings are for the tokens that it came with."""
        return bool(self.config.user_tokens and self.config.backbone.kind == "compact")

    def _use(self, codebook: Codebook, backbone: Backbone) -> None:
        super()._use(codebook, backbone)
        config, tokenizer = self.config, codebook.tokenizer
        if isinstance(tokenizer, WordTokenizer) and self._has_user_tokens:
            users = [[token] for token in tokenizer.word_ids[: len(self.users_)].tolist()]
        else:
            users = tokenizer.encode(user_words(len(self.users_)))
        self.layout_ = self._new_layout(layout_options(config, codebook, self.backbone_, users))
        self.answers_ = TaskAnswers(
            config,
            self.prompts_,
            self.layout_,
            tokenizer,
            self.backbone_,
            self.ranker_,
            self.catalogue,
            self.users_,
        )

    def _new_layout(self, options: dict[str, Any]) -> EncoderLayout:
        """The layout of questions; `options`: see `layout_options`."""
        words = WordTable(self.config.word_vectors, self.backbone_.num_words)
        return EncoderLayout(words=words, **options)

    # -- answering, as a `genrec.tasks.recommender.TaskRecommender` --------------------------------------------

    @property
    def dropped_(self) -> dict[str, str]:
        """Prompts that the data cannot fill, and why."""
        return self.prompts_.dropped

    def tasks(self, prompt: PromptKind = "seen") -> list[str]:
        """The names of the tasks that it was trained on and can be asked with such prompts."""
        return self.prompts_.tasks(prompt)

    def asked_with(self, prompt: PromptKind) -> Self:
        """The same model, its lists asked for with such prompts from now on."""
        other = copy(self)
        other.asking = prompt
        return other

    def answer(
        self,
        task: str,
        questions: Sequence[Mapping[str, Any]],
        *,
        prompt: PromptKind = "seen",
        greedy: bool = False,
    ) -> Any:
        """Answers to N questions of a task; see `TaskAnswers.answer`."""
        return self.answers_.answer(task, questions, prompt=prompt, greedy=greedy)

    def questions(self, histories: Histories) -> Sources:
        return Sources(self.answers_.next_items(histories, self.asking))

    def _states_before(self, history: IntArray, item: int) -> Tensor:
        (source,) = self.answers_.next_items([history], self.asking)
        return self.answers_.states_before(source, item)

    # -- saving ----------------------------------------------------------------------------------------------

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        save_users(folder, self.users_)
        self.prompts_.save(folder)

    def _load(self, folder: Path) -> None:
        self.prompts_ = TaskPrompts.load(folder, self.name, self.config)
        self.users_ = load_users(folder)
        self._use(*self._saved(folder))
