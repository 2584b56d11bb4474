"""What a run has to say while it works: the logger `genrec`. The command line writes it on stderr.

Remarks are INFO, findings that make numbers unbelievable WARNING, which Python shows by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genrec.audit.findings import Finding

LOGGER = logging.getLogger("genrec")


def note(text: str) -> None:
    """A remark, for example on rows that were dropped."""
    LOGGER.info("%s", text)


def warn(findings: Iterable[Finding]) -> None:
    """Tell of findings that are more than notes, a line each."""
    for finding in findings:
        if finding.severity != "note":
            LOGGER.warning("%s: %s", finding.severity, finding.line)
