"""The options of `palr`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from genrec.recommenders.language.decoder import DecoderConfig
from genrec.recommenders.options import Name

Task = Literal["recommend", "candidates"]


class PalrConfig(DecoderConfig):
    """Options of `palr`; the defaults are the recipe `palr-best`."""

    dropped: ClassVar = {"stride": 0}
    about_tokens: ClassVar = [
        "prompt", "tasks", "packed", "list_task", "num_targets", "users_share", "swap_share", "enrich_to", "order",
        "ranking",
    ]  # fmt: skip

    retriever: Name = Field("prior", description="a recommender by its name, or the run of a fitted one")
    retriever_options: dict[Name, Any] = Field({}, description="of a retriever that is fitted here")
    num_candidates: int = Field(50, ge=2, le=10_000, description="items that the retriever proposes")
    calibration_users: int = Field(
        5000,
        ge=1,
        le=10**9,
        description="validation users from whose next items the weights of the scores are learnt; all if no more",
    )
    profile: Literal["none", "attributes", "chat"] = Field(
        "attributes", description="keywords of a user: none, from items' attributes, or by a chat model"
    )
    chat: Name = Field(
        "endpoint", description="the chat model: endpoint (set by GENREC_CHAT_URL) or a checkpoint"
    )
    chat_cache: Name = Field(
        "~/.cache/genrec/profiles", description="where the chat model's answers are kept"
    )
    prompt: Name = Field("palr_short", description="prompt file: palr, palr_short or a path")
    tasks: tuple[Task, ...] = Field(
        ("recommend",),
        strict=False,
        min_length=1,
        max_length=2,
        description="lists that are learnt: recommend, candidates",
    )
    packed: bool = Field(True, description="recommend: without words, every item of a history an answer")
    list_task: Task | None = Field(
        None,
        description="whose question a written list answers, learnt or not; the last of tasks if not given",
    )
    num_targets: int = Field(1, ge=1, le=1000, description="most items of an answer that is learnt")
    users_share: float = Field(0.2, gt=0, le=1, description="users whose lists are learnt; packed: all")
    swap_share: float = Field(0.0, ge=0, le=1, description="lists that change an item with their history")
    enrich_to: int = Field(
        0, ge=0, le=1000, description="items that shorter histories are filled up to by affinity"
    )
    order: Literal["catalogue", "retriever", "shuffled"] = Field(
        "catalogue", description="in which candidates are named when it is asked"
    )
    ranking: Literal["likelihood", "list"] = Field(
        "likelihood", description="candidates by their likelihoods, or a list written item by item"
    )

    @model_validator(mode="after")
    def _no_question_names_a_profile(self) -> Self:
        if self.reads_items and self.profile == "chat":
            raise ValueError(
                "profile=chat is read in a prompt, and backbone=items reads items: take profile=attributes, or "
                "backbone=compact"
            )
        return self

    @property
    def asks_for_lists(self) -> Task:
        """Whose question a written list answers."""
        return self.list_task or self.tasks[-1]
