"""MovieLens 100K, 1M and CSV."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from genrec.data.read import read
from genrec.data.readers.movielens import GENRES_100K
from genrec.errors import ConfigError, DataError


def flags(*genres: str) -> str:
    return "|".join("1" if name in genres else "0" for name in GENRES_100K)


def write_100k(folder: Path) -> None:
    (folder / "u.data").write_text("1\t10\t4\t900\n1\t20\t5\t800\n2\t10\t1\t700\n")
    lines = [
        f"10|Été (1995)|01-Jan-1995||http://x|{flags('Drama', 'War')}",
        f"20|unknown||||{flags('unknown')}",
    ]
    (folder / "u.item").write_bytes("\n".join(lines).encode("latin-1") + b"\n\n"[:1])


def test_100k(tmp_path: Path) -> None:
    write_100k(tmp_path)
    for source in (tmp_path, tmp_path / "u.data"):
        data = read(source)
        assert data.report.layout == "movielens-100k"
        assert data.catalogue.titles == ["unknown", "Été (1995)"]
        assert data.catalogue.table["genres"].to_list() == [["unknown"], ["Drama", "War"]]
        assert data.catalogue.table["year"].to_list() == [None, 1995]
        assert data.interactions.times.tolist() == [800, 900, 700]
        assert data.interactions.ratings.tolist() == [5, 4, 1]


def test_100k_malformed(tmp_path: Path) -> None:
    write_100k(tmp_path)
    (tmp_path / "u.item").write_text("10|A|B\n")
    with pytest.raises(DataError, match=r"line 1 of u.item has 3 fields, not 24"):
        read(tmp_path)
    (tmp_path / "u.data").write_text("1\t10\t4\t900\n1\t20\t5\n")
    with pytest.raises(DataError, match=r"line 2 of u.data has 3 fields, and the first line has 4"):
        read(tmp_path)
    (tmp_path / "u.data").write_text("1\t10\t4\t900\n1\t20\t5\tnoon\n")
    with pytest.raises(DataError, match=r"line 2 of u.data has the time 'noon'"):
        read(tmp_path)
    (tmp_path / "u.data").write_text("1\t10\t4\n")
    with pytest.raises(DataError, match=r"line 1 of u.data has 3 fields, and 4 are needed"):
        read(tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_1m(packed: bool, tmp_path: Path) -> None:
    ratings = b"1::7::5::978300760\n1::9::3::978300759\n"
    name = "ratings.dat.gz" if packed else "ratings.dat"
    (tmp_path / name).write_bytes(gzip.compress(ratings) if packed else ratings)
    movies = "7::Crème: A Film (1999)::Comedy|Children's\n9::Odd::One (2001)::Drama\n"
    (tmp_path / "movies.dat").write_bytes(movies.encode("latin-1"))
    data = read(tmp_path)
    assert data.report.layout == "movielens-1m"
    assert data.catalogue.titles == ["Crème: A Film (1999)", "Odd::One (2001)"]
    assert data.catalogue.table["genres"].to_list() == [["Comedy", "Children's"], ["Drama"]]
    assert data.catalogue.table["year"].to_list() == [1999, 2001]
    assert data.interactions.times.tolist() == [978300759, 978300760]


def test_1m_malformed(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::7::5::978300760\n1::9::3\n")
    with pytest.raises(DataError, match=r"line 2 of ratings.dat has 3 fields, and the first line has 4"):
        read(tmp_path)
    (tmp_path / "ratings.dat").write_text("1::7::5::978300760\n1::7:9::3::978300759\n")
    with pytest.raises(DataError, match=r"ratings.dat has a field with a single ':' in it"):
        read(tmp_path)
    (tmp_path / "ratings.dat").write_text("1::7::5::978300760\n1:x:9::3::978300759\n")
    with pytest.raises(DataError, match=r"line 2 of ratings.dat has 3 fields, and the first line has 4"):
        read(tmp_path)
    (tmp_path / "ratings.dat").write_text("1::7::5::978300760\n")
    (tmp_path / "movies.dat").write_text("7::A\n")
    with pytest.raises(DataError, match=r"line 1 of movies.dat is '7::A', not id::title::genres"):
        read(tmp_path)
    with pytest.raises(ConfigError, match=r"movielens-1m has no named columns"):
        read(tmp_path, columns={"user_id": "user"})


def test_csv(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,2,4.5,20\n1,3,0.5,10\n")
    movies = 'movieId,title,genres\n2,"Heat, The (2013)",Comedy|Crime\n3,Plain,(no genres listed)\n'
    (tmp_path / "movies.csv").write_text(movies)
    for source in (tmp_path, tmp_path / "ratings.csv"):
        data = read(source)
        assert data.report.layout == "movielens-csv"
        assert data.catalogue.titles == ["Heat, The (2013)", "Plain"]
        assert data.catalogue.table["genres"].to_list() == [["Comedy", "Crime"], []]
        assert data.catalogue.table["year"].to_list() == [2013, None]
    (tmp_path / "movies.csv").unlink()
    assert not read(tmp_path).catalogue.titled


TITLES = ("Été (1995)", "Nausicaä “Wind” – 風 (1984)")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_titles_in_utf_8(encoding: str, tmp_path: Path) -> None:
    write_100k(tmp_path)
    lines = [f"{number}0|{title}||||{flags('War')}\n" for number, title in enumerate(TITLES, start=1)]
    (tmp_path / "u.item").write_text("".join(lines), encoding=encoding)
    assert sorted(read(tmp_path / "u.data").catalogue.titles) == sorted(TITLES)
    (tmp_path / "ratings.dat").write_text("1::7::5::978300760\n1::9::3::978300759\n", encoding=encoding)
    movies = f"7::{TITLES[0]}::Drama\n\n9::{TITLES[1]}::War|(no genres listed)\n"
    (tmp_path / "movies.dat").write_text(movies, encoding=encoding)
    data = read(tmp_path / "ratings.dat")
    assert sorted(data.catalogue.titles) == sorted(TITLES)
    assert sorted(data.catalogue.table["genres"].to_list()) == [["Drama"], ["War"]]
    assert not any("Latin-1" in note for note in data.report.notes)


def test_lines_that_are_not_utf_8_are_latin_1_and_counted(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::7::5::978300760\n1::9::3::978300759\n1::8::3::978300758\n")
    movies = ["7::Été (1995)::Drama".encode("latin-1"), "8::Été (1996)::Drama".encode(), b"9::It\x92s::Drama"]
    (tmp_path / "movies.dat").write_bytes(b"\r\n".join(movies) + b"\r\n")
    data = read(tmp_path)
    assert data.catalogue.titles == ["It’s", "Été (1995)", "Été (1996)"]
    assert "2 of 3 lines of movies.dat are not UTF-8 and were read as Latin-1" in data.report.notes
    (tmp_path / "movies.dat").write_bytes(b"7::A::Drama\n8::\x81::Drama\n")
    with pytest.raises(DataError, match=r"line 2 of movies.dat is neither UTF-8 nor Latin-1"):
        read(tmp_path)
