"""Runs on data whose rows are lines of orders: what is measured, compared and kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import genrec
import numpy as np
import pytest
from genrec.cli.main import main
from genrec.errors import RunError

LINES = [
    (f"u{user:02d}", f"i{(user + 3 * order + line) % 9}", 1_700_000_000 + 86_400 * order, f"o{user}-{order}")
    for user in range(12)
    for order in range(5)
    for line in range(1 + (user + order) % 3)
]


def written(path: Path, lines: list[tuple[str, str, int, str]] = LINES, name: str = "order_id") -> Path:
    rows = [f"user_id,item_id,timestamp,{name}", *(",".join(map(str, line)) for line in lines)]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measured runs; tests must not change them."""
    folder = tmp_path_factory.mktemp("orders")
    log = written(folder / "log.csv")
    for name, how in (("popular", None), ("itemknn", None), ("lines", "none"), ("times", "time")):
        recommender = name if name in ("popular", "itemknn") else "transitions"
        run = genrec.train(recommender, log, folder / name, read={} if how is None else {"orders": how})
        run.evaluate()
    return folder


def test_orders_are_measured_beside_a_floor(runs: Path) -> None:
    run = genrec.open_run(runs / "itemknn")
    metrics, asked = run.metrics["test"], run.parts.test
    assert asked.orders is not None
    last = [{item for user, item, _, order in LINES if order == f"o{row}-4"} for row in range(12)]
    ids = run.data.catalogue.ids
    assert [{ids[item] for item in order} for order in asked.orders] == last
    assert (metrics["num_users"], metrics["num_targets"]) == (12, sum(map(len, last)))
    assert set(metrics["intervals"]) == set(metrics["floor"]["intervals"])
    assert {"Recall@5", "Recall@10", "Recall@20"} < set(metrics["intervals"])
    assert all(metrics[f"Recall@{k}"] <= metrics[f"HR@{k}"] for k in (5, 10, 20))
    counted = sum(part["num_users"] for part in metrics["by_training_count"].values())
    assert counted == metrics["num_targets"]


def test_evaluate_says_what_is_asked_for(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, told in (("popular", "the next order: 24 items, 2.0 a user"), ("lines", "the next item")):
        assert main(["evaluate", str(runs / name)]) == 0
        printed = capsys.readouterr().out
        assert told in printed
        assert ("Recall@10" in printed) == (name == "popular")


def test_runs_are_compared_by_orders_and_only_with_the_same(runs: Path, tmp_path: Path) -> None:
    found = genrec.compare([runs / "popular", runs / "itemknn"])
    told = {group["name"]: group["metrics"] for group in found.to_json()["recommenders"]}
    for name, metrics in told.items():
        measured = genrec.open_run(runs / name).metrics["test"]
        for metric, values in metrics.items():
            assert values["mean"] == pytest.approx(measured[metric]), metric
    page = found.write(tmp_path / "page.html").read_text()
    assert "Recall@10" in page
    assert (
        "finds an item of a user&#x27;s next order" in page or "finds an item of a user's next order" in page
    )
    genrec.compare([runs / "popular", runs / "times"])  # in these data the rows of one time are an order
    with pytest.raises(RunError, match="in other orders, which hold out other targets"):
        genrec.compare([runs / "popular", runs / "lines"])


def test_a_run_says_how_its_orders_were_read(runs: Path, tmp_path: Path) -> None:
    assert genrec.open_run(runs / "popular").recipe.data["orders"] == "id"
    assert genrec.open_run(runs / "times").recipe.data["orders"] == "time"
    log = written(tmp_path / "log.csv")
    genrec.train("popular", log, tmp_path / "run", read={"orders": "none"})
    for name in ("data.json", "metrics.json", "model/recommender.json"):  # as an earlier version wrote them
        about = json.loads((tmp_path / "run" / name).read_text())
        del about["seal"]
        about.get("source", {}).get("options", {}).pop("orders", None)
        (tmp_path / "run" / name).write_text(json.dumps(about))
    old = genrec.open_run(tmp_path / "run")
    assert old.data.interactions.orders is None
    assert old.evaluate()["num_users"] == 12


def test_todays_log_may_do_without_orders(runs: Path, tmp_path: Path) -> None:
    today = written(tmp_path / "today.csv", LINES[-9:], name="channel")
    found = genrec.open_run(runs / "popular", today).today
    assert found.history("u11") == [item for user, item, *_ in LINES[-9:] if user == "u11"]


def test_a_refit_knows_all_but_the_last_order(tmp_path: Path) -> None:
    run = genrec.train("transitions", written(tmp_path / "log.csv"), tmp_path / "run", refit=True)
    known = run.data.before_test()
    assert known.num_interactions == sum(not order.endswith("-4") for *_, order in LINES)
    assert run.evaluate()["refit"]["num_targets"] == run.parts.test.orders.items.size  # type: ignore[union-attr]


def test_weights_are_fitted_to_every_item_of_an_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [
        (f"u{user}", f"i{item}", 86_400 * order, f"o{order}")
        for user in range(40)
        for order in range(4)
        for item in (
            rng.integers(0, 30),
            30 + rng.integers(0, 3),
        )  # the second line is of a few popular items
    ]
    data = genrec.read(written(tmp_path / "log.csv", lines))
    model = genrec.create("prior", prior=["popular", "transitions"])
    one, apart, first = (
        model.fit(data.train, asked).experts_.weights
        for asked in (data.validation, data.validation.apart(), replace(data.validation, orders=None))
    )
    assert one == apart != first
