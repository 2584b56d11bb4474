"""Random streams: every random draw of the package comes from a stream of its own, named by its purpose.

Two generators of one seed are the same generator, and what they draw depends on each other. Samples without
replacement even nest, the smaller within the larger, if each is more than a fiftieth of more than 10,000 (numpy 2).
"""

from __future__ import annotations

from zlib import crc32

import numpy as np

DRAWS = 1  # the plan of a training's draws: raise it when a change makes a seed give other batches; see checkpoints


def stream(seed: int, purpose: str, *key: int) -> np.random.Generator:
    """The generator of everything that is drawn for one purpose.

    Args:
        seed: of the run, 0 or more.
        purpose: what is drawn, in words that no other draw has.
        key: numbers of 32 bits that tell the streams of a purpose apart, as of steps or of users.
    """
    # numpy pads a short key with zeros, so its length is part of it; the seed, of any size, stands last.
    return np.random.default_rng([crc32(purpose.encode()), len(key), *key, seed])
