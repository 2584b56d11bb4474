"""The audit of a data set and of a run: what makes their numbers unbelievable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genrec.runs.measure import SPLITS, asked

if TYPE_CHECKING:
    from genrec.audit.findings import Audit, Finding
    from genrec.data.dataset import Dataset
    from genrec.data.interactions import Targets
    from genrec.data.split import Split
    from genrec.recommenders.base import Recommender
    from genrec.recommenders.language.generative import GenerativeRecommender
    from genrec.runs.run import Run


def audit_dataset(dataset: Dataset, protocol: str) -> Audit:
    """Audit data, with the numbers that genrec would write in place of titles held against the same rule."""
    from genrec.audit.data import audit_data
    from genrec.codes.numbered import random_numbers, sequential_numbers

    num_items = len(dataset.catalogue)
    numberings = {
        "code=sequential": sequential_numbers(dataset.split(protocol).train.histories, num_items),
        "code=random": random_numbers(num_items),
    }
    return audit_data(dataset, protocol, numberings)


def audit_run(run: Run) -> Audit:
    """Audit a finished run: its measurements, lists, codes and the questions that it writes for the test users.

    Raises:
        RunError: the training has not finished, or the data are gone.
        DataError, CatalogueError: kept lists that cannot be read.
    """
    from genrec.audit.findings import Audit, leaky_code
    from genrec.audit.run import (
        list_findings,
        measured_findings,
        name_findings,
        rule_findings,
    )
    from genrec.data.ranking_file import read_rankings
    from genrec.recommenders.language.generative import GenerativeRecommender
    from genrec.tasks.recommender import recommends

    model, split = run.model.as_trained, run.parts
    measured = {
        name: (metrics, targets)
        for name, metrics in run.metrics.items()
        if (targets := _asked(name, run)) is not None
    }
    leak = leaky_code(run.recipe.options)
    findings = [] if leak is None else [leak]
    findings += name_findings({name: metrics for name, (metrics, _) in measured.items()})
    checked = [f"metrics of {', '.join(measured) or 'nothing, as nothing was measured'}"]
    for name, (metrics, targets) in measured.items():
        findings += measured_findings(name, metrics, split.train, targets)
        if metrics["num_users"] != len(targets):
            continue
        findings += rule_findings(name, metrics, split.train, targets)
        lists = run.rankings_path(name)
        if lists.exists():
            run.check_rankings(name)
            findings += list_findings(name, read_rankings(lists, targets), metrics, targets)
            checked.append(f"lists of {name}")
    if isinstance(model, GenerativeRecommender):
        findings += _code_findings(model, split)
        written = "codes"
        if recommends(model):
            findings += _question_findings(model, split)
            written += f", and the questions of {len(split.test):,} test users"
        checked.append(written)
    if run.refitted is not None:
        findings += _refit_findings(run, run.refitted, measured)
        checked.append("the same of the refit")
    return Audit(run.folder.name, ", ".join(checked), tuple(findings))


def _refit_findings(
    run: Run, model: Recommender, measured: Mapping[str, tuple[dict[str, Any], Targets]]
) -> list[Finding]:
    """Test items in what was trained again, beside baselines that know the validation items too."""
    from genrec.audit.run import measured_findings, training_findings
    from genrec.recommenders.language.generative import GenerativeRecommender

    known = run.data.before_test(run.recipe.protocol)
    findings = training_findings("refit", run.metrics.get("refit", {}), known)
    for name, (metrics, targets) in measured.items():
        if "refit" in metrics:
            findings += measured_findings(f"{name}, refit", metrics["refit"], known, targets)
    if isinstance(model, GenerativeRecommender):
        findings += _code_findings(model, run.parts, "codes of the refit")
        findings += _question_findings(model, run.parts)
    return findings


def _code_findings(model: GenerativeRecommender, split: Split, where: str = "codes") -> list[Finding]:
    """Test items in the codes."""
    from genrec.audit.data import number_finding, numbers_in, popular_hit_rate

    catalogue = split.test.catalogue
    written_I = model.codebook_.numbers
    numbers_I = numbers_in(catalogue.titles) if written_I is None else written_I
    if numbers_I is None:
        return []
    advice = "train again with titles, or with code=sequential"
    numbers_I = numbers_I[: len(catalogue)]  # items that were added to the model are nobody's target
    return [number_finding(where, numbers_I, split, popular_hit_rate(split), advice)]


def _question_findings(model: GenerativeRecommender, split: Split) -> list[Finding]:
    """Test items in the questions of the test users."""
    import numpy as np

    from genrec.audit.run import question_findings
    from genrec.backbones.base import Prefix
    from genrec.data.interactions import Histories
    from genrec.recommenders.language.item_reading import ItemQuestions

    trie = model.codebook_.trie
    item_N = np.where(trie.num_children_N == 0, trie.item_of_leaf_I[trie.first_leaf_N], -1)
    questions = model.questions(split.test.histories)
    if isinstance(questions, ItemQuestions):
        return question_findings(questions.histories, [], split.test)
    written = []
    for start in range(0, len(split.test), 256):
        rows = np.arange(start, min(start + 256, len(split.test)))
        prefix = questions.prefix(rows)
        assert isinstance(prefix, Prefix)
        for node_T in prefix.nodes_BT.numpy(force=True):
            item_T = item_N[node_T]  # padding is at the root, where no item ends
            written.append(item_T[item_T >= 0])
    return question_findings(Histories.from_lists(written), model.prompt_texts(), split.test)


def _asked(name: str, run: Run) -> Targets | None:
    """The questions behind the name of a measurement, as in `test-exact-1000-users`; None: it is none."""
    from genrec.data.ranking_file import sampled

    found = re.fullmatch(rf"({'|'.join(SPLITS)})(?:-exact)?(?:-(\d+)-users)?", name)
    if found is None:
        return None
    users, lists = int(found[2]) if found[2] else None, run.rankings_path(name)
    everybody, targets = asked(run.parts, found[1])[1], asked(run.parts, found[1], users)[1]
    if targets is everybody or not lists.exists():
        return targets
    run.check_rankings(name)
    return sampled(lists, everybody, len(targets))
