"""What transformers and other libraries print and say, kept out of our own output or made fit for it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging


@contextmanager
def quiet() -> Iterator[None]:
    """Inside it transformers prints errors only and draws no bars; its settings come back afterwards.

    Its FutureWarnings are kept back too: they tell other libraries (peft) what to change, not the user.
    """
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            # peft speaks of patterns that it made itself, for experts that are one array.
            warnings.filterwarnings("ignore", message="The following .*_pattern keys did not match")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
