"""Local chat models, on random checkpoints made on the spot."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from checkpoints import write
from genrec.errors import ChatError, ConfigError
from genrec.recommenders.palr.chat import LocalChat, goes_in_circles, open_chat

TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write("llama", tmp_path_factory.mktemp("chat") / "llama")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


def test_it_writes_the_likeliest_tokens_after_the_template(checkpoint: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint)
    tokens = tokenizer("<s>user: Home?</s><s>assistant: ", return_tensors="pt", add_special_tokens=False)[
        "input_ids"
    ]
    start = tokens.shape[1]
    with torch.no_grad():
        for _ in range(6):
            tokens = torch.cat([tokens, model(tokens).logits[:, -1:].argmax(-1)], dim=1)
    expected = tokenizer.decode(tokens[0, start:], skip_special_tokens=True)
    chat = LocalChat(str(checkpoint), max_new_tokens=6)
    assert chat.answer("Home?") == expected != ""
    assert chat.answer("Home?") == expected


def test_nothing_is_loaded_before_the_first_question(checkpoint: Path, tmp_path: Path) -> None:
    chat = open_chat(str(tmp_path / "nothing"))
    assert isinstance(chat, LocalChat)
    with pytest.raises(ConfigError, match=r"there is no folder or file '.*nothing'"):
        chat.answer("?")


def test_it_is_loaded_once(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    load = LocalChat._load
    monkeypatch.setattr(LocalChat, "_load", lambda chat: loads.append(chat) or load(chat))
    chat = LocalChat(str(checkpoint), max_new_tokens=2)
    chat.answer("a")
    chat.answer("b")
    assert len(loads) == 1


def test_an_answer_that_goes_in_circles_is_stopped(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    circles = "genrec.recommenders.palr.chat.goes_in_circles"
    monkeypatch.setattr(circles, lambda tokens: len(tokens) >= 6)
    text = LocalChat(str(checkpoint), max_new_tokens=40).answer("Home?")
    monkeypatch.setattr(circles, lambda tokens: False)
    assert text == LocalChat(str(checkpoint), max_new_tokens=6).answer("Home?")


@pytest.mark.parametrize(
    ("tokens", "circles"),
    [
        ([], False),
        ([7] * 23, False),
        ([7] * 24, True),
        ([1, 2, 3, 4, 5, 6] * 4, True),
        ([9, *([1, 2, 3, 4, 5, 6] * 4)], True),
        ([*([1, 2, 3, 4, 5, 6] * 4), 9], False),
        ([1, 2, 3, 4, 5, 6] * 3, False),
        ([*range(40)], False),
    ],
)
def test_circles(tokens: list[int], circles: bool) -> None:
    assert goes_in_circles(tokens) == circles


def test_its_name_is_the_same_from_everywhere(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkpoint.parent)
    assert LocalChat("llama").name == str(checkpoint.resolve())
    assert LocalChat("someone/model").name == "someone/model"


def test_a_question_that_does_not_fit_is_refused(checkpoint: Path) -> None:
    with pytest.raises(ChatError, match=r"the answer up to 64, and '.*llama' reads 96"):
        LocalChat(str(checkpoint), max_new_tokens=64).answer("Comet Harbour " * 20)


def test_a_tokenizer_without_a_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no chat template: give a model that was tuned to chat"):
        LocalChat(str(write("qwen2", tmp_path / "qwen2"))).answer("?")


def test_what_is_no_decoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be loaded"):
        LocalChat(str(write("t5", tmp_path / "t5"))).answer("?")
