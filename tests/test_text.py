"""Texts of users: whatever a name holds, it is shown as text."""

import json
import unicodedata
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from hostile import NAMES
from hypothesis import given
from hypothesis import strategies as st

from autograd_mini.text import clean, for_dot, for_latex, for_script, for_xml

ANY = st.text(st.characters(exclude_categories=[]))  # surrogates, too


def test_there_are_25_hostile_names():
    assert len({*NAMES}) == 25


@pytest.mark.parametrize("name", NAMES, ids=range(25))
def test_a_clean_name_can_be_written_and_shown_on_one_line(name):
    text = clean(name)
    text.encode()
    assert len(text) <= 200
    assert len(text.splitlines()) == 1
    assert not {unicodedata.category(c) for c in text} & {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}


@given(ANY)
def test_cleaning_twice_is_cleaning_once(name):
    assert clean(clean(name)) == clean(name)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Mn", "Co"])))
def test_letters_digits_and_signs_stay_as_they_are(name):
    assert clean(name) == name


def test_what_cannot_be_shown_is_replaced():
    assert clean("a\x00\x1b\x7f\x85\ufeff\u202e\ufffe\ud800\U0010ffffb") == "a" + 9 * "\ufffd" + "b"
    assert clean("a\nb\tc\r\nd\u2028e\u2029f") == "a b c  d e f"


def test_a_long_text_is_cut_with_an_ellipsis():
    assert clean("x" * 200) == "x" * 200
    assert clean("x" * 201) == "x" * 199 + "…"
    assert clean("abcdef", longest=3) == "ab…"
    assert clean("abc", longest=3) == "abc"


@given(ANY)
def test_xml_gives_back_what_was_written(name):
    text = clean(name)
    element = ET.fromstring(f"<a b=\"{for_xml(text)}\" c='{for_xml(text)}'>{for_xml(text)}</a>")
    assert (element.text or "") == text
    assert element.get("b") == element.get("c") == text
    assert len(element) == 0


@pytest.mark.parametrize("name", NAMES, ids=range(25))
def test_a_script_element_is_ended_by_no_name(name):
    page = f"<script>{for_script(json.dumps({name: [clean(name)]}, ensure_ascii=False))}</script>"
    tags, data = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)

        def handle_data(self, text):
            data.append(text)

    Reader().feed(page)
    assert tags == ["script"]
    assert json.loads("".join(data)) == {name: [clean(name)]}
    assert not {*"".join(data)} & {*"<>&\u2028\u2029"}


@given(ANY)
def test_a_quoted_string_of_dot_is_ended_by_no_name(name):
    written = for_dot(clean(name))
    bare = written.replace("\\\\", "").replace('\\"', "")
    assert not {*bare} & {*'"\\<'}
    assert "&" not in bare.replace("&amp;", "").replace("&lt;", "")


@given(ANY)
def test_latex_has_no_command_but_those_of_the_escapes(name):
    written = for_latex(clean(name))
    for escape in ("backslash", "asciitilde", "asciicircum", "less", "greater"):
        written = written.replace(f"\\text{escape}{{}}", "")
    for sign in "#$%&_{}":
        written = written.replace(f"\\{sign}", "")
    assert not {*written} & {*"\\#$%&_{}~^<>"}
