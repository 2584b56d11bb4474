"""The prior by itself: recommenders of whole items, their scores weighed by what validation users took next."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from genrec.data.catalogue import Catalogue
from genrec.data.interactions import FloatArray, Histories, Interactions, Targets
from genrec.recommenders.base import Recommender, register
from genrec.recommenders.language.config import PriorOptions
from genrec.recommenders.language.experts import Experts, fit_experts
from genrec.recommenders.options import Seed, Threads
from genrec.recommenders.start import check_same_kind


class PriorConfig(PriorOptions):
    """Options of `prior`."""

    seed: Seed = 0
    threads: Threads | None = Field(None, description="CPU threads; null: as many as help")

    @model_validator(mode="after")
    def _there_is_one(self) -> Self:
        if not self.expected_by:
            raise ValueError("name at least one recommender, or leave prior out")
        return self


@register("prior")
class WeighedScores(Recommender):
    """several recommenders -> their scores of every item -> the sum, weighed to fit what validation users took next.

    What `genrec` and `recsysllm` write with, without the writing. The weights are those of a conditional logit over the
    whole catalogue, none below 0; without validation the first score alone counts. Costs what its parts cost; items can
    be added where all of them can take new ones.
    """

    Config = PriorConfig
    pipeline: ClassVar[str] = "several recommenders -> their scores of every item -> the weighed sum"
    paper: ClassVar[str] = (
        "conditional logit: McFadden 1974, https://eml.berkeley.edu/reprints/mcfadden/zarembka.pdf"
    )
    tiny: ClassVar[dict[str, Any]] = {
        "prior": ("transitions", "itemknn"),
        "prior_options": {"transitions": {"text": "tfidf"}},
    }

    experts_: Experts

    def _check_start(self, earlier: Recommender) -> None:
        check_same_kind(earlier, self.name)

    def _fit(self, train: Interactions, validation: Targets | None, run: Path | None, resume: bool) -> None:
        config = self.config
        experts = fit_experts(config, train, validation, run, resume, self._start)
        assert experts is not None
        self.experts_ = experts
        if validation is not None and (asked := experts.asked(validation, config, config.seed)):
            self.experts_ = experts.weighed(asked, validation, config)

    def _choose_as(self, other: Self) -> None:
        self.experts_ = self.experts_.weighed_as(other.experts_)

    def _scores(self, histories: Histories) -> dict[str, FloatArray]:
        return self.experts_.shares(histories)

    def _score(self, histories: Histories) -> FloatArray:
        return self.experts_.logits(histories, exclude_seen=False)

    def notes(self) -> list[str]:
        """The weights."""
        return [self.experts_.told()]

    def _catalogue_changed(self, trained: Catalogue) -> None:
        self.experts_ = self.experts_.grown(self.catalogue)

    def _save(self, folder: Path) -> None:
        self.experts_.save(folder)

    def _load(self, folder: Path) -> None:
        self.experts_ = Experts.load(folder)
