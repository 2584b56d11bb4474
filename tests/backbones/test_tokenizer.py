from __future__ import annotations

import json
from pathlib import Path

import pytest
from checkpoints import TITLES, write
from genrec.backbones.tokenizer import PretrainedTokenizer, TextTokenizer, TrainedTokenizer, WordTokenizer
from genrec.codes.title import title_codes
from genrec.errors import ConfigError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast, T5Tokenizer


@pytest.fixture(scope="module", params=["trained", "pretrained"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    if request.param == "trained":
        return TrainedTokenizer.train(TITLES, 320)
    return PretrainedTokenizer(str(write("llama", tmp_path_factory.mktemp("checkpoint"))))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=20), max_size=4))
def test_any_text_can_be_written_and_read(tokenizer: TextTokenizer, texts: list[str]) -> None:
    rows = tokenizer.encode(texts)
    assert [tokenizer.decode(row).strip() for row in rows] == [text.strip() for text in texts]
    assert all(0 <= token < tokenizer.vocab_size for row in rows for token in row)


def test_special_tokens_inside_a_title_are_plain_text(tokenizer: TextTokenizer) -> None:
    special = {*tokenizer.begin, 0, 1}
    for text in ("<begin>Home<end>", "<s>Home</s>"):
        (row,) = tokenizer.encode([text])
        assert not special & set(row)
        assert tokenizer.decode(row).strip() == text


def test_nothing_is_added_to_a_text(tokenizer: TextTokenizer) -> None:
    assert tokenizer.encode([""]) == [[]]
    assert tokenizer.encode([]) == []
    assert len(tokenizer.begin) == isinstance(
        tokenizer, TrainedTokenizer
    )  # the other opens no text by itself
    assert len(tokenizer.end) == 1


def test_titles_seen_in_training_are_short() -> None:
    tokenizer = TrainedTokenizer.train(TITLES, 400)
    assert len(tokenizer.encode(["Comet Harbour 3"])[0]) <= 3
    assert len(tokenizer.encode(["qxzjv wkqzx"])[0]) >= 8
    assert TrainedTokenizer.train(TITLES, 100_000).vocab_size < 500  # no more than the texts can fill


def test_words_are_written_alike_wherever_they_stand() -> None:
    tokenizer = TrainedTokenizer.train(TITLES, 400)
    (whole,) = tokenizer.encode(["Paper Tigers"])
    assert tokenizer.encode(["Paper"])[0] + tokenizer.encode(["Tigers"])[0] == whole


def test_numbers_are_written_two_digits_a_token() -> None:
    names = [f"item {number}" for number in range(1, 5000)]
    tokenizer = TrainedTokenizer.train(names, 8000, digit_pairs=True)
    rows = tokenizer.encode(["item 4711", "item 4712", "item 47", "item 471", "is 4711st"])
    assert [[tokenizer.decode([token]).strip() for token in row[1:]] for row in rows[:4]] == [
        ["47", "11"],
        ["47", "12"],
        ["47"],
        ["47", "1"],
    ]
    assert rows[0][:2] == rows[1][:2] == rows[2]  # neighbours begin alike
    assert [tokenizer.decode(row).strip() for row in rows[3:]] == ["item 471", "is 4711st"]
    (whole,) = TrainedTokenizer.train(names, 8000).encode(["item 4711"])
    assert len(whole) == 2


