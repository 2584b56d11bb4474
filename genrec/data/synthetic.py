"""An invented data set: films that do not exist, taken by users who do not exist.

It is for demos, tests and first steps without a download. Titles are put together from the word lists below,
come in series, and have genres and a year. What a user takes next depends mainly on what they took last, so a
recommender that reads the order of a history must beat popularity and item-kNN on it. It says nothing about
how well a recommender does on real people, and every report of it carries a note that says so.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from genrec.data.catalogue import BoolArray, Catalogue
from genrec.data.dataset import Dataset, ReadReport
from genrec.data.files import all_or_nothing, write_atomically, write_text
from genrec.data.interactions import FloatArray, Histories, IntArray, Interactions
from genrec.data.streams import stream
from genrec.errors import ConfigError

NOTE = "SYNTHETIC: invented films and users, made by genrec; results here say nothing about real people"

_NUM_ITEMS = 400
_MOST_USERS = 100_000  # a number for each user and film is held several times: 2 GB
_PARTS = (0.3, 0.15, 0.2, 0.15, 0.1, 0.1)  # share of series with 1, 2, ... parts
_SHORTEST, _LONGEST = 5, 40  # interactions of a user
_DAY_S = 86_400

# What the next choice is drawn from. The shares hold as long as a next part and unseen neighbours are left.
_NEXT_PART, _NEIGHBOUR, _TASTE = 0.40, 0.40, 0.20
_NEAR_YEARS = 2.0  # how fast films of the same genre fall off with the years between them
_BACKWARDS = 0.15  # weight of an older neighbour against a newer one: users go forward in time

_GENRES = ("Adventure", "Comedy", "Crime", "Documentary", "Drama", "Fantasy", "Horror", "Romance", "Western")
_ADJECTIVES = (
    "Amber Borrowed Copper Crooked Distant Drowned Empty Frozen Gentle Glass Hollow Iron Last Lost "
    "Midnight Paper Quiet Restless Scarlet Second Silver Sleeping Velvet Wandering Winter"
)
_NOUNS = (
    "Almanac Bakery Bridge Carnival Clockmaker Compass Detective Engine Garden Harbour Island Kingdom "
    "Lantern Lighthouse Machine Orchard Parade Pilot Railway River Sparrow Station Theatre Violin Wolf"
)
_PLACES = "Altamar Dunmoor Évora-sur-Lac Kølding Łąkowa Málno Öster Pellwick Tarn Zürau"
_PART_NAMES = (
    "Ashes",
    "Before the Flood",
    "Homecoming",
    "Low Tide",
    "No Way Back",
    "Salt, Smoke and Iron",
    "Second Light",
    "The Inheritance",
    "The Long Way Round",
    "Élan",
)


def synthetic(num_users: int = 1000, seed: int = 0) -> Dataset:
    """The invented data set: about 400 films and 14 interactions a user, with times and ratings.

    Args:
        num_users: users to invent, each with 5 to 40 interactions.
        seed: equal seeds give equal data, with the same films for any number of users.

    Raises:
        ConfigError: fewer than 1 user or more than 100,000, or a seed below 0.
    """
    if not 1 <= num_users <= _MOST_USERS:
        raise ConfigError(f"num_users is {num_users}; ask for 1 to {_MOST_USERS:,} users")
    if seed < 0:
        raise ConfigError(f"seed is {seed}; give 0 or more")
    items = _films(stream(seed, "synthetic items"))
    rng = stream(seed, "synthetic log")
    lengths = rng.lognormal(np.log(13), 0.4, num_users).clip(_SHORTEST, _LONGEST).round().astype(np.int64)
    taken_BT, liked_BT = _walks(items, num_users, int(lengths.max()), rng)
    kept_BT = np.arange(taken_BT.shape[1]) < lengths[:, None]
    interactions = Interactions(
        Catalogue(items),
        pl.Series("user_id", [f"user{row + 1:04d}" for row in range(num_users)]),
        Histories(taken_BT[kept_BT], np.concatenate([[0], np.cumsum(lengths)])),
        times=_times(num_users, taken_BT.shape[1], rng)[kept_BT],
        ratings=(np.where(liked_BT, 4, 3) + rng.integers(-1, 2, taken_BT.shape))[kept_BT].astype(np.float32),
    )
    report = ReadReport(
        layout="synthetic",
        source=f"genrec.data.synthetic, {num_users} users, seed {seed}",
        rows=interactions.num_interactions,
        notes=[NOTE],
        repeated_titles=items.height - items["title"].n_unique(),
    )
    return Dataset("synthetic", interactions, report, synthetic=True)


def write(dataset: Dataset, folder: str | Path) -> Path:
    """Write a data set as CSV, the way users bring their own: `genrec.read(folder)` reads it back.

    `interactions.csv` has user_id, item_id, timestamp and rating where known; `items.csv` has item_id, title
    and the other fields, lists joined by `|`; `README.txt` says where the data come from.

    Args:
        dataset: any data set that has times.
        folder: made if needed; must not hold any of the three files.

    Returns:
        The folder.

    Raises:
        ConfigError: a file is in the way, or the data have no times.
    """
    folder, interactions = Path(folder), dataset.interactions
    if interactions.times is None:
        raise ConfigError(f"{dataset.name!r} has an order but no times, and the CSV layout needs times")
    for name in ("interactions.csv", "items.csv", "README.txt"):
        if (folder / name).exists():
            raise ConfigError(f"{folder / name} exists and is not overwritten: choose another folder")
    histories = interactions.histories
    rows = pl.DataFrame(
        {
            "user_id": interactions.users.gather(histories.rows),
            "item_id": dataset.catalogue.table["item_id"].gather(histories.items),
            "timestamp": interactions.times,
        }
    )
    if interactions.ratings is not None:
        rows = rows.with_columns(pl.Series("rating", interactions.ratings))
    items = dataset.catalogue.table.with_columns(pl.col(pl.List(pl.String)).list.join("|"))
    about = "\n".join([f"{dataset.name}: {dataset.report.source}", *dataset.report.notes, ""])
    with all_or_nothing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "interactions.csv", rows.write_csv)
        write_atomically(folder / "items.csv", items.write_csv)
        write_text(folder / "README.txt", about)
    return folder


def is_synthetic(source: object) -> bool:
    """Whether `source` is a folder that `write` filled with the invented data, or a file in one."""
    if not isinstance(source, str | Path):
        return False
    path = Path(source)
    readme = (path if path.is_dir() else path.parent) / "README.txt"
    return readme.is_file() and NOTE.encode() in readme.read_bytes()


def _films(rng: np.random.Generator) -> pl.DataFrame:
    """The films: one to six parts a series, the parts of a series in order."""
    names = [f"The {adjective} {noun}" for adjective in _ADJECTIVES.split() for noun in _NOUNS.split()]
    names += [f"{noun} of {place}" for noun in _NOUNS.split() for place in _PLACES.split()]
    rng.shuffle(names)
    titles: list[str] = []
    series: list[str] = []
    genres: list[list[str]] = []
    years: list[int] = []
    for name in names:
        num_parts = min(int(rng.choice(6, p=_PARTS)) + 1, _NUM_ITEMS - len(titles))
        own_genres = rng.choice(_GENRES, size=rng.integers(1, 3), replace=False).tolist()
        year = int(rng.integers(1955, 2008))
        for part in range(1, num_parts + 1):
            titles.append(name if part == 1 else f"{name} {part}: {rng.choice(_PART_NAMES)}")
            series.append(name)
            genres.append(own_genres)
            years.append(min(year, 2014))
            year += int(rng.integers(1, 4))
        if len(titles) == _NUM_ITEMS:
            break
    # Catalogues have remakes: two films that no title tells apart, and only the year does.
    lone = [row for row in range(_NUM_ITEMS) if series.count(series[row]) == 1]
    for remake, original in zip(lone[1:6:2], lone[:6:2], strict=True):
        titles[remake] = series[remake] = titles[original]
    order = rng.permutation(_NUM_ITEMS)  # ids must not give away which part comes next
    ids = [f"F{row + 1:03d}" for row in range(_NUM_ITEMS)]
    films = pl.DataFrame({"title": titles, "genres": genres, "year": years, "series": series})
    return films.select(pl.Series("item_id", ids), pl.all().gather(order))


def _walks(
    items: pl.DataFrame, num_users: int, length: int, rng: np.random.Generator
) -> tuple[IntArray, BoolArray]:
    """What each user takes, step by step.

    Returns:
        taken_BT int32, rows of the films, none twice for a user; liked_BT, whether a film follows on the one
        before it.
    """
    next_part_II, neighbour_II = _affinities(items)
    popularity_I = rng.permutation(1.0 / np.arange(1, items.height + 1) ** 0.8)
    is_genre_GI = np.stack([items["genres"].list.contains(genre).to_numpy() for genre in _GENRES])
    taste_BI = (0.1 + is_genre_GI[rng.integers(0, len(_GENRES), num_users)]) * popularity_I
    taste_BI /= taste_BI.sum(axis=1, keepdims=True)
    users = np.arange(num_users)
    taken_BT = np.zeros((num_users, length), np.int32)
    liked_BT = np.zeros((num_users, length), bool)
    unseen_BI = np.ones((num_users, items.height), bool)
    for step in range(length):
        weights_BI = _TASTE * taste_BI
        if step:
            last_B = taken_BT[:, step - 1]
            follow_BI = _NEXT_PART * next_part_II[last_B] + _NEIGHBOUR * neighbour_II[last_B]
            weights_BI = weights_BI + follow_BI
        sums_BI = np.cumsum(weights_BI * unseen_BI, axis=1)
        drawn_B = rng.random(num_users) * sums_BI[:, -1]
        taken_BT[:, step] = chosen_B = (sums_BI <= drawn_B[:, None]).sum(axis=1)
        unseen_BI[users, chosen_B] = False
        if step:
            liked_BT[:, step] = follow_BI[users, chosen_B] > 0.01
    return taken_BT, liked_BT


def _affinities(items: pl.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Where a user goes from each film: to the next part, or to one of its main genre and about its year.

    Returns:
        next_part_II (0 or 1) and neighbour_II (rows sum to 1), from row to column.
    """
    series, years_I = items["series"].to_numpy(), items["year"].to_numpy()
    parts_I = items["title"].str.extract(r" (\d): ").cast(pl.Int64).fill_null(1).to_numpy()
    same_series_II = series[:, None] == series
    next_part_II = (same_series_II & (parts_I == parts_I[:, None] + 1)).astype(float)
    main_genre = items["genres"].list.first().to_numpy()
    ahead_II = years_I - years_I[:, None]
    near_II = np.exp(-np.abs(ahead_II) / _NEAR_YEARS) * np.where(ahead_II >= 0, 1.0, _BACKWARDS)
    neighbour_II = near_II * (main_genre[:, None] == main_genre) * ~same_series_II
    return next_part_II, neighbour_II / neighbour_II.sum(axis=1, keepdims=True)


def _times(num_users: int, length: int, rng: np.random.Generator) -> IntArray:
    """Unix seconds (B, T), growing along T: some days between films, from 2015 on."""
    start_B = 1_420_070_400 + rng.integers(0, 5 * 365 * _DAY_S, num_users)
    gaps_BT = rng.exponential(6 * _DAY_S, (num_users, length)).astype(np.int64) + 3600
    return start_B[:, None] + np.cumsum(gaps_BT, axis=1)
