"""The protocol of recommenders that answer several tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, Self, get_args, runtime_checkable

# Prompts that were trained on, those held out of training, or those that tell of an item by title, brand and price.
PromptKind = Literal["seen", "unseen", "new"]
PROMPT_KINDS: tuple[PromptKind, ...] = get_args(PromptKind)


@runtime_checkable
class TaskRecommender(Protocol):
    """A recommender that answers more than "what comes next"."""

    @property
    def users_(self) -> Mapping[str, int]:
        """The users that it can name, by raw id."""

    @property
    def dropped_(self) -> Mapping[str, str]:
        """Prompts that its data could not fill, and why."""

    def tasks(self, prompt: PromptKind = "seen") -> list[str]:
        """The names of the tasks that it was trained on and can be asked with such prompts."""

    def asked_with(self, prompt: PromptKind) -> Self:
        """The same recommender, its lists asked for with such prompts from now on."""

    def answer(
        self,
        task: str,
        questions: Sequence[Mapping[str, Any]],
        *,
        prompt: PromptKind = "seen",
        greedy: bool = False,
    ) -> Any:
        """Answers to N questions of a task.

        Args:
            task: one of `tasks(prompt)`.
            questions: each a value for each field of the task's `question`, and `user` where that is known: raw ids of
                users, rows of the catalogue for items, arrays of rows for histories and candidates, and texts.
            prompt: the prompts to ask with.
            greedy: numbers are the likeliest that may be written; False: expectations.

        Returns:
            Numbers (N,) for a task whose answer is a `Rating`, N texts for `FreeText`, and `Rankings` of the candidates
            for `Ranked`.

        Raises:
            ConfigError: it was not trained on the task, or has no such prompts for it.
        """


def recommends(model: object) -> bool:
    """Whether a fitted recommender ranks the catalogue, as all do but those that were trained on other tasks only."""
    return not isinstance(model, TaskRecommender) or "sequential" in model.tasks()
