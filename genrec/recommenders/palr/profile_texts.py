"""The profiles of users as they stand in questions, and how often there was nothing to say of one."""

from __future__ import annotations

from pathlib import Path

from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, IntArray
from genrec.prompts.profiles import AttributeProfiles, Profile, profile_text
from genrec.recommenders.palr.config import PalrConfig
from genrec.recommenders.palr.llm_profiles import LLMProfiles


class ProfileTexts:
    """Profiles of one kind: none, from attributes, or by a chat model.

    `attributes`: those that items are matched with, None without profiles. `num_written`: profiles that were put into
    questions, in training or when asked; `num_empty`: those of them without a keyword.
    """

    def __init__(self, config: PalrConfig, catalogue: Catalogue) -> None:
        """Profiles from the items of `catalogue`, as the options `profile`, `chat` and `chat_cache` say."""
        self._titles = catalogue.titles
        self.attributes = None if config.profile == "none" else AttributeProfiles(catalogue)
        self._source: AttributeProfiles | LLMProfiles | None = self.attributes
        if self.attributes is not None and config.profile == "chat":
            from genrec.recommenders.palr.chat import open_chat  # here, as few runs have a chat model to load

            cache = Path(config.chat_cache).expanduser()
            self._source = LLMProfiles(open_chat(config.chat), self.attributes, cache)
        self.num_written = self.num_empty = 0

    @property
    def words(self) -> list[str]:
        """What a tokenizer should be able to spell."""
        return [] if self.attributes is None else self.attributes.words

    def of(self, history: IntArray) -> Profile:
        """The profile of one user."""
        return () if self._source is None else self._source.of(history)

    def of_all(self, histories: Histories) -> list[Profile]:
        """The profiles of several users at once: a chat model may be asked side by side."""
        return [()] * len(histories) if self._source is None else self._source.of_all(histories)

    def text(self, profile: Profile) -> str:
        """Keywords alone, in a line: the history is there already to say whence they are."""
        self.num_written += 1
        self.num_empty += not profile
        text = profile_text(profile, self._titles, num_titles=0)
        return f"{text}. " if text else ""

    def notes(self) -> list[str]:
        """Profiles that could not be had."""
        told = []
        if self.num_written:
            told.append(f"{self.num_empty:,} of {self.num_written:,} profiles had nothing to say")
        if isinstance(self._source, LLMProfiles):
            counts = self._source.counts
            told.append(
                f"profiles: {counts.asked:,} asked for, {counts.cached:,} known already, {counts.fallbacks:,} answers "
                "unusable and made from attributes"
            )
        return told
