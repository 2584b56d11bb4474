"""What is measured: the questions of a split, and the lists of another program on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrec.errors import one_of
from genrec.runs.environment import environment
from genrec.runs.notes import note, warn
from genrec.runs.source import DataSource

if TYPE_CHECKING:
    from genrec.data.interactions import Targets
    from genrec.data.split import Split

SPLITS = ("test", "validation")


def check_asked(split: str, users: int | None) -> None:
    """Refuse what `asked` would.

    Raises:
        ConfigError: no such split, or a sample of nobody.
    """
    from genrec.recommenders.asked import as_count

    one_of(split, SPLITS, "the split")
    if users is not None:
        as_count(users, "users", "user")


def asked(parts: Split, split: str, users: int | None = None, what: str = "") -> tuple[str, Targets]:
    """What a measurement is called, as in `test`, `test-exact` or `test-tasks-500-users`, and its questions.

    Args:
        parts: what they are taken from.
        split: `test` or `validation`.
        users: size of the sample, always the same one; None: all.
        what: of them is measured, where it is not the usual lists.

    Raises:
        ConfigError: no such split, or a sample of nobody.
    """
    check_asked(split, users)
    name = split + (f"-{what}" if what else "")
    targets = parts.test if split == "test" else parts.validation
    if users is None or users >= len(targets):
        return name, targets
    return f"{name}-{users}-users", targets.sample(users)


def measure_file(
    path: str | Path, source: DataSource, protocol_name: str, split: str, users: int | None
) -> dict[str, Any]:
    """Measure lists in a Parquet file: what `Run.evaluate` gives, without floors.

    Args:
        path: columns user_id, rank, item_id, score.
        source: the data that hold the targets.
        protocol_name: how targets are held out.
        split: `test` or `validation`.
        users: size of the sample that is measured; None: all.

    Raises:
        ConfigError: no such split, or a sample of nobody.
        DataError, CatalogueError: a file that cannot be read.
    """
    from genrec.audit.run import measured_findings
    from genrec.data.ranking_file import read_rankings
    from genrec.evaluation import protocol
    from genrec.evaluation.metrics import by_training_count, cold_and_warm

    check_asked(split, users)
    dataset = source.read()
    parts = dataset.split(protocol_name)
    everybody, targets = asked(parts, split)[1], asked(parts, split, users)[1]
    rankings = read_rankings(Path(path), everybody)
    if targets is not everybody:
        rankings = rankings.take(everybody.users.is_in(targets.users).arg_true().to_numpy())
    found = protocol.evaluate_rankings(rankings, targets)
    result = found.to_json()
    if "HR@10" in result:
        taken, num_items = parts.train.histories.items, len(dataset.catalogue)
        counts = by_training_count(found.target_ranks, targets.apart().items, taken, num_items)
        result |= {"by_training_count": counts, **cold_and_warm(counts)}
    if result["depth"] < max(protocol.CUT_OFFS):
        note(
            f"the shortest list has {result['depth']} items once seen ones are dropped: deeper cut-offs are left out"
        )
    if result["num_without_list"]:
        note(f"{result['num_without_list']:,} of {len(targets):,} users have no list, which counts as a miss")
    judged = {**result, "seen_rate": 0.0}  # seen items were dropped, and the table tells how many
    warn(measured_findings(Path(path).name, judged, parts.train, targets))
    provenance = {
        "rankings": str(path),
        "data": dataset.name,
        "synthetic": dataset.synthetic,
        "num_interactions": dataset.interactions.num_interactions,
        "protocol": protocol_name,
        "split": split,
        "fingerprint": dataset.fingerprint,
        "commit": environment()["commit"],
    }
    return {**result, "provenance": provenance}
