"""The chat endpoint against a server on this machine that misbehaves in the ways real ones do."""

from __future__ import annotations

import datetime
import email.utils
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from genrec.errors import ChatError, ConfigError
from genrec.prompts.profiles import AttributeProfiles
from genrec.recommenders.palr.chat import open_chat
from genrec.recommenders.palr.endpoint import EndpointChat
from genrec.recommenders.palr.llm_profiles import LLMProfiles
from genrec.testing import catalogue

from local_server import listening

KEY = "sk-very-secret"
Reply = tuple[int, bytes, dict[str, str]]


def said(text: str | None) -> Reply:
    return 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode(), {}


def failed(code: int, body: bytes = b"", **headers: str) -> Reply:
    return code, body, {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass
class Server:
    """What the server answers next (the last answer again and again), and what it was sent."""

    url: str = ""
    replies: list[Reply | None] = field(default_factory=list)  # None: it stalls
    pause_s: float = 0.0  # between two bytes of an answer
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.requests.append((request.path, dict(request.headers), json.loads(body or b"null")))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if reply is None:
            self.released.wait(10)
            return
        code, content, headers = reply
        request.send_response(code)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            request.send_header(name, value)
        request.end_headers()
        step = 1 if self.pause_s else len(content) or 1
        for start in range(0, len(content), step):
            request.wfile.write(content[start : start + step])
            if self.pause_s and self.released.wait(self.pause_s):
                return


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with listening(server.handle) as address:
        server.url = f"{address}/v1"
        yield server
        server.released.set()


@pytest.fixture
def waits() -> list[float]:
    """Seconds that were waited between attempts."""
    return []


@pytest.fixture
def chat(server: Server, waits: list[float]) -> EndpointChat:
    return EndpointChat(server.url, "small-talker", KEY, timeout_s=5, attempts=4, sleep=waits.append)


def test_a_question_is_answered(server: Server, chat: EndpointChat, waits: list[float]) -> None:
    server.replies = [said("Spaß 🚀")]
    assert chat.answer("Was macht\nFreude?") == "Spaß 🚀"
    ((path, headers, body),) = server.requests
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/json"
    assert body == {"model": "small-talker", "messages": [{"role": "user", "content": "Was macht\nFreude?"}]}
    assert chat.name == "small-talker"
    assert not waits


def test_a_whole_address_is_taken_and_no_key_is_sent_where_there_is_none(server: Server) -> None:
    server.replies = [said("yes")]
    assert EndpointChat(server.url + "/chat/completions/", "m").answer("?") == "yes"
    ((path, headers, _),) = server.requests
    assert path == "/v1/chat/completions"
    assert "Authorization" not in headers


def test_no_words_are_an_empty_answer(server: Server, chat: EndpointChat) -> None:
    server.replies = [said(None)]
    assert chat.answer("?") == ""


def test_it_recovers_after_failures_with_growing_waits(
    server: Server, chat: EndpointChat, waits: list[float]
) -> None:
    server.replies = [failed(500), failed(429), failed(503), said("there")]
    assert chat.answer("?") == "there"
    assert len(server.requests) == 4
    assert all(low <= wait <= 3 * low for low, wait in zip([0.5, 1, 2], waits, strict=True))
    others: list[float] = []
    server.replies = [failed(500), failed(429), failed(503), said("there")]
    EndpointChat(server.url, "m", attempts=4, sleep=others.append).answer("?")
    assert others != waits  # jitter


def test_after_all_attempts_it_says_what_was_tried(
    server: Server, chat: EndpointChat, waits: list[float]
) -> None:
    server.replies = [failed(502, b"<html>Bad gateway</html>")]
    with pytest.raises(ChatError) as caught:
        chat.answer("?")
    message = str(caught.value)
    assert (
        f"{server.url}/chat/completions gave no answer in 4 attempts (the last: HTTP 502 Bad Gateway)"
        in message
    )
    assert "GENREC_CHAT_URL" in message
    assert len(server.requests) == 4
    assert len(waits) == 3


def test_retry_after_is_honoured_in_seconds_and_as_a_date(
    server: Server, chat: EndpointChat, waits: list[float]
) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
    server.replies = [
        failed(429, Retry_After="17"),
        failed(503, Retry_After=email.utils.format_datetime(soon, usegmt=True)),
        failed(503, Retry_After="soon"),
        said("there"),
    ]
    assert chat.answer("?") == "there"
    assert waits[0] == 17
    assert 40 < waits[1] <= 60
    assert waits[2] <= 6


def test_it_does_not_wait_for_hours(server: Server, chat: EndpointChat, waits: list[float]) -> None:
    server.replies = [failed(429, Retry_After="7200")]
    with pytest.raises(ChatError, match=r"asks to wait 7200 s \(HTTP 429"):
        chat.answer("?")
    assert not waits


@pytest.mark.parametrize("code", [400, 401, 403, 404])
def test_other_refusals_are_not_repeated(
    server: Server, chat: EndpointChat, waits: list[float], code: int
) -> None:
    server.replies = [failed(code, json.dumps({"error": {"message": f"bad key {KEY}\nno luck"}}).encode())]
    with pytest.raises(ChatError) as caught:
        chat.answer("?")
    message = str(caught.value)
    assert f"HTTP {code}" in message
    assert "bad key … no luck" in message  # what the server says, without the key
    assert KEY not in message
    assert "GENREC_CHAT_KEY" in message
    assert len(server.requests) == 1
    assert not waits


def test_a_server_that_stalls_is_left(server: Server, waits: list[float]) -> None:
    server.replies = [None, said("awake")]
    assert EndpointChat(server.url, "m", timeout_s=1.5, sleep=waits.append).answer("?") == "awake"
    assert len(waits) == 1
    server.replies = [None]
    chat = EndpointChat(server.url, "m", timeout_s=0.2, attempts=2, sleep=waits.append)
    with pytest.raises(
        ChatError, match=r"no answer in 2 attempts \(the last: no whole answer came in 0.2 s\)"
    ):
        chat.answer("?")


def test_a_server_that_drips_is_left(server: Server, waits: list[float]) -> None:
    server.replies, server.pause_s = [said("drop by drop " * 10)], 0.05
    chat = EndpointChat(server.url, "m", timeout_s=0.5, attempts=2, sleep=waits.append)
    with pytest.raises(
        ChatError, match=r"no answer in 2 attempts \(the last: no whole answer came in 0.5 s\)"
    ):
        chat.answer("?")


def test_an_answer_without_end_is_left(server: Server, chat: EndpointChat) -> None:
    server.replies = [(200, b" " * 10_000_001, {})]
    with pytest.raises(ChatError, match="more than 10,000,000 bytes"):
        chat.answer("?")


def test_an_answer_that_breaks_off_is_asked_for_again(server: Server, chat: EndpointChat) -> None:
    code, body, _ = said("whole")
    server.replies = [(code, body[:10], {"Content-Length": str(len(body))}), said("whole")]
    assert chat.answer("?") == "whole"
    assert len(server.requests) == 2


def test_a_server_that_is_down_is_named(waits: list[float]) -> None:
    with socket.socket() as taken:  # bound but not listening: nothing answers at this port
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(
            ChatError, match=rf"{url}/chat/completions gave no answer in 3 attempts .*refused"
        ):
            EndpointChat(url, "m", KEY, attempts=3, sleep=waits.append).answer("?")
    assert len(waits) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Welcome</html>",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": [1]}}]}',
    ],
)
def test_what_speaks_another_protocol_is_named(
    server: Server, chat: EndpointChat, waits: list[float], body: bytes
) -> None:
    server.replies = [(200, body, {})]
    with pytest.raises(ChatError, match="no chat completion: check that GENREC_CHAT_URL"):
        chat.answer("?")
    assert len(server.requests) == 1


