"""What `import genrec` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import genrec
import pytest
from genrec.errors import GenrecError


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_names_are_these_and_all_of_them_are_there() -> None:
    assert sorted(genrec.__all__) == [
        *("Catalogue", "Comparison", "Config", "Dataset", "Histories", "Interactions", "Rankings"),
        *("Recommender", "Run", "Targets", "compare", "create", "errors", "evaluate", "load", "open_run"),
        *("read", "recommenders", "register", "synthetic", "testing", "train"),
    ]
    for name in genrec.__all__:
        assert getattr(genrec, name) is not None
        assert name in dir(genrec)
    assert issubclass(genrec.errors.DataError, GenrecError)


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'reed'"):
        _ = genrec.reed


def test_import_costs_nothing_heavy() -> None:
    heavy = "{'torch', 'transformers', 'polars', 'numpy', 'pydantic', 'scipy', 'pyarrow', 'typer'}"
    assert run(f"import sys, genrec\nprint({heavy} & set(sys.modules))") == "set()"


SPARED = "{'transformers', 'accelerate', 'peft', 'matplotlib', 'torch._dynamo', 'scipy.linalg'}"


@pytest.mark.parametrize(
    ("names", "spared"),
    [
        (["sasrec"], "{'transformers', 'accelerate', 'peft', 'scipy', 'matplotlib', 'torch._dynamo'}"),
        (["genrec", "palr", "recsysllm", "p5", "genrec-seq2seq"], SPARED),
    ],
)
def test_recommenders_import_what_an_answer_needs(names: list[str], spared: str) -> None:
    """Seconds before the first answer: transformers is for models that read tokens, accelerate for training."""
    program = "import sys\nfrom genrec.recommenders.base import recommender_class\n"
    program += f"for name in {names}: recommender_class(name)\n"
    assert run(f"{program}print({spared} & set(sys.modules))") == "set()"


def test_an_answer_of_what_reads_items_imports_no_more_than_that(tmp_path: Path) -> None:
    """Half of the time of a cold answer was the import of transformers, which nothing of it needs."""
    bsarec = {"width": 16, "depth": 1, "epochs": 1, "evaluations": 1}
    options = {"width": 16, "vocab_size": 300, "epochs": 1, "min_steps": 0, "warmup_steps": 1, "bf16": False}
    prior = {"prior": ("bsarec", "transitions"), "prior_options": {"bsarec": bsarec}}
    data = genrec.testing.ring(24, num_users=24)
    genrec.create("genrec", **options, **prior).fit(data).save(tmp_path / "model")
    program = f"import sys, genrec\nmodel = genrec.load({str(tmp_path / 'model')!r})\n"
    program += "assert len(model.recommend([['i0']], k=3)[0].items) == 3\n"
    assert run(f"{program}print(({SPARED} | {{'pyarrow'}}) & set(sys.modules))") == "set()"


def test_recommenders_can_be_called_whether_the_package_was_imported_or_not() -> None:
    assert run("import genrec\nprint(callable(genrec.recommenders))") == "True"
    assert run("import genrec.recommenders.popular\nprint(callable(genrec.recommenders))") == "True"
    found = genrec.recommenders()
    assert {"popular", "itemknn"} <= set(found)
    for recommender in found.values():
        assert recommender.pipeline
        assert recommender.paper