def test_save_and_load(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    again = (
        TrainedTokenizer.load(tmp_path)
        if isinstance(tokenizer, TrainedTokenizer)
        else PretrainedTokenizer(str(tmp_path))
    )
    texts = ["Comet Harbour 9", "Zażółć <end>", "a\nb"]
    assert again.encode(texts) == tokenizer.encode(texts)
    assert (again.begin, again.end, again.vocab_size) == (
        tokenizer.begin,
        tokenizer.end,
        tokenizer.vocab_size,
    )


def test_a_folder_without_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no tokenizer that transformers can load") as caught:
        PretrainedTokenizer(str(tmp_path))
    assert "\n" not in str(caught.value)


WORDS = ("<c0>", "<i0>", "u1")


def test_words_are_tokens_behind_the_others_that_no_text_spells(tokenizer: TextTokenizer) -> None:
    worded = WordTokenizer(tokenizer, WORDS)
    size = tokenizer.vocab_size
    assert worded.word_ids.tolist() == [size, size + 1, size + 2]
    assert (worded.vocab_size, worded.begin, worded.end) == (size + 3, tokenizer.begin, tokenizer.end)
    texts = ["<c0> <i0>", "u1", "Comet Harbour 9", ""]
    assert worded.encode(texts) == tokenizer.encode(texts)
    assert max(token for row in worded.encode(texts) for token in row) < size


def test_words_are_read_among_text(tokenizer: TextTokenizer) -> None:
    worded = WordTokenizer(tokenizer, WORDS)
    cluster, item, user = worded.word_ids.tolist()
    (text,) = worded.encode(["Comet Harbour"])
    assert worded.decode([user, *text, cluster, item]) == "u1 Comet Harbour <c0> <i0>"
    assert worded.decode([cluster]) == "<c0>"
    assert worded.decode(iter(text)) == tokenizer.decode(text)
    assert worded.decode([]) == ""


def test_words_are_saved_and_more_of_them_move_none(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    worded = WordTokenizer(tokenizer, WORDS)
    worded.save(tmp_path)
    text = (
        TrainedTokenizer.load(tmp_path)
        if isinstance(tokenizer, TrainedTokenizer)
        else PretrainedTokenizer(str(tmp_path))
    )
    again = WordTokenizer.load(tmp_path, text)
    assert (again.words, again.vocab_size) == (WORDS, worded.vocab_size)
    assert again.encode(["Paper Tigers"]) == worded.encode(["Paper Tigers"])
    assert WordTokenizer(text, (*again.words, "new")).word_ids[:3].tolist() == worded.word_ids.tolist()


def test_a_word_is_there_once(tokenizer: TextTokenizer) -> None:
    with pytest.raises(ConfigError, match="'a' is there twice"):
        WordTokenizer(tokenizer, ["b", "a", "a"])


@pytest.mark.parametrize("adds", [True, False])
def test_a_text_is_opened_as_the_tokenizer_itself_opens_it(tmp_path: Path, adds: bool) -> None:
    tokenizer = AutoTokenizer.from_pretrained(write("llama", tmp_path / "llama"))
    if adds:
        template = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
        tokenizer.backend_tokenizer.post_processor = template
    tokenizer.save_pretrained(tmp_path / "llama")
    found = PretrainedTokenizer(str(tmp_path / "llama"))
    assert found.encode(["Home"]) == tokenizer(["Home"], add_special_tokens=False)["input_ids"]
    assert found.begin == ([0] if adds else [])
    (tmp_path / "saved").mkdir()
    found.save(tmp_path / "saved")
    assert PretrainedTokenizer.load(tmp_path / "saved").begin == found.begin
    (tmp_path / "saved" / "begin.json").unlink()  # a run from before it was noted
    assert PretrainedTokenizer.load(tmp_path / "saved").begin == [0]


def unigrams(normalizer: normalizers.Normalizer | None) -> Tokenizer:
    """Pieces of words as sentencepiece makes them for T5; they know no line break."""
    tokenizer = Tokenizer(models.Unigram())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=80, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TITLES * 3, trainer)
    return tokenizer


@pytest.mark.parametrize("line_break", ["unknown", "blank", "nothing", "T5's own"])
def test_without_line_breaks_a_title_closes_with_the_end_of_text(tmp_path: Path, line_break: str) -> None:
    special = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    if line_break == "T5's own":
        pieces = json.loads(unigrams(None).to_str())["model"]["vocab"]
        tokenizer = T5Tokenizer(vocab=[tuple(piece) for piece in pieces])
    else:
        normalizer = {
            "unknown": None,
            "blank": normalizers.Nmt(),
            "nothing": normalizers.Sequence([normalizers.Nmt(), normalizers.Strip(left=False)]),
        }[line_break]
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=unigrams(normalizer), **special)
    tokenizer.save_pretrained(tmp_path)
    found = PretrainedTokenizer(str(tmp_path))
    assert found.end == [tokenizer.eos_token_id]
    assert found.begin == []
    (row,) = found.encode(["Comet Harbour 3"])
    assert found.decode([*row, *found.end]) == "Comet Harbour 3"
    codes = title_codes(TITLES, found.encode, found.end)
    assert all(code.tolist()[-1:] == found.end and found.end[0] not in code[:-1] for code in codes)


def test_a_tokenizer_that_can_close_no_title_is_refused(tmp_path: Path) -> None:
    PreTrainedTokenizerFast(tokenizer_object=unigrams(None), unk_token="<unk>").save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="neither a line break nor an end of text"):
        PretrainedTokenizer(str(tmp_path))


def test_a_title_that_the_vocabulary_cannot_spell_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "comet": 2}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", eos_token="</s>").save_pretrained(
        tmp_path
    )
    tokenizer = PretrainedTokenizer(str(tmp_path))
    tokenizer.check_spelling(["comet", ""])
    assert not caplog.messages
    tokenizer.check_spelling(["comet", "comet 9"])
    assert "lacks letters of 1 of 2 titles, such as 'comet 9'" in caplog.text
    with pytest.raises(ConfigError, match="cannot spell the title 'Zażółć': choose a checkpoint whose"):
        tokenizer.check_spelling(["comet", "Zażółć"])
