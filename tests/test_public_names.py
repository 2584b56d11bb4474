"""What `import genrec` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys

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


@pytest.mark.parametrize(
    ("name", "spared"),
    [
        ("sasrec", "{'transformers', 'accelerate', 'peft', 'scipy', 'matplotlib', 'torch._dynamo'}"),
        *(
            (name, "{'transformers.trainer', 'peft', 'matplotlib'}")
            for name in ("genrec", "palr", "recsysllm")
        ),
    ],
)
def test_recommenders_import_what_an_answer_needs(name: str, spared: str) -> None:
    """Seconds before the first answer: peft is for checkpoints, accelerate for training."""
    program = (
        f"import sys\nfrom genrec.recommenders.base import recommender_class\nrecommender_class({name!r})\n"
    )
    assert run(f"{program}print({spared} & set(sys.modules))") == "set()"


def test_recommenders_can_be_called_whether_the_package_was_imported_or_not() -> None:
    assert run("import genrec\nprint(callable(genrec.recommenders))") == "True"
    assert run("import genrec.recommenders.popular\nprint(callable(genrec.recommenders))") == "True"
    found = genrec.recommenders()
    assert {"popular", "itemknn"} <= set(found)
    for recommender in found.values():
        assert recommender.pipeline
        assert recommender.paper
