"""Chat models behind an endpoint that speaks OpenAI's chat protocol, as most servers of models do.

Protocol: https://platform.openai.com/docs/api-reference/chat. Only the model and one message are sent: these every
server takes, while sampling options differ between models.
"""

from __future__ import annotations

import datetime
import email.utils
import http.client
import json
import math
import os
import random
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from genrec import __version__
from genrec.errors import ChatError, ConfigError, one_line

URL, KEY, MODEL = "GENREC_CHAT_URL", "GENREC_CHAT_KEY", "GENREC_CHAT_MODEL"

_PATH = "/chat/completions"
_FIRST_WAIT_S = 1.0  # doubles with each attempt
_LONGEST_ANSWER = 10_000_000  # bytes
_LONGEST_WAIT_S = 120.0  # who is told to wait longer comes back another time


class EndpointChat:
    """A chat model that answers over HTTP. `name` is the model's; `answer` may be called from several threads.

    A time-out, a broken connection and the answers 429 and 5xx are tried again, after 1 s, 2 s, 4 s, ... (each times a
    random number in 0.5..1.5, so that many who were refused at once do not come back at once), or after what the
    server's Retry-After asks for, if that is longer. The key goes to the given address only: redirections are not
    followed, and no message shows it.
    """

    def __init__(
        self,
        url: str,
        model: str,
        key: str = "",
        *,
        timeout_s: float = 60.0,
        attempts: int = 5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Name an endpoint; nothing is sent yet.

        Args:
            url: with or without `/chat/completions` at its end, such as `http://localhost:8000/v1`.
            model: name that the endpoint knows the model by.
            key: sent as a bearer token; "": none is.
            timeout_s: seconds for the connection, for each wait for bytes of the answer, and from its first byte to its
                last.
            attempts: how often a question is put before it fails.
            sleep: what waits so many seconds between attempts.

        Raises:
            ConfigError: the URL is none of HTTP or has a password in it, or the key cannot stand in a header.
        """
        parts = _parted(url)
        if not (key.isascii() and key.isprintable()):
            raise ConfigError(f"{KEY} holds a character that no key has: copy the key again, without breaks")
        path = parts.path.rstrip("/").removesuffix(_PATH) + _PATH
        self._address = parts._replace(path=path, fragment="").geturl()
        # What messages show: a query may hold a key.
        self.url = parts._replace(path=path, query="", fragment="").geturl()
        self.name, self.timeout_s, self.attempts = model, timeout_s, attempts
        self._key, self._sleep = key, sleep
        self._jitter = random.Random()  # the shared generator stays as its user seeded it
        self._opener = urllib.request.build_opener(_NoRedirection())

    @classmethod
    def from_environment(cls) -> EndpointChat:
        """The endpoint that GENREC_CHAT_URL, GENREC_CHAT_MODEL and, where one is needed, GENREC_CHAT_KEY name.

        Raises:
            ConfigError: the address or the model is not set.
        """
        missing = [name for name in (URL, MODEL) if not os.environ.get(name)]
        if missing:
            raise ConfigError(
                f"the environment does not set {' and '.join(missing)}: a chat endpoint needs {URL} (such as "
                f"http://localhost:8000/v1), {MODEL} and, if it asks for one, {KEY}"
            )
        return cls(os.environ[URL], os.environ[MODEL], os.environ.get(KEY, "").strip())

    def answer(self, prompt: str) -> str:
        """What the model says to `prompt`; "" where it says nothing in words.

        Raises:
            ChatError: the endpoint refuses, speaks another protocol, or gave no answer in all attempts.
        """
        for attempt in range(1, self.attempts + 1):
            asked_for_s = 0.0
            try:
                return self._once(prompt)
            except urllib.error.HTTPError as error:
                problem = self._described(error)
                if error.code != 429 and error.code < 500:
                    raise ChatError(
                        f"{self.url} refused the question ({problem}): check {URL}, {KEY} and {MODEL}={self.name}"
                    ) from None
                asked_for_s = _retry_after_s(error.headers.get("Retry-After"))
            except TimeoutError:
                problem = f"no whole answer came in {self.timeout_s:g} s"
            except (OSError, http.client.HTTPException, UnicodeError) as error:  # the last: no such host
                reason = getattr(error, "reason", error)
                slow = isinstance(reason, TimeoutError)
                problem = f"no connection in {self.timeout_s:g} s" if slow else str(reason) or repr(reason)
            if asked_for_s > _LONGEST_WAIT_S:
                raise ChatError(
                    f"{self.url} asks to wait {asked_for_s:.0f} s ({problem}): go on after that time"
                )
            if attempt < self.attempts:
                backoff_s = _FIRST_WAIT_S * 2 ** (attempt - 1) * self._jitter.uniform(0.5, 1.5)
                self._sleep(max(min(backoff_s, _LONGEST_WAIT_S), asked_for_s))
        raise ChatError(
            f"{self.url} gave no answer in {self.attempts} attempts (the last: {problem}): see that it runs and that "
            f"{URL} is right, then go on"
        )

    def _once(self, prompt: str) -> str:
        question = {"model": self.name, "messages": [{"role": "user", "content": prompt}]}
        headers = {"Content-Type": "application/json", "User-Agent": f"genrec/{__version__}"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self._address, json.dumps(question).encode(), headers, method="POST")
        with self._opener.open(request, timeout=self.timeout_s) as response:
            content = self._content(response)
        try:
            said = json.loads(content)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            said = content
        if not isinstance(said, str | None):
            start = self._hidden(content[:80].decode("utf-8", "replace"))
            raise ChatError(
                f"{self.url} answered {start!r}, which is no chat completion: check that {URL} is an "
                "OpenAI-compatible address, often one that ends in /v1"
            )
        return said or ""

    def _content(self, response: http.client.HTTPResponse) -> bytes:
        """All that comes; a limit on each wait alone is none for a server that sends a byte now and then."""
        content, until = bytearray(), math.inf
        while chunk := response.read1(1 << 16):
            content += chunk
            until = min(until, time.monotonic() + self.timeout_s)
            if time.monotonic() > until:
                raise TimeoutError
            if len(content) > _LONGEST_ANSWER:
                raise ChatError(
                    f"{self.url} answered more than {_LONGEST_ANSWER:,} bytes, which is no chat completion: check {URL}"
                )
        if response.length:  # bytes that were promised and did not come
            raise http.client.IncompleteRead(bytes(content), response.length)
        return bytes(content)

    def _described(self, error: urllib.error.HTTPError) -> str:
        """An HTTP error with the beginning of what the server says of it."""
        try:
            body = error.read(2000).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            body = ""
        finally:
            error.close()
        try:
            said: Any = json.loads(body)["error"]
            body = said["message"] if isinstance(said, dict) else str(said)
        except (ValueError, LookupError, TypeError, RecursionError):
            body = "" if body.lstrip().startswith("<") else body  # a page for browsers
        detail = one_line(self._hidden(str(body)))
        return f"HTTP {error.code} {error.reason}" + (f": {detail}" if detail else "")

    def _hidden(self, text: str) -> str:
        return text.replace(self._key, "…") if self._key else text


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """Makes a redirection an error: following it would take the key along to wherever it leads."""

    def redirect_request(self, *args: Any) -> None:
        return None


def _parted(url: str) -> SplitResult:
    """The parts of an address; the message does not show it, as it may hold a password."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username is not None or not re.fullmatch(r"[!-~]+", url):
        raise ConfigError(
            f"{URL} is no http:// or https:// address without a user in it: give one such as "
            f"http://localhost:8000/v1, and the key in {KEY}"
        )
    return parts


def _retry_after_s(value: str | None) -> float:
    """Seconds that a Retry-After header asks for, as a number or a date; 0 without one."""
    if value is None:
        return 0.0
    try:
        if value.strip().isdigit():
            return float(value)
        until = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=datetime.UTC)
    return max(0.0, (until - datetime.datetime.now(datetime.UTC)).total_seconds())
