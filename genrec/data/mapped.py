"""Large arrays in files without a name: the kernel may drop their pages and read them again, so they need no memory."""

from __future__ import annotations

import tempfile
from typing import Any, TypeVar

import numpy as np

_Array = TypeVar("_Array", bound=np.ndarray[Any, Any])

SMALLEST = 2**24  # bytes; less than this stays where it is


def mapped(array: _Array) -> _Array:
    """The same values, read only, memory-mapped from a file in the temporary folder (TMPDIR) if they are many.

    The file loses its name as it is made: whatever ends the process, nothing is left behind. Where the folder has no
    room for it, the array is given back as it is.
    """
    if array.nbytes < SMALLEST:
        return array
    try:
        with tempfile.TemporaryFile() as file:
            array.tofile(file)
            return np.memmap(file, array.dtype, mode="r", shape=array.shape).view(np.ndarray)  # type: ignore[return-value]
    except OSError:
        return array
