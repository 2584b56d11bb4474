"""What options of recommenders are made of: the root of their configurations, and the kinds that several share."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

# Names and paths, and lists of them; a list from a file will do.
Name = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]
Names = Annotated[tuple[Name, ...], Field(strict=False, max_length=50)]

Seed = Annotated[
    int,
    Field(
        ge=0, le=2**32 - 1, description="of everything that is drawn by chance; the same seed, the same run"
    ),
]
# OpenMP takes any number, and ends the process if there are no more.
Threads = Annotated[int, Field(ge=1, le=256)]
ValidationUsers = Annotated[
    int,
    Field(ge=1, le=10**9, description="users sampled for a validation; all of them if there are no more"),
]
MaxItems = Annotated[int, Field(ge=1, le=10_000, description="most recent items of a history that are read")]
Evaluations = Annotated[
    int, Field(ge=1, le=10_000, description="validations and checkpoints over the training")
]

# Of recommenders that write names.
Depth = Annotated[
    int,
    Field(ge=1, le=64, description="layers of the compact backbone (of each of its stacks); its one dial"),
]
Width = Annotated[int, Field(ge=16, le=16_384)]
Passes = Annotated[
    int,
    Field(
        ge=1,
        le=10_000,
        description="passes over the training part; more than the default overfits small data",
    ),
]
Pretraining = Annotated[int, Field(ge=0, le=10_000)]
BatchTokens = Annotated[
    int,
    Field(
        ge=16,
        le=10_000_000,
        description="tokens in a batch, padding included; a longer row is a batch of its own",
    ),
]


class Config(BaseModel):
    """Hyper-parameters of a recommender; unknown names are refused.

    A value has the type of its option, or that of numpy for it: no text or bool for a number, no nan or infinity, and
    every number lies within bounds that a training can be meant by. `tests/recommenders/test_options.py` holds all
    options to that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    validation_users: ValidationUsers = 1000  # enough to see that a run went well
    ranking_batch: int = Field(
        256,
        ge=1,
        le=100_000,
        description="users that are ranked at once; more are quicker on a GPU, fewer take less memory",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_numpy(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Numbers of numpy, as a loop over `np.arange` has them, as Python's."""
        return {
            name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()
        }
