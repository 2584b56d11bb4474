"""A chat endpoint on this machine that answers as the address says: `http://127.0.0.1:PORT/HOW/v1`."""

from __future__ import annotations

import atexit
import json
from contextlib import ExitStack
from functools import cache
from http.server import BaseHTTPRequestHandler

from local_server import listening


def _said(text: object) -> tuple[int, bytes]:
    return 200, json.dumps({"choices": [{"message": {"content": text}}]}).encode()


_PROFILE = '{"keywords": [{"keyword": "strings", "titles": ["strings number 0", "strings number 4"]}]}'
ANSWERS = {  # answers in words, of which those that are no profile fall back to the items' attributes
    "good": _said(_PROFILE),
    "thinking": _said(f"<think>{'hm ' * 50}</think> Here: {_PROFILE} Bye."),
    "words": _said("I would rather not say."),
    "nothing": _said(None),
    "other-json": _said('{"keywords": "strings"}'),
    "odd-words": _said('{"keywords": [{"keyword": "\\u001b[2J\\u0000", "titles": ["strings number 0"]}]}'),
    "nested": _said("[" * 50_000),
}
REFUSALS = {  # what no chat model says
    "page": (200, b"<html>Welcome</html>"),
    "empty": (200, b""),
    "list": (200, b"[]"),
    "deep": (200, b"[" * 100_000),
    "number": _said(5),
    "no-text": (200, b"\xff\xfe\x00"),
    "forbidden": (403, b'{"error": {"message": "no \x1b[31mkey"}}'),
    "missing": (404, b"<html>" * 1000),
    "busy": (503, b""),
    "broken": (500, json.dumps({"error": "x" * 100_000}).encode()),
    "moved": (302, b""),
    "gone": (0, b""),  # the connection is closed
}


_OPEN = ExitStack()
atexit.register(_OPEN.close)


def _answer(request: BaseHTTPRequestHandler) -> None:
    request.rfile.read(int(request.headers.get("Content-Length", 0)))
    code, content = (ANSWERS | REFUSALS)[request.path.split("/")[1]]
    if not code:
        return
    request.send_response(code)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


@cache
def address() -> str:
    """Where the server listens; it is started at the first call and ends with this process."""
    return _OPEN.enter_context(listening(_answer))
