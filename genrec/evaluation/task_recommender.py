"""What a recommender offers that answers more than "what comes next", and how to tell whether it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, Self, get_args, runtime_checkable

from genrec.data.interactions import FloatArray, Histories, IntArray
from genrec.data.ranking import Rankings

# Prompts that were trained on, those held out of training, or those that tell of an item by title, brand and price.
Prompt = Literal["seen", "unseen", "new"]
PROMPTS: tuple[Prompt, ...] = get_args(Prompt)


@runtime_checkable
class TaskRecommender(Protocol):
    """A recommender that answers more than "what comes next". Users are raw ids, items are rows of the catalogue."""

    @property
    def users_(self) -> Mapping[str, int]:
        """The users that it can name, by raw id."""

    @property
    def dropped_(self) -> Mapping[str, str]:
        """Prompts that its data could not fill, and why."""

    def tasks(self, prompt: Prompt = "seen") -> list[str]:
        """What it has learnt and can be asked with such prompts: `sequential`, or tasks of `evaluate_tasks`."""

    def asked_with(self, prompt: Prompt) -> Self:
        """The same recommender, its lists asked for with such prompts from now on."""

    def predict_rating(
        self, users: Sequence[str], items_N: IntArray, *, prompt: Prompt = "seen", greedy: bool = False
    ) -> FloatArray:
        """Ratings (N,) that users will give items: expectations, or the likeliest written rating if `greedy`."""

    def predict_rating_from_review(
        self, texts: Sequence[str], *, prompt: Prompt = "seen", greedy: bool = False
    ) -> FloatArray:
        """Ratings (N,) that go with these reviews."""

    def summarise_review(self, texts: Sequence[str], *, prompt: Prompt = "seen") -> list[str]:
        """A headline for each review."""

    def explain(
        self,
        users: Sequence[str],
        items_N: IntArray,
        features: Sequence[str] | None = None,
        *,
        prompt: Prompt = "seen",
    ) -> list[str]:
        """A sentence on why each user takes to each item, on this feature of it where one is given."""

    def rank_candidates(
        self,
        histories: Histories,
        candidates_BC: IntArray,
        *,
        users: Sequence[str] | None = None,
        prompt: Prompt = "seen",
    ) -> Rankings:
        """The candidates of each user, best first. `users`: who they are, for models that know users."""


def recommends(model: object) -> bool:
    """Whether a fitted recommender ranks the catalogue, as all do but those that learnt other tasks only."""
    return not isinstance(model, TaskRecommender) or "sequential" in model.tasks()
