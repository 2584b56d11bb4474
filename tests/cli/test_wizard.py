"""`genrec data PATH --wizard`."""

from __future__ import annotations

import shlex
from pathlib import Path

import genrec
import pytest
from genrec.cli import wizard
from genrec.data.proposal import propose
from genrec.data.readers.source import ANY

HEADER = "Rechnung;Konto-Kunde;Warennr;Warenbezeichnung;Tag;Menge"
ROWS = [f"R{n};k{n % 3};w{n % 4};Bürste {n % 4};{n + 1:02d}/02/2024 10:00;1" for n in range(12)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_bytes("\n".join([HEADER, *ROWS, ""]).encode("latin-1"))
    return path


def options_of(printed: str) -> list[str]:
    """What the command that the wizard prints says about the data, behind `--data PATH`."""
    words = shlex.split(printed.splitlines()[-1])
    assert words[:4] == ["genrec", "train", "genrec", "--data"]
    return words[5:-2]


def test_roles_are_proposed_by_parts_of_names_and_by_values(log: Path) -> None:
    found = propose(log, ANY)
    assert found.roles == {
        "user_id": "Konto-Kunde", "item_id": "Warennr", "title": "Warenbezeichnung", "timestamp": "Tag",
        "order_id": "Rechnung",
    }  # fmt: skip
    assert not any(column.usual for column in found.columns)
    assert "1 February 2024 with the day first and 2 January 2024 with the month first" in found.dates
    assert next(column for column in found.columns if column.name == "Warennr").examples == ["w0", "w1", "w2"]


def test_the_command_reads_the_data_once_the_dates_are_decided(cli, log: Path) -> None:
    shown = cli("data", log, "--wizard").out
    assert "1 February 2024 with the day first and 2 January 2024 with the month first" in shown
    assert "DAY-FIRST-OR-MONTH-FIRST" in options_of(shown)
    assert "read so" not in shown
    shown = cli("data", log, "--wizard", "--dates", "day-first").out
    assert "Konto-Kunde       user_id ?    k0 | k1 | k2" in shown
    assert "read so, there are 3 users, 4 items and 12 interactions" in shown
    assert cli("data", log, *options_of(shown), "--json").json["num_orders"] == 12
    shown = cli("data", log, "--wizard", "--dates", "day-first", "--orders", "none").out
    assert "order_id" not in shown
    assert cli("data", log, *options_of(shown), "--json").json["num_orders"] is None


def test_usual_names_need_no_option_and_what_is_missing_has_a_place(cli, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("CustomerID,sku,qty\nu,a,1\nu,b,2\n")
    shown = cli("data", tmp_path / "log.csv", "--wizard").out
    assert "no column seems to be timestamp: put its name in the place of NAME, or say --ordered" in shown
    assert options_of(shown) == ["--column", "timestamp=NAME"]
    shown = cli("data", tmp_path / "log.csv", "--wizard", "--ordered", "--column", "item_id=qty").out
    assert options_of(shown) == ["--column", "item_id=qty", "--ordered"]
    assert "read so, there are 1 users, 2 items and 2 interactions" in shown


def test_somebody_at_the_terminal_is_asked(cli, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["Konto-Kunde", "Ware", "Warennr", "Tag", "", "-", "month"])
    asked = []

    def prompt(question: str, default: str | None = None, err: bool = False) -> str:
        asked.append((question, default))
        return next(answers) or default or ""

    monkeypatch.setattr(wizard, "_somebody_is_there", lambda: True)
    monkeypatch.setattr(wizard.typer, "prompt", prompt)
    result = cli("data", log, "--wizard")
    assert "there is no column 'Ware'; it is one of Rechnung, Konto-Kunde" in result.err
    assert ("user_id: the column that says who took it", "Konto-Kunde") in asked
    assert next(answers, None) is None
    data = genrec.read(log, columns={"user_id": "Konto-Kunde", "item_id": "Warennr", "timestamp": "Tag",
                                     "title": "Warenbezeichnung"}, dates="month-first")  # fmt: skip
    assert cli("data", log, *options_of(result.out), "--json").json["fingerprint"] == data.fingerprint


def test_a_known_layout_has_nothing_to_propose(mistake, tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("1\t2\t3\t4\n")
    assert "is in the layout movielens-100k, whose columns are known" in mistake("data", tmp_path, "--wizard")
    assert "--wizard prints for people" in mistake("data", tmp_path, "--wizard", "--json")
