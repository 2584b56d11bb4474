"""The one line of an error, whatever it has to repeat."""

from __future__ import annotations

import pytest
from genrec.cli.terminal import LONGEST_LINE, error_line, message_line
from hypothesis import given
from hypothesis import strategies as st


def test_a_long_message_loses_its_middle() -> None:
    told = message_line(f"there is no column {'x' * 100_000}: name it with --column")
    assert len(told) == LONGEST_LINE
    assert told.startswith("there is no column xxx")
    assert told.endswith("xxx: name it with --column")
    assert " … " in told
    whole = "x" * LONGEST_LINE
    assert message_line(whole) == whole


def test_what_would_move_the_cursor_is_spelled_out() -> None:
    assert message_line("a\x1b[2Jb\x07c\x00d\udcffe") == "a\\x1b[2Jb\\x07c\\x00d\\udcffe"
    assert message_line("first\nsecond\r\nthird\u2028fourth") == "first second third fourth"
    assert message_line("Zażółć 漢字 👩‍💻") == "Zażółć 漢字 👩‍💻"


@given(st.text(max_size=2000))
def test_any_message_is_one_line(message: str) -> None:
    told = message_line(message)
    assert len(told) <= LONGEST_LINE
    assert len(told.splitlines()) <= 1
    told.encode()  # no lone surrogates


def test_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    error_line("option [bold]x[/bold] of [link=y]")
    assert capsys.readouterr().err == "genrec: error: option [bold]x[/bold] of [link=y]\n"
