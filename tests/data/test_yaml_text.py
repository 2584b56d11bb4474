from __future__ import annotations

import math
import time
from typing import Any

import pytest
import yaml
from genrec.data.yaml_text import MOST_DEEP, YamlError, dump_yaml, parse_yaml
from hypothesis import example, given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:30:45", "12:30:45"),
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("1e-3", 1e-3),
        ("1e3", 1000.0),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("2024-01-02", "2024-01-02"),
        ("=", "="),
        ("<<", "<<"),
        ("~", None),
        ("", None),
        ("# nothing", None),
        ("TRUE", True),
        (".5", 0.5),
        ("1.", 1.0),
        ("+1", 1),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("nan", "nan"),
        ("'1'", "1"),
        ("|\n a\n b", "a\nb"),
        ("\ufeffa: 1", {"a": 1}),
        ('{"a":[1,{"b":null}]}', {"a": [1, {"b": None}]}),
        ("1: true\ntrue: 1", {"1": True, "true": 1}),
        ("{<<: {a: 1}, b: 2}", {"<<": {"a": 1}, "b": 2}),
    ],
)
def test_plain_values_are_those_of_version_1_2(text: str, value: Any) -> None:
    found = parse_yaml(text)
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_read_as_such() -> None:
    assert math.isnan(parse_yaml(".nan"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: [1,", "line 2: .*expected the node content"),
        ("a: 1\na: 2", "line 2: the key 'a' stands there twice"),
        ("&a [1]", "anchors"),
        ("*a", "aliases"),
        ("!!python/object:os.system x", "tags"),
        ("!!binary aGk=", "tags"),
        ("%YAML 1.1\n---\non", "directives"),
        ("--- 1\n--- 2", "second document"),
        ("{[1]: 2}", "keys are text"),
        ("\ta: 1", "cannot start any token"),
        ("a\0b", "unacceptable character"),
        ("\ud800", "unacceptable character"),
        ("9" * 5000, "5,000 digits"),
        ("[" * 100_000, "inside one another"),
        ("- " * 100_000, "inside one another"),
    ],
)
def test_more_than_plain_values_is_refused_in_one_short_line(text: str, told: str) -> None:
    with pytest.raises(YamlError, match=told) as caught:
        parse_yaml(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_few_lines_cannot_unfold_to_gigabytes() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    start = time.perf_counter()
    with pytest.raises(YamlError, match="anchors"):
        parse_yaml("\n".join(lines))
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("text", ["#b", "8000 # words", "[1] #"])
def test_where_comments_have_no_place_nothing_is_cut_off(text: str) -> None:
    parse_yaml(text)
    with pytest.raises(YamlError, match="comment"):
        parse_yaml(text, comments=False)


def test_a_number_sign_inside_a_text_is_no_comment() -> None:
    for text in ("C#", "'a #b'", "a#b"):
        assert parse_yaml(text, comments=False) == text.strip("'")


def test_lists_inside_one_another_up_to_the_limit() -> None:
    parse_yaml("[" * (MOST_DEEP - 1) + "]" * (MOST_DEEP - 1))


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=20)
    | st.from_regex(r"[-+0-9eE_.:oxbinfa~]{1,8}", fullmatch=True)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(values)
@example("a\x85b")
@example({"\u2028": "1e-3"})
def test_what_is_written_is_read_as_the_same_by_both_versions(value: Any) -> None:
    text = dump_yaml(value)
    assert parse_yaml(text) == value
    assert yaml.safe_load(text) == value
