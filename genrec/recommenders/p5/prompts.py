"""The prompts of a model, and by which of them each task is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrec.data.files import read_text, write_text
from genrec.errors import ConfigError
from genrec.prompts.task_prompts import (
    NEVER_LEARNT,
    TaskPrompt,
    parse_task_prompts,
    task_prompt_files,
    usable,
)
from genrec.prompts.template import own_texts
from genrec.tasks.base import Task, Way, families, groups, tasks
from genrec.tasks.recommender import PromptKind


@dataclass(frozen=True)
class TaskPrompts:
    """The prompts of the families that a model is trained on, as far as its data can fill them.

    `name`, `config`: of the recommender, with `families` and `times`. `files`: what the prompts were read from,
    whatever becomes of the folder that they came from. `fields`: what the data can fill. `dropped`: prompts that they
    cannot, and why.
    """

    name: str
    config: Any
    files: Mapping[str, bytes]
    fields: frozenset[str]
    prompts: list[TaskPrompt]
    dropped: dict[str, str]

    @classmethod
    def choose(
        cls, name: str, config: Any, files: Mapping[str, bytes], fields: frozenset[str]
    ) -> TaskPrompts:
        """Those of `files` that belong to the families and can be filled with `fields`.

        Raises:
            ConfigError: a family that there is none of, or no prompts for one; or the data can fill no prompt.
        """
        wanted, known = config.families, families()
        if set(wanted) - set(known) or not wanted:
            raise ConfigError(f"families={','.join(wanted)}: choose among {', '.join(known)}, one at least")
        found = parse_task_prompts(files, groups())
        absent = sorted(set(wanted) - set(found))
        if absent:
            raise ConfigError(
                f"prompts={config.prompts} has no file for {', '.join(absent)}, only {', '.join(found)}: add it, or "
                "choose other families"
            )
        every = [prompt for family in (*wanted, NEVER_LEARNT) for prompt in found.get(family, ())]
        prompts, dropped = usable(every, fields)
        chosen = cls(name, config, files, fields, prompts, dropped)
        if not chosen.learnt:
            raise ConfigError(
                f"the data can fill none of the prompts of {', '.join(wanted)}: choose other families"
            )
        return chosen

    @property
    def learnt(self) -> list[TaskPrompt]:
        """The prompts that the model is trained on."""
        return [prompt for prompt in self.prompts if not prompt.held_out]

    def texts(self) -> list[str]:
        """The words of all prompts."""
        words = [text for prompt in self.prompts for text in own_texts(prompt.source)]
        return [*words, *(word for prompt in self.prompts for word in prompt.answers or ())]

    def tasks(self, asking: PromptKind) -> list[str]:
        """The names of the tasks that can be asked with prompts of that kind."""
        return [name for name, task in tasks().items() if self._ways(task, asking)]

    def every(self, task: Task, asking: PromptKind) -> list[TaskPrompt]:
        """The prompts to ask a task with, at least one.

        Raises:
            ConfigError: there is none.
        """
        way = next(iter(self._ways(task, asking)), task.ways[0])
        found = self._there(task, way, asking)
        if not found:
            why = (
                "the model did not learn it" if way.family not in self.config.families else "no prompt for it"
            )
            raise ConfigError(
                f"this {self.name} cannot be asked for {way.family} ({way.group}, {asking} prompts): {why}; train with "
                f"families={way.family} on data that have what it needs"
            )
        return found

    def one(self, task: Task, asking: PromptKind) -> TaskPrompt:
        """The first prompt of those that name the least beside what is given.

        Raises:
            ConfigError: there is none.
        """
        asked = self.every(task, asking)
        return min(asked, key=lambda prompt: len(prompt.fields.difference(task.question)))

    def _ways(self, task: Task, asking: PromptKind) -> list[Way]:
        """How that task was trained and can be asked, best first."""
        times, trained = self.config.times, self.config.families
        return [
            way
            for way in task.ways
            if way.family in trained and times.get(way.training_set) and self._there(task, way, asking)
        ]

    def _there(self, task: Task, way: Way, asking: PromptKind) -> list[TaskPrompt]:
        """The prompts of that kind that the task's questions can fill.

        Asked as of a new item, they are those of the family that is never trained on.
        """
        family = way.family
        if asking == "new":
            family = NEVER_LEARNT if way.group in families()[family].new else ""
        asked = (family, way.group, asking != "seen")
        return [
            prompt
            for prompt in self.prompts
            if (prompt.family, prompt.group, prompt.held_out) == asked and prompt.fields <= task.may_name
        ]

    def save(self, folder: Path) -> None:
        """Write the files and what the data can fill."""
        write_text(folder / "fields.txt", "\n".join(sorted(self.fields)) + "\n")
        (folder / "prompts").mkdir(exist_ok=True)
        for file, content in self.files.items():
            (folder / "prompts" / file).write_bytes(content)

    @classmethod
    def load(cls, folder: Path, name: str, config: Any) -> TaskPrompts:
        """Read what `save` wrote."""
        fields = frozenset(read_text(folder / "fields.txt").split())
        return cls.choose(name, config, task_prompt_files(folder / "prompts"), fields)
