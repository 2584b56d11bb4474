"""A shop on two days: what its log and its items are on Monday, and what has become of them on Tuesday."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from genrec.data.streams import stream

NUM_ITEMS, NUM_USERS = 24, 30
_GARDEN = ("Garden hose", "Rain barrel", "Hand trowel", "Seed tray", "Compost bin", "Watering can")
_GARTEN = ("Gartenschlauch", "Regentonne", "Handschaufel", "Saatschale", "Komposter", "Gießkanne")
_BRANDS = ("Pike", "Rill", "Ohm")
_OPENED = datetime(2026, 1, 5)


def monday() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Log and items: 30 customers with two or three orders of one to three lines; 24 items in two languages."""
    rng, lines = stream(0, "a shop's log"), []
    for user in range(NUM_USERS):
        place = user % NUM_ITEMS
        for order in range(3):
            moment = _OPENED + timedelta(days=20 * order + user, minutes=int(rng.integers(600)))
            for _ in range(int(rng.integers(1, 4))):
                place = (place + int(rng.choice([1, 1, 2]))) % NUM_ITEMS
                lines.append((f"C{user:02d}", f"A{place:02d}", moment))
    return _log(lines), pl.DataFrame([_item(row) for row in range(NUM_ITEMS)])


def tuesday() -> tuple[pl.DataFrame, pl.DataFrame]:
    """The day after: see `WHAT_HAPPENED`."""
    log, items = monday()
    moment = _OPENED + timedelta(days=200)
    lines = [
        *((user, item, moment) for user, item in (("C01", "B0"), ("C02", "Z9"), ("C02", "A07"))),
        *(("C99", item, moment) for item in ("A03", "A05", "B1")),
    ]
    items = items.filter(pl.col("item_id") != "A05").with_columns(
        (pl.col("price") + 100).round(2),
        pl.when(item_id=pl.lit("A03")).then(pl.lit("Hand trowel, renamed")).otherwise("title").alias("title"),
        pl.col("in_stock") & (pl.col("item_id") != "A04"),
    )
    new = pl.DataFrame(
        [_item(row) | {"item_id": f"B{row}", "title": f"Garden hose, new {row}"} for row in range(3)]
    )
    return pl.concat([log, _log(lines)]), pl.concat([items, new])


WHAT_HAPPENED = {
    "orders": "C01 buys the new B0; C02 buys Z9, which no list has, and A07; C99 is new and buys A03, A05 and B1",
    "items": "A03 has another name, A04 is sold out, A05 is no longer listed, B0, B1 and B2 are new",
    "prices": "all 100 more",
}


def write(folder: Path, day: tuple[pl.DataFrame, pl.DataFrame]) -> dict[str, Any]:
    """A day's files, as options of `open_run`."""
    folder.mkdir()
    for name, frame in zip(("log", "items"), day, strict=True):
        frame.write_parquet(folder / f"{name}.parquet")
    return {"data": folder / "log.parquet", "items": folder / "items.parquet"}


def _log(lines: list[tuple[str, str, datetime]]) -> pl.DataFrame:
    return pl.DataFrame(lines, schema=["customer", "sku", "order_date"], orient="row")


def _item(row: int) -> dict[str, Any]:
    words, place = (_GARTEN, "Garten") if row % 2 else (_GARDEN, "Garden")
    return {
        "item_id": f"A{row:02d}",
        "title": f"{words[row // 2 % len(words)]} {row}",
        "brand": _BRANDS[row % 3],
        "price": 1.5 * row + 2,
        "in_stock": row % 7 != 0,
        "since": date(2025, 3, 1) + timedelta(days=row),
        "categories": [place, "outdoor"],
    }
