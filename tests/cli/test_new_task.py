"""A task that is registered is trained, measured and asked without any other change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from genrec.prompts.task_prompts import Group
from genrec.tasks import base
from genrec.tasks.material import Material
from genrec.testing import GOOD, POOR

FIELD = frozenset({"summary"})
PROMPTS = {
    "sequential": ("next", "{history} then", "After {history}", "{item}"),
    "summary": ("word", "{review} In a word:", "A word for {review}", "{summary}"),
}


def word(text: str) -> str:
    """The second word of a review: strings or pedal."""
    return text.split()[1]


def examples(material: Material) -> base.Examples | None:
    prompts, texts = material.of_family("summary"), material.texts.reviews.texts
    if not prompts or texts is None:
        return None

    def draw(datum: int, rng: np.random.Generator) -> base.Drawn:
        return base.Drawn(
            material.draw(prompts, rng), {"review": texts[datum], "summary": word(texts[datum])}
        )

    return base.Examples(np.full(len(texts), material.around(prompts) + 20), draw)


def questions(data: base.TestData) -> base.Test:
    texts = base.words_of(data.held_out.having("texts").texts)
    simple = {"pedal": ["pedal"] * len(texts)}
    return base.Test([{"review": text} for text in texts], [word(text) for text in texts], simple)


def accuracy(words: list[str], truth: list[str]) -> dict[str, float]:
    return {"accuracy": float(np.mean([word == true for word, true in zip(words, truth, strict=True)]))}


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of prompts, among them those of a new family, whose task is known while the test runs."""
    way = base.Way("summary", "word", "summary")
    needs = frozenset({"texts"})
    task = base.Task("summary", ("review",), base.FreeText(), (way,), needs, questions, accuracy)
    family = base.Family(
        "summary",
        order=6,
        groups={"word": Group(FIELD, ("review",), frozenset())},
        fields={"review": ("texts",), "summary": ("texts",)},
        training_sets=(base.TrainingSet("summary", examples),),
        tasks=(task,),
    )
    monkeypatch.setitem(base._REGISTRY, "summary", family)
    for name, (group, seen, unseen, target) in PROMPTS.items():
        lines = [f"family: {name}", "prompts:"]
        for source, more in ((seen, ""), (unseen, ", held_out: true")):
            lines.append(
                f'- {{id: "{source}", group: {group}, source: "{source}", target: "{target}"{more}}}'
            )
        (tmp_path / f"{name}.yaml").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def data(tmp_path: Path) -> tuple[str, ...]:
    """Options to read reviews of a music shop: 16 users who go round 8 items."""
    rows = ["user_id,item_id,timestamp,text"]
    for user in range(16):
        for step in range(5):
            item = (user + step) % 8
            rows.append(f"u{user},i{item},{1_600_000_000 + step},{(POOR if item % 2 else GOOD)[0]}")
    (tmp_path / "reviews.csv").write_text("\n".join(rows) + "\n")
    items = [f"i{item},{'Pedal' if item % 2 else 'Strings'} number {item}" for item in range(8)]
    (tmp_path / "items.csv").write_text("item_id,title\n" + "\n".join(items) + "\n")
    return ("--data", str(tmp_path / "reviews.csv"), "--items", str(tmp_path / "items.csv"), "--unrated")


def test_a_new_task(cli, mistake, prompts: Path, data: tuple[str, ...], tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = (
        "depth=1",
        "width=64",
        "vocab_size=400",
        "dropout=0",
        "epochs=10",
        "batch_tokens=200",
        "beams=5",
    )
    options += ("learning_rate=0.003", "warmup_steps=20", "evaluations=1", "bf16=false", f"prompts={prompts}")
    options += ("families=[sequential,summary]", "times={next: 1, summary: 2}")
    cli("train", "p5", *options, *data, "--out", run)
    rows = cli("evaluate", run, "--task", "all", "--json").json["tasks"]
    assert list(rows) == ["sequential", "summary"]
    assert list(rows["summary"]) == ["seen", "unseen", "pedal"]
    assert rows["summary"]["seen"] == {"num_questions": 16, "accuracy": 1}
    assert rows["summary"]["pedal"]["accuracy"] == 0.5
    asked = ("ask", run, "summary", "--review", GOOD[0])
    assert cli(*asked).out == "strings\n"
    assert cli(*asked, "--json").json["text"] == "strings"
    assert "summary takes --review, and no --item: leave it out" in mistake(*asked, "--item", "i1")
    assert "it can be asked for recommend, rank, summary" in mistake("ask", run, "headline", "--review", "x")
