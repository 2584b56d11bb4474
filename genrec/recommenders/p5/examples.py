"""What P5 is trained on, as tokens: what `genrec.tasks` draws, put into its prompts.

Geng et al. 2022, https://arxiv.org/abs/2203.13366; sections 4.1 and 5.1, and https://github.com/jeykigung/P5.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from genrec.errors import ConfigError
from genrec.prompts.template import Field, Text
from genrec.tasks.base import Drawn, Examples, training_sets
from genrec.tasks.material import Material
from genrec.training.encoder_rows import Asked, EncoderLayout
from genrec.training.mixture import ExampleSet


def example_sets(material: Material, layout: EncoderLayout, times: Mapping[str, int]) -> list[ExampleSet]:
    """All training sets that there are prompts and data for.

    Args:
        material: what examples are drawn from.
        layout: lays prompts and values out.
        times: examples of each set that are drawn of a user or review in an epoch; one left out is not trained on.

    Raises:
        ConfigError: there are none.
    """
    found = []
    for name, one in training_sets().items():
        if times.get(name) and (examples := one.find(material)) is not None:
            count = 1 if examples.once else times[name]
            found.append(ExampleSet(examples.lengths_E, count, partial(_make, layout, examples)))
    if not found:
        raise ConfigError("there is nothing to learn: give `times` of a task that the families have")
    return found


def _make(layout: EncoderLayout, examples: Examples, datum: int, rng: np.random.Generator) -> Asked:
    return written(layout, examples.draw(datum, rng))


def written(layout: EncoderLayout, drawn: Drawn) -> Asked:
    """An example as tokens: a verdict, an item by its code, or a text, after the filled prompt."""
    prompt, values = drawn.prompt, drawn.values
    if drawn.packed:
        return layout.packed(prompt.source, values)
    if prompt.answers is not None:
        answer = layout.text(prompt.answers[0 if drawn.true else 1])
    elif Field("item") in prompt.target:
        answer = layout.item(values["item"])
    else:
        parts = [part.text if isinstance(part, Text) else str(values[part.name]) for part in prompt.target]
        answer = layout.text("".join(parts))
    return layout.example(prompt.source, answer, values)