def test_the_key_follows_no_redirection(server: Server, chat: EndpointChat) -> None:
    server.replies = [failed(302, Location=server.url + "/elsewhere"), said("caught")]
    with pytest.raises(ChatError, match="HTTP 302"):
        chat.answer("?")
    assert len(server.requests) == 1


def test_the_environment_names_the_endpoint(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "KEY", "MODEL"):
        monkeypatch.delenv(f"GENREC_CHAT_{name}", raising=False)
    with pytest.raises(ConfigError, match="does not set GENREC_CHAT_URL and GENREC_CHAT_MODEL"):
        open_chat("endpoint")
    monkeypatch.setenv("GENREC_CHAT_URL", server.url)
    monkeypatch.setenv("GENREC_CHAT_MODEL", "small-talker")
    monkeypatch.setenv("GENREC_CHAT_KEY", KEY + "\n")
    server.replies = [said("hello")]
    chat = open_chat("endpoint")
    assert isinstance(chat, EndpointChat)
    assert chat.answer("?") == "hello"
    assert server.requests[0][1]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(chat)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "file:///etc",
        "http://",
        "http://a:port/v1",
        "http://[::1/v1",
        "http://a b/v1",
        "http://ü.de",
    ],
)
def test_addresses_that_cannot_be_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="GENREC_CHAT_URL is no http"):
        EndpointChat(url, "m")


def test_secrets_are_not_shown(server: Server) -> None:
    with pytest.raises(ConfigError) as caught:
        EndpointChat("http://me:secret@localhost/v1", "m")
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="GENREC_CHAT_KEY holds a character") as caught:
        EndpointChat(server.url, "m", "sec\nret")
    assert "sec" not in str(caught.value)
    server.replies = [failed(404)]
    with pytest.raises(ChatError) as failure:
        EndpointChat(server.url + "?token=secret", "m").answer("?")
    assert "secret" not in str(failure.value)
    assert server.requests[0][0] == "/v1/chat/completions?token=secret"


def test_a_host_that_cannot_be_is_named(waits: list[float]) -> None:
    with pytest.raises(ChatError, match="gave no answer in 2 attempts"):
        EndpointChat("http://a..b/v1", "m", attempts=2, sleep=waits.append).answer("?")


@pytest.mark.parametrize(
    ("text", "profile", "fallbacks"),
    [
        ('{"keywords": [{"keyword": "far worlds", "titles": ["Orbit"]}]}', ["far worlds"], 0),
        ("I would say: space!", ["Space"], 1),
        ('{"answer": ["space"]}', ["Space"], 1),
        ('{"keywords": [{"keyword": "far worlds", "titles": ["Solaris"]}]}', ["Space"], 1),
        (None, ["Space"], 1),
    ],
)
def test_profiles_come_through_the_endpoint(
    server: Server,
    chat: EndpointChat,
    tmp_path: Path,
    text: str | None,
    profile: list[str],
    fallbacks: int,
) -> None:
    titles, genres = ["Nebula", "Orbit", "Lake", "Pond"], [["Space"], ["Space"], ["Calm"], ["Calm"]]
    server.replies = [failed(500), said(text)]
    profiles = LLMProfiles(chat, AttributeProfiles(catalogue(titles, genres=genres)), tmp_path)

    def found() -> list[str]:
        return [keyword.word for keyword in profiles.of(np.array([0, 1]))]

    assert found() == found() == profile
    assert len(server.requests) == 2  # the failure and the answer; then the cache
    assert (profiles.counts.asked, profiles.counts.cached) == (1, 1)
    assert profiles.counts.fallbacks == 2 * fallbacks
    assert KEY not in "".join(path.read_text() for path in tmp_path.iterdir())
