"""What `palr` asks its language model, and the examples that teach it to answer.

Shape suffixes: B users, C candidates.
"""

from __future__ import annotations

import numpy as np

from genrec.data.interactions import Histories, IntArray, Interactions
from genrec.data.streams import stream
from genrec.errors import ConfigError
from genrec.prompts.template import Field
from genrec.recommenders.language.codebook import Codebook
from genrec.recommenders.language.decoder import Rows
from genrec.recommenders.palr.affinity import enriched
from genrec.recommenders.palr.candidates import CandidateLists
from genrec.recommenders.palr.config import PalrConfig, Task
from genrec.recommenders.palr.examples import ListTasks, packed_kind
from genrec.recommenders.palr.lists import load_list_prompts
from genrec.recommenders.palr.profile_texts import ProfileTexts
from genrec.training.decoder_rows import DecoderLayout, HistoryRows
from genrec.training.mixture import ExampleSet


class ListQuestions:
    """Asks for lists: freely, or from candidates."""

    def __init__(
        self, config: PalrConfig, codebook: Codebook, max_positions: int, profiles: ProfileTexts
    ) -> None:
        """Questions in the prompts that `config` names.

        Args:
            config: what is asked, and how.
            codebook: items are written with it.
            max_positions: of the backbone.
            profiles: where a prompt names them.
        """
        self._config, self._profiles = config, profiles
        self._prompts, tokenizer = load_list_prompts(config.prompt), codebook.tokenizer
        self._layout = DecoderLayout(
            codebook.trie,
            tokenizer.encode,
            tokenizer.begin or tokenizer.end,
            max_items=config.max_items,
            max_tokens=min(config.max_tokens, max_positions),
            reading=codebook.reading,
        )
        self._packed = HistoryRows(self._layout)

    def of(self, task: Task, histories: Histories, candidates_BC: IntArray) -> Rows:
        """A task's question for each history; `candidates_BC` in the retriever's order, -1 where there are fewer."""
        if task == "recommend" and self._config.packed:
            return Rows([self._packed.question(history) for history in histories])
        prompt, count = self._prompts[task], self._config.num_targets
        shows = Field("profile") in prompt
        profiles = self._profiles.of_all(histories) if shows else [()] * len(histories)
        rows = []
        for history, candidates, profile in zip(histories, candidates_BC, profiles, strict=True):
            named = self._in_order(candidates[candidates >= 0], history)
            values = {"history": history, "candidates": named, "count": count}
            if shows:
                values["profile"] = self._profiles.text(profile)
            rows.append(self._layout.question(prompt, values, count * self._layout.longest_code))
        return Rows(rows)

    def _in_order(self, candidates: IntArray, history: IntArray) -> IntArray:
        if self._config.order == "retriever":
            return candidates
        if self._config.order == "catalogue":
            return np.sort(candidates)
        rng = stream(self._config.seed, "order of candidates", *history.tolist())
        return rng.permutation(np.sort(candidates))

    def example_sets(self, train_data: Interactions) -> list[ExampleSet]:
        """Examples of all tasks.

        Raises:
            ConfigError: no history has two items.
        """
        config, histories = self._config, train_data.histories
        longer = enriched(train_data, config.enrich_to)
        lists = ListTasks(
            self._layout,
            longer,
            lambda history: self._profiles.text(self._profiles.of(history)),
            CandidateLists(train_data, config.num_candidates).one,
            config.num_targets,
            config.swap_share,
            one_piece=config.profile == "chat",
            seed=config.seed,
        )
        able = np.flatnonzero(longer.lengths >= 2)
        count = min(len(able), max(1, round(config.users_share * len(able))))
        chosen = stream(config.seed, "users whose lists are trained on").choice(able, count, replace=False)
        sets = []
        for task in config.tasks:
            if task == "recommend" and config.packed:
                sets.append(packed_kind(self._packed, histories))
            elif count:
                sets.append(lists.kind(self._prompts[task], np.sort(chosen), config.num_candidates, 1))
        if not sets:
            raise ConfigError("no history has two items: there is no list to learn")
        return sets
