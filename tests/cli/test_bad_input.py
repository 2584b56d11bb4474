"""Every kind of bad input that a user can give gets one clear line and exit code 2."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Mistake = Callable[..., str]


@pytest.fixture
def read(mistake: Mistake, shop: Path) -> Callable[..., str]:
    """What `genrec data` says of the shop."""

    def run(*words: object) -> str:
        return mistake("data", shop / "sales.csv", "--items", shop / "goods.csv", *words)

    return run


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_missing_file(mistake: Mistake, shop: Path) -> None:
    assert "nowhere.csv" in mistake("data", shop / "nowhere.csv")
    assert "nowhere.csv" in mistake("data", shop / "sales.csv", "--items", shop / "nowhere.csv")
    assert "nowhere" in mistake("train", "popular", "--data", shop / "nowhere", "--out", shop / "run")
    assert not (shop / "run").exists()


def test_a_link_to_itself(mistake: Mistake, tmp_path: Path) -> None:
    link = tmp_path / "round.csv"
    link.symlink_to(link)
    words = ("--data", link, "--out", tmp_path / "run")
    assert "round.csv" in mistake("train", "popular", *words)
    assert "round.csv" in mistake("demo", "--recipe", "popular", *words)


def test_a_folder_with_nothing_in_it(mistake: Mistake, tmp_path: Path) -> None:
    assert str(tmp_path.name) in mistake("data", tmp_path)


def test_unreadable_row_with_file_and_line(read, shop: Path) -> None:
    append(shop / "sales.csv", "u1,i1\n")
    told = read()
    assert "line 74" in told
    assert "sales.csv" in told


def test_unreadable_time_with_file_and_line(read, shop: Path) -> None:
    append(shop / "sales.csv", "u1,i1,yesterday,5\n")
    told = read()
    assert "line 74" in told
    assert "yesterday" in told


def test_no_such_column(read) -> None:
    assert "custumer" in read("--column", "user_id=custumer")
    assert "no two sides" in read("--column", "user_id")
    assert "usr" in read("--column", "usr=user_id")


def test_item_without_title(read, shop: Path) -> None:
    append(shop / "goods.csv", "i77,,red\n")
    append(shop / "sales.csv", "u1,i77,1700000000,5\n")
    told = read()
    assert "i77" in told
    assert "title" in told


def test_fewer_than_three_interactions_a_user(mistake: Mistake, shop: Path) -> None:
    rows = [f"u{user},i{step},{step},5" for user in range(9) for step in range(2)]
    (shop / "sales.csv").write_text("user_id,item_id,timestamp,rating\n" + "\n".join(rows) + "\n")
    words = (
        "train",
        "popular",
        "--data",
        shop / "sales.csv",
        "--items",
        shop / "goods.csv",
        "--out",
        shop / "run",
    )
    assert "three interactions" in mistake(*words)
    assert not (shop / "run").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--min-rating", "9"), "leave nothing"),
        (("--k-core", "0"), "k_core=0"),
        (("--k-core", "many"), "--k-core"),
        (("--layout", "movielense"), "movielense"),
        (("--untitled", "keep"), "untitled='keep'"),
    ],
)
def test_data_options_outside_what_is_allowed(read, words: tuple[str, ...], told: str) -> None:
    assert told in read(*words)


def test_options_of_the_synthetic_data(mistake: Mistake) -> None:
    assert "synthetic data take no min_rating" in mistake("data", "show", "synthetic", "--min-rating", 3)


def test_k_of_zero(mistake: Mistake, popular_run: Path) -> None:
    assert "k is 0" in mistake("recommend", popular_run, "--user", "user0001", "-k", 0)


def test_unknown_item(mistake: Mistake, popular_run: Path) -> None:
    told = mistake("recommend", popular_run, "--history", "The Papper Theatre")
    assert "'The Papper Theatre'" in told
    assert "The Paper Theatre" in told.replace("'The Papper Theatre'", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("populer",), "did you mean popular"),
        (("nowhere.yaml",), "no recipe file"),
        (("itemknn", "num_neighbors=5"), "num_neighbours"),
        (("itemknn", "num_neighbours=0"), "num_neighbours=0"),
        (("itemknn", "num_neighbours=many"), "num_neighbours='many'"),
        (("itemknn", "num_neighbours"), "not key=value"),
        (("popular", "--protocol", "leave-two-out"), "leave-one-out"),
    ],
)
def test_wrong_recipes(mistake: Mistake, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    assert told in mistake("train", *words, "--data", "synthetic", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_is_half_written(mistake: Mistake, popular_run: Path, tmp_path: Path) -> None:
    def told_without(*gone: str) -> str:
        run = tmp_path / gone[0].replace("/", "-")
        shutil.copytree(popular_run, run)
        for name in gone:
            path = run / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        told = mistake("evaluate", run)
        assert told == mistake("recommend", run, "--user", "user0001")
        return told

    assert "has not finished" in told_without("model")
    assert "recommender.json is missing" in told_without("model/recommender.json")
    assert "popular.safetensors is missing" in told_without("model/popular.safetensors")
    assert "data.json is missing" in told_without("data.json", "model")
    assert "config.yaml is missing" in told_without("config.yaml")


def test_a_run_folder_with_damaged_files(mistake: Mistake, popular_run: Path, tmp_path: Path) -> None:
    def told_with(name: str, content: bytes) -> str:
        run = tmp_path / "run"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(popular_run, run)
        (run / name).write_bytes(content)
        return mistake("evaluate", run)

    assert "data.json is damaged" in told_with("data.json", b'{"source"')
    assert "data.json is damaged" in told_with("data.json", b"[]")
    assert "config.yaml was changed" in told_with("config.yaml", b"recommender: [")
    assert "popular.safetensors was changed" in told_with("model/popular.safetensors", b"nonsense")
    assert "items.parquet was changed" in told_with("model/items.parquet", b"nonsense")
    assert "recommender.json is damaged" in told_with("model/recommender.json", b"{")
    other = json.dumps({"recommender": "gone", "titled": True, "config": {}}).encode()
    assert "of another run" in told_with("model/recommender.json", other)


def test_a_run_of_before_seals_with_damaged_files(
    mistake: Mistake, popular_run: Path, unsealed, tmp_path: Path
) -> None:
    def told_with(name: str, content: bytes) -> str:
        run = tmp_path / "run"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(popular_run, run)
        unsealed(run)
        (run / name).write_bytes(content)
        return mistake("evaluate", run)

    assert "config.yaml is damaged" in told_with("config.yaml", b"recommender: [")
    assert "popular.safetensors is damaged" in told_with("model/popular.safetensors", b"nonsense")
    assert "items.parquet is damaged" in told_with("model/items.parquet", b"nonsense")
    other = json.dumps({"recommender": "gone", "titled": True, "config": {}}).encode()
    assert "gone" in told_with("model/recommender.json", other)


def test_no_run_folder(mistake: Mistake, tmp_path: Path) -> None:
    assert "no run folder" in mistake("evaluate", tmp_path / "nowhere")
    assert "is not a run" in mistake("evaluate", tmp_path)


def test_a_checkpoint_that_is_not_a_decoder(mistake: Mistake, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, T5Config

    checkpoint = tmp_path / "t5"
    words = ("train", "genrec", f"backbone={checkpoint}", "--data", "synthetic", "--out", tmp_path / "run")
    checkpoint.mkdir()
    assert str(checkpoint) in mistake(*words)
    T5Config(d_model=8, num_layers=1, architectures=["T5ForConditionalGeneration"]).save_pretrained(
        checkpoint
    )
    bytewise = Tokenizer(models.BPE())
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bytewise.train_from_iterator([], trainers.BpeTrainer(initial_alphabet=alphabet, show_progress=False))
    PreTrainedTokenizerFast(tokenizer_object=bytewise, eos_token="</s>").save_pretrained(checkpoint)
    assert "decoder" in mistake(*words, "--resume")
