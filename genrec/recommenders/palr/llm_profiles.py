"""Profiles that a large language model writes, as in PALR (Yang et al. 2023, https://arxiv.org/abs/2305.07622).

The wording is ours. Each question and its answer are kept in a file of their own, so nothing is asked twice.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from genrec.data.files import read_json, write_json
from genrec.data.interactions import Histories, IntArray
from genrec.errors import ChatError, ConfigError, RunError
from genrec.prompts.profiles import AttributeProfiles, Keyword, Profile, short_title

_MOST_TRIES = 20  # braces in an answer at which an object may begin
_LONGEST_KEYWORD = 60  # characters: what is longer is a sentence

_QUESTION = """\
Below is what one person chose, the oldest first and the most recent last, one title a line.

{history}

Which tastes show in these choices? Name at most {num_keywords} of them, the one that matters most first. Each is a \
keyword of one to three words, with the titles from the list that show it, spelt as they are there. Let recent choices \
count more than old ones.

Reply with JSON alone, in this form:
{{"keywords": [{{"keyword": "...", "titles": ["...", "..."]}}]}}
"""


class Chat(Protocol):
    """A chat model. `name` tells it from others; `answer` raises ChatError where none can be had."""

    @property
    def name(self) -> str: ...

    def answer(self, prompt: str) -> str: ...


@dataclass
class Counts:
    """Where the profiles of non-empty histories came from: asked + cached is their number.

    `asked`: answers that were waited for. `cached`: answers that were there already. `fallbacks`: how many of both
    were unusable, so that the attributes made the profile.
    """

    asked: int = 0
    cached: int = 0
    fallbacks: int = 0


class LLMProfiles:
    """Profiles by a chat model, from the newest titles of a history.

    An answer counts if it is JSON of the form that was asked for. Titles that are not in the history are dropped, then
    keywords without titles; where none is left, `fallback` makes the profile, and `counts` tells how often.

    `cache` is a folder with one file an answer, named by the SHA-256 of the model's name and the prompt, and written
    under another name first: several processes may share it. A damaged file counts as none: its question is asked
    again and the file replaced.
    """

    def __init__(
        self,
        chat: Chat,
        fallback: AttributeProfiles,
        cache: Path,
        *,
        max_history: int = 20,
        at_once: int = 1,
        progress: bool = True,
    ) -> None:
        """Name who is asked; nothing is asked yet.

        Args:
            chat: the model.
            fallback: makes the profile where an answer is unusable; also gives titles and the number of keywords.
            cache: folder of the answers; made if it is not there.
            max_history: the model is told of at most so many items, the newest (20 in the paper).
            at_once: how many questions `of_all` puts at the same time; more than 1 is for endpoints.
            progress: show a progress bar on stderr.

        Raises:
            ConfigError: the cache cannot be a folder, or a number is not positive.
        """
        if max_history < 1 or at_once < 1:
            raise ConfigError(f"max_history={max_history} and at_once={at_once} have to be at least 1")
        self.chat, self.fallback, self.cache = chat, fallback, cache
        self.max_history, self.at_once, self.progress = max_history, at_once, progress
        self.counts = Counts()
        self._lock = threading.Lock()
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(cache, error) from None

    def of(self, history: IntArray) -> Profile:
        """The profile of a user; see `of_all`."""
        return self._profiles([history], progress=False)[0]

    def of_all(self, histories: Histories) -> list[Profile]:
        """The profile of each history: at most `fallback.num_keywords` keywords, () for an empty history.

        May be interrupted: the answers so far are in the cache, and the next call asks for the others.

        Raises:
            ChatError: the model does not answer.
            ConfigError: the model cannot be loaded, or the cache cannot be written.
        """
        return self._profiles(list(histories), self.progress)

    def prompt(self, history: IntArray) -> str:
        """The question about a history; rows of the catalogue, oldest first."""
        titles = self.fallback.catalogue.titles
        lines = "\n".join(f"- {short_title(titles[row])}" for row in history[-self.max_history :].tolist())
        return _QUESTION.format(history=lines, num_keywords=self.fallback.num_keywords)

    def _profiles(self, histories: Sequence[IntArray], progress: bool) -> list[Profile]:
        prompts = [self.prompt(history) if len(history) else "" for history in histories]
        answers = {prompt: self._cached(prompt) for prompt in dict.fromkeys(prompts) if prompt}
        missing = [prompt for prompt, answer in answers.items() if answer is None]
        self.counts.cached += sum(map(bool, prompts)) - len(missing)
        if missing:
            answers |= self._ask_all(missing, progress)
        return [
            self._profile(history, answers[prompt] or "") if prompt else ()
            for history, prompt in zip(histories, prompts, strict=True)
        ]

    def _profile(self, history: IntArray, answer: str) -> Profile:
        profile = read_answer(
            answer, history[-self.max_history :], self.fallback.catalogue.titles, self.fallback.num_keywords
        )
        if profile:
            return profile
        self.counts.fallbacks += 1
        return self.fallback.of(history)

    def _ask_all(self, prompts: list[str], progress: bool) -> dict[str, str]:
        """The answers by prompt; each is in the cache as soon as it is there."""
        bar = Progress(
            TextColumn("profiles"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not progress,
        )
        answers: dict[str, str] = {}
        before = self.counts.asked
        with bar:
            task = bar.add_task("", total=len(prompts))
            try:
                if self.at_once == 1:
                    for prompt in prompts:
                        answers[prompt] = self._ask(prompt)
                        bar.advance(task)
                    return answers
                pool = ThreadPoolExecutor(self.at_once)
                try:
                    asked = {pool.submit(self._ask, prompt): prompt for prompt in prompts}
                    for done in as_completed(asked):
                        answers[asked[done]] = done.result()
                        bar.advance(task)
                finally:  # who stops waits for the questions that are being asked, not for the others
                    pool.shutdown(cancel_futures=True)
            except ChatError as error:
                raise ChatError(
                    f"{error}; {self.counts.asked - before} of {len(prompts)} answers came and are kept in {self.cache}"
                ) from None
        return answers

    def _ask(self, prompt: str) -> str:
        """Put a question, and keep it with its answer."""
        answer = self.chat.answer(prompt)
        path = self._path(prompt)
        kept = {"model": self.chat.name, "prompt": prompt, "answer": answer}
        try:
            write_json(path, kept, indent=1)
        except OSError as error:
            raise _unwritable(self.cache, error) from None
        with self._lock:
            self.counts.asked += 1
        return answer

    def _cached(self, prompt: str) -> str | None:
        """The answer that is kept; None where there is none, or none that can be read."""
        try:
            kept = read_json(self._path(prompt), _Kept)
        except RunError:
            return None
        return kept.answer if kept.prompt == prompt else None

    def _path(self, prompt: str) -> Path:
        return self.cache / (hashlib.sha256(f"{self.chat.name}\x1f{prompt}".encode()).hexdigest() + ".json")


class _Kept(BaseModel):
    """A question with its answer, as it stands in the cache."""

    model: str
    prompt: str
    answer: str


class _Keyword(BaseModel):
    """A keyword as the question asks for it."""

    model_config = ConfigDict(strict=True)
    keyword: str
    titles: list[str]


class _Answer(BaseModel):
    """An answer as the question asks for it."""

    model_config = ConfigDict(strict=True)
    keywords: list[_Keyword]


def read_answer(answer: str, history: IntArray, titles: Sequence[str], num_keywords: int) -> Profile:
    """The profile that a model's answer tells; () where it tells none.

    Args:
        answer: JSON of the form that the question asks for; words before and after it do not matter, nor does what a
            model thinks before it speaks. Of several the first counts, and of one that breaks off the keywords that
            are whole.
        history: (n,) rows of the catalogue that the question named, oldest first.
        titles: of the catalogue, by row.
        num_keywords: further keywords are dropped.
    """
    spoken = answer.rpartition("</think>")[2]
    try:
        found = _Answer.model_validate(_first_object(spoken))
    except ValidationError:
        return ()
    title_of_row = {row: _folded(short_title(titles[row])) for row in history[::-1].tolist()}
    profile: dict[str, Keyword] = {}
    for entry in found.keywords:
        word = " ".join(entry.keyword.split())
        named = {_folded(short_title(title)) for title in entry.titles} - {""}
        items = [row for row, title in title_of_row.items() if title in named]
        if word and len(word) <= _LONGEST_KEYWORD and items:
            profile.setdefault(word.casefold(), Keyword(word, np.array(items, np.int32)))
    return tuple(profile.values())[:num_keywords]


def _first_object(text: str) -> Any:
    """The first JSON object with keywords; of one that breaks off the keywords before; None where there is none."""
    for start in [brace.start() for brace in re.finditer("{", text)][:_MOST_TRIES]:
        with suppress(ValueError, RecursionError):
            found = json.JSONDecoder().raw_decode(text, start)[0]
            if "keywords" in found:
                return found
    listed = re.search(r'"keywords"\s*:\s*\[', text)
    whole = list[Any]()
    with suppress(ValueError, RecursionError):
        rest = "" if listed is None else text[listed.end() :]
        while True:
            one, end = json.JSONDecoder().raw_decode(rest.lstrip(", \t\r\n"))
            whole.append(one)
            rest = rest.lstrip(", \t\r\n")[end:]
    return {"keywords": whole} if whole else None


def _folded(title: str) -> str:
    """What two spellings of a title have in common: letters and digits, in lower case."""
    return " ".join(re.findall(r"\w+", title.casefold()))


def _unwritable(cache: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"the answers of the chat model cannot be kept in {cache} ({error.strerror or error}): name a folder that "
        "can be written"
    )
