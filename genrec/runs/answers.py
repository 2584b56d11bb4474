"""The answers of `genrec ask`: each task put to the recommender of a run, with plain values in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from genrec.errors import ConfigError, DataError

if TYPE_CHECKING:
    from genrec.data.catalogue import BoolArray
    from genrec.evaluation.task_recommender import Prompt, TaskRecommender
    from genrec.recommenders.base import Recommender
    from genrec.runs.run import Run

Answer = dict[str, Any]  # plain values
# How tasks of `genrec evaluate` are asked for here.
WORDS = {
    "sequential": "recommend",
    "direct": "rank",
    "rating": "rating",
    "explanation": "explain",
    "explanation-with-feature": "explain --feature",
    "headline": "headline",
    "rating-from-review": "rating-from-review",
}


@dataclass(frozen=True)
class Question:
    """What was given with a task, checked to be all that the task needs and nothing else."""

    run: Run
    prompt: Prompt
    given: Mapping[str, Any]

    @property
    def model(self) -> Recommender:
        return self.run.model

    @property
    def plain(self) -> bool:
        """Whether the recommender knows no tasks, and is asked for what every one can."""
        from genrec.evaluation.task_recommender import TaskRecommender

        return self.prompt == "seen" and not isinstance(self.model, TaskRecommender)

    def asked(self, learnt: str) -> TaskRecommender:
        """The recommender, which has learnt that task of `genrec evaluate --task`.

        Raises:
            ConfigError: it has not, or has no such prompts for it.
        """
        from genrec.evaluation.task_recommender import TaskRecommender

        if isinstance(self.model, TaskRecommender):
            known = self.model.tasks(self.prompt)
            if learnt in known:
                return self.model
        else:
            known = ["sequential", "direct"] if self.prompt == "seen" else []
        able = ", ".join(WORDS[name] for name in known) or "nothing"
        raise ConfigError(
            f"this {self.model.name} cannot be asked for {WORDS[learnt]} with {self.prompt} prompts; "
            f"it can be asked for {able}"
        )

    def history(self) -> Sequence[str]:
        """Ids or titles, oldest first."""
        if "history" in self.given:
            return cast(list[str], self.given["history"])
        return self.run.history(self.given["user"])

    def about(self, model: TaskRecommender) -> tuple[str, int]:
        """The user, whom the model knows, and the row of the item."""
        user = str(self.given["user"])
        if user not in model.users_:
            some = ", ".join(list(model.users_)[:5])
            raise DataError(
                f"the recommender has learnt nothing of a user {user!r}; it knows users such as {some}"
            )
        return user, self.model.catalogue.resolve(self.given["item"])

    def named(self, row: int) -> dict[str, str]:
        catalogue = self.model.catalogue
        return {"item_id": catalogue.ids[row], "title": catalogue.titles[row]}


def answer_for(
    model: Recommender,
    names: Sequence[str],
    k: int,
    allowed: BoolArray | None = None,
    *,
    exact: bool = False,
    why: bool = False,
) -> dict[str, Any]:
    """History and ranking as plain values: `history`, `exact` and `items`, each with `why` if asked for."""
    ranking = model.recommend([names], k, only=allowed, exact=exact)[0]
    items = []
    for rank, item in enumerate(ranking.items, start=1):
        row = {"rank": rank, **asdict(item)}
        if why:
            steps = model.why(names, item.item_id)
            row["why"] = [{"text": text, "probability": probability} for text, probability in steps]
        items.append(row)
    catalogue = model.catalogue
    rows = catalogue.rows(names)
    history = [{"item_id": catalogue.ids[row], "title": catalogue.titles[row]} for row in rows]
    background = {"background": model.background(names)} if why else {}
    return {"history": history, "exact": ranking.exact, "items": items, **background}


def recommend(question: Question) -> Answer:
    model, k = question.model, question.given.get("k", 10)
    if not question.plain:
        model = cast("Recommender", question.asked("sequential").asked_with(question.prompt))
    return answer_for(model, question.history(), k)


def rank(question: Question) -> Answer:
    import numpy as np

    from genrec.data.interactions import Histories

    model, catalogue = question.model, question.model.catalogue
    rows = catalogue.rows(question.given["candidate"])
    if len(set(rows)) < len(rows):
        twice = next(row for row in rows if rows.count(row) > 1)
        raise ConfigError(f"the candidate {catalogue.titles[twice]!r} is given twice: give it once")
    names = question.history()
    histories, candidates_1C = Histories.from_lists([catalogue.rows(names)]), np.array([rows], np.int32)
    if question.plain:
        allowed = np.isin(np.arange(len(catalogue)), rows)
        ranking = model.rank(histories, len(rows), exclude_seen=False, allowed=allowed)
    else:
        users = [question.given["user"]] if "user" in question.given else None
        ranking = question.asked("direct").rank_candidates(
            histories, candidates_1C, users=users, prompt=question.prompt
        )
    scores = ranking.scores_BK[0].astype(np.float64)
    chances = np.exp(scores - scores.max())
    chances /= chances.sum()
    items = [
        {
            "rank": rank,
            **question.named(row),
            "score": score,
            "probability": chance if model.probabilistic else None,
        }
        for rank, (row, score, chance) in enumerate(
            zip(ranking.items_BK[0].tolist(), scores.tolist(), chances.tolist(), strict=True), start=1
        )
        if row >= 0  # what was taken out of the catalogue has no place
    ]
    return {"history": [question.named(row) for row in catalogue.rows(names)], "items": items}


def rating(question: Question) -> Answer:
    import numpy as np

    model = question.asked("rating")
    user, row = question.about(model)
    expected, likeliest = (
        float(model.predict_rating([user], np.array([row]), prompt=question.prompt, greedy=greedy)[0])
        for greedy in (False, True)
    )
    return {"user": user, "item": question.named(row), "rating": expected, "likeliest": likeliest}


def explain(question: Question) -> Answer:
    import numpy as np

    feature = question.given.get("feature")
    model = question.asked("explanation" if feature is None else "explanation-with-feature")
    user, row = question.about(model)
    features = None if feature is None else [feature]
    (text,) = model.explain([user], np.array([row]), features, prompt=question.prompt)
    return {"user": user, "item": question.named(row), "feature": feature, "text": text}


def headline(question: Question) -> Answer:
    review = question.given["review"]
    (text,) = question.asked("headline").summarise_review([review], prompt=question.prompt)
    return {"review": review, "text": text}


def rating_from_review(question: Question) -> Answer:
    review, model = question.given["review"], question.asked("rating-from-review")
    expected, likeliest = (
        float(model.predict_rating_from_review([review], prompt=question.prompt, greedy=greedy)[0])
        for greedy in (False, True)
    )
    return {"review": review, "rating": expected, "likeliest": likeliest}
