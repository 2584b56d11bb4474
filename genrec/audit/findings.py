"""What an audit says: findings a line each, and what was looked at where nothing was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["leak", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that an audit saw.

    `severity` is `leak` (the test items can be known), `warning` (a number that cannot be, or is not what it
    seems) or `note` (a fact worth telling that is no fault). `check` names the check, `where` the place, `what`
    is one clause with its number, `value` that number alone, `advice` what to do about it.
    """

    severity: Severity
    check: str
    where: str
    what: str
    value: float
    advice: str = ""

    @property
    def line(self) -> str:
        """The finding in one line, without its severity."""
        return f"{self.where}: {self.what}" + (f"; {self.advice}" if self.advice else "")


@dataclass(frozen=True)
class Audit:
    """All that an audit saw in `subject`; `checked` tells in words what was looked at."""

    subject: str
    checked: str
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The findings that are more than notes."""
        return tuple(finding for finding in self.findings if finding.severity != "note")

    @property
    def conclusion(self) -> str:
        """The last line: how much was found, and what was looked at."""
        found = f"{len(self.faults)} found" if self.faults else "nothing found"
        return f"{found} in {self.subject}: checked {self.checked}"

    def to_json(self) -> dict[str, Any]:
        """The audit as plain values."""
        return {
            "subject": self.subject,
            "faults": len(self.faults),
            "checked": self.checked,
            "findings": [asdict(finding) for finding in self.findings],
        }


def leaky_code(config: Mapping[str, Any]) -> Finding | None:
    """What the options of a recommender alone tell: codes that are known to leak, whatever the data are."""
    if config.get("code") != "original":
        return None
    what = "code=original writes the ids that the data came with, which may count along histories, test items included"
    advice = (
        "use its numbers only beside published ones of the same kind, or train with titles or code=sequential"
    )
    return Finding("leak", "leaky code", "codes", what, 1.0, advice)
