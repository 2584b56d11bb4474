"""genrec-seq2seq as its users meet it: its options, its users, its checkpoints, a run and its audit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from genrec import testing
from genrec.cli.main import main
from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions
from genrec.errors import ConfigError, DataError
from genrec.recommenders.base import Recommender, create, load, recommender_class
from genrec.testing import ring

TITLES = [
    *(f"Comet Harbour {part}" for part in range(1, 6)),
    "Paper Tigers",
    "Paper Tigers, Again",
    "Home",
    "Home",
]
NUM_ITEMS = len(TITLES)
HISTORIES = Histories.from_lists([[], [3], [1, 2, 3], [8, 0, 1, 2, 3, 4, 5]])
TINY: dict[str, Any] = testing.TINY | {"epochs": 3, "max_steps": 3}
NEW = pl.DataFrame({"item_id": ["n1"], "title": ["Brand New Thing"]})


@pytest.fixture(scope="module")
def walks() -> Interactions:
    """Nine users who go round the catalogue."""
    return ring(TITLES, ids=[str(10 + row) for row in range(NUM_ITEMS)])


def fit(walks: Interactions, **options: Any) -> Recommender:
    return create("genrec-seq2seq", **recommender_class("genrec-seq2seq").Config.merged(TINY, options)).fit(
        walks
    )


def probabilities(model: Recommender, histories: Histories = HISTORIES) -> np.ndarray:
    """p(item | history) of every item; (B, num_items)."""
    found = model.rank(histories, len(model.catalogue), exclude_seen=False, exact=True)
    table_BI = np.zeros(found.items_BK.shape)
    np.put_along_axis(table_BI, found.items_BK, np.exp(found.scores_BK), axis=1)
    return table_BI


VARIANTS: list[dict[str, Any]] = [
    {"node_vectors": False},
    {"examples": "prefixes", "pretraining_epochs": 1},
    {"examples": "last", "word_vectors": "own", "reads_users": True},
    {"code": "random"},
    {"code": "sequential", "code_length": "full"},
    {"code": "original", "word_vectors": "shared", "reads_users": True, "pretraining_epochs": 1},
    {"code": "collaborative"},
    {"objective": "token", "pretraining_epochs": 1, "reads_users": True},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_every_way_ranks_all_items_comes_back_and_grows(
    walks: Interactions, tmp_path: Path, options: dict[str, Any]
) -> None:
    model = fit(walks, **options)
    found = probabilities(model)
    assert (found > 0).all()
    if options.get("objective") == "token":  # probability is lost on titles that nobody has
        assert (found.sum(axis=1) <= 1).all()
    else:
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-4)
    loaded = load(model.save(tmp_path / "saved"))
    np.testing.assert_allclose(probabilities(loaded), found, atol=1e-6)
    if options.get("code") == "collaborative":
        with pytest.raises(ConfigError, match="new items have no collaborative code"):
            loaded.add_items(NEW)
        assert len(loaded.catalogue) == NUM_ITEMS
        loaded.add_items(pl.DataFrame({"item_id": ["10"], "title": ["Renamed"]}))
        assert loaded.recommend([["11"]], k=9)[0].items
        np.testing.assert_allclose(probabilities(loaded), found, atol=1e-6)
        return
    (listed,) = loaded.add_items(NEW).recommend([["n1", "12"]], k=NUM_ITEMS + 1, exclude_seen=False)
    assert {item.item_id for item in listed.items} >= {"n1"}
    again = load(loaded.save(tmp_path / "grown"))
    histories = Histories.from_lists([[NUM_ITEMS, 2], [NUM_ITEMS]])
    np.testing.assert_allclose(probabilities(again, histories), probabilities(loaded, histories), atol=1e-6)


@pytest.mark.parametrize("name", ["genrec", "p5"])
@pytest.mark.parametrize("code", ["original", "collaborative"])
def test_numberings_of_the_others(walks: Interactions, tmp_path: Path, name: str, code: str) -> None:
    options = {"families": ("sequential",)} if name == "p5" else {}
    model = create(name, **(TINY | {"code": code, "epochs": 1} | options)).fit(walks)
    found = probabilities(model)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-4)
    loaded = load(model.save(tmp_path / "saved"))
    np.testing.assert_allclose(probabilities(loaded), found, atol=1e-6)
    if code == "collaborative":
        with pytest.raises(ConfigError, match="new items have no collaborative code"):
            loaded.add_items(NEW)
    else:
        loaded.add_items(NEW)
        assert len(loaded.rank(HISTORIES, NUM_ITEMS + 1, exclude_seen=False).items_BK[0]) == NUM_ITEMS + 1
        named = Catalogue.from_lists([f"i{row}" for row in range(NUM_ITEMS)], TITLES)
        with pytest.raises(DataError, match="'i0' is not a whole number"):
            create(name, **(TINY | {"code": code} | options)).fit(replace(walks, catalogue=named))


@pytest.mark.parametrize(("pretraining_epochs", "objective"), [(0, "token"), (3, "catalogue")])
def test_known_users_are_told_apart_and_others_are_nobody(
    walks: Interactions, tmp_path: Path, pretraining_epochs: int, objective: str
) -> None:
    model = fit(
        walks,
        reads_users=True,
        word_vectors="own",
        pretraining_epochs=pretraining_epochs,
        objective=objective,
    )

    def of(*users: str | None) -> np.ndarray:
        named = None if users[0] is None else pl.Series(users)
        lists = Histories.from_lists([[1, 2]] * len(users))
        return probabilities(model, Histories(lists.items, lists.offsets, named))

    both = of("u1", "u2")
    assert np.abs(np.log(both[0] / both[1])).max() > 1e-4
    stranger, nobody = of("stranger")[0], of(None)[0]
    np.testing.assert_allclose(stranger, nobody, atol=1e-6)
    assert np.abs(np.log(nobody / both[0])).max() > 1e-4
    model = load(model.save(tmp_path / "saved"))
    np.testing.assert_allclose(of("u1", "u2"), both, atol=1e-6)
    assert model.recommend([["11", "12"]], k=2)[0].items


def test_users_are_kept_only_where_they_are_read(walks: Interactions, tmp_path: Path) -> None:
    folders = [fit(walks, reads_users=reads, epochs=1).save(tmp_path / str(reads)) for reads in (True, False)]
    rows = [pl.read_parquet(folder / "users.parquet").height for folder in folders]
    assert rows == [NUM_ITEMS, 0]


def test_masked_users_are_learnt(walks: Interactions) -> None:
    """Their words are text; without the loss of text the pretraining of them would teach nothing."""
    model = fit(walks, reads_users=True, pretraining_epochs=1, epochs=1)
    rng = np.random.default_rng(0)
    sources = model.sources_
    hidden_user = next(
        example
        for example in (sources.masked(np.array([1, 2]), 0, rng) for _ in range(100))
        if not example.answers[0].spans[0].nodes.any()
    )
    loss = model._loss()
    batch = sources.collate([hidden_user])
    assert loss.num_items(batch) == 1
    assert float(loss(model.backbone_, batch).detach()) > 0.1


@pytest.mark.parametrize(("family", "tuning"), [("t5", "full"), ("bart", "lora")])
def test_checkpoints(
    walks: Interactions,
    tmp_path: Path,
    seq2seq_checkpoint: Callable[[str], str],
    family: str,
    tuning: str,
) -> None:
    options = {"word_vectors": "own", "reads_users": True, "pretraining_epochs": 1, "epochs": 1}
    model = fit(walks, backbone=seq2seq_checkpoint(family), tuning=tuning, **options)
    found = probabilities(model)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-4)
    loaded = load(model.save(tmp_path / "saved"))
    np.testing.assert_allclose(probabilities(loaded), found, atol=1e-5)
    loaded.add_items(NEW)
    assert probabilities(loaded, Histories.from_lists([[NUM_ITEMS]])).shape == (1, NUM_ITEMS + 1)


def test_mistakes_are_told_in_a_line(walks: Interactions, tmp_path: Path) -> None:
    for options, told in [
        ({"stride": 5}, "no option 'stride'"),
        ({"backbone": str(tmp_path)}, "config"),
        ({"max_tokens": 16, "code_length": "full", "vocab_size": 260}, "do not fit in max_tokens=16"),
    ]:
        with pytest.raises(ConfigError, match=told) as error:
            fit(walks, **options)
        assert "\n" not in str(error.value)
    alone = Interactions(walks.catalogue, pl.Series(["u"]), Histories.from_lists([[1]]))
    with pytest.raises(ConfigError, match="no history is long enough"):
        fit(alone, examples="prefixes")


def test_why_names_the_pieces_of_the_code(walks: Interactions) -> None:
    """Their probabilities are those of the search."""
    model = fit(walks)
    chances_BI = probabilities(model, Histories.from_lists([[1, 2]]))
    for item in range(NUM_ITEMS):
        steps = model.why(["11", "12"], str(10 + item))
        assert np.prod([chance for _, chance, *_ in steps]) == pytest.approx(chances_BI[0, item], rel=1e-3)


def test_a_run_is_trained_measured_and_audited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        f"u{user},i{(user + step) % 10},{1_600_000_000 + 100 * step + user}"
        for user in range(12)
        for step in range(6)
    ]
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    (tmp_path / "items.csv").write_text(
        "item_id,title\n" + "".join(f"i{item},Thing number {item}\n" for item in range(10))
    )
    data = ["--data", str(tmp_path / "log.csv"), "--items", str(tmp_path / "items.csv")]
    words = [f"{name}={value}" for name, value in TINY.items()]
    words += ["pretraining_epochs=1", "reads_users=true", "word_vectors=own"]
    run = tmp_path / "run"
    assert main(["train", "genrec-seq2seq", *words, *data, "--out", str(run)]) == 0
    assert (run / "pretraining/log.jsonl").exists()
    assert main(["evaluate", str(run)]) == 0
    capsys.readouterr()
    assert main(["audit", str(run), "--json"]) in (0, 1)
    assert '"findings"' in capsys.readouterr().out


@pytest.mark.parametrize("name", ["genrec-seq2seq", "p5"])
def test_a_checkpoint_has_no_collaborative_words(
    walks: Interactions, seq2seq_checkpoint: Callable[[str], str], name: str
) -> None:
    options = {"backbone": seq2seq_checkpoint("t5"), "code": "collaborative"}
    with pytest.raises(ConfigError, match="code=collaborative needs backbone=compact"):
        create(name, **recommender_class(name).Config.merged(TINY, options)).fit(walks)
