"""Texts in two languages: catalogues read as Babel reads them, messages that keep template and values apart."""

import io
import time

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po as read_with_babel
from babel.messages.pofile import write_po
from hypothesis import given
from hypothesis import strategies as st

from core.i18n import Message, catalogue, msg, translate
from core.i18n.po import read_po

_texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), min_size=1, max_size=120)


@pytest.fixture
def chinese(monkeypatch):
    """Put entries of the test's own into the Chinese catalogue."""
    entries = {"table {table} has {n} rows": "表 {table} 有 {n} 行", "in {place}": "在{place}", "the cellar": "地下室"}
    monkeypatch.setattr(catalogue, "_catalogue", lambda language: entries if language == "zh" else {})


@given(st.dictionaries(_texts, _texts, max_size=5), st.sets(_texts, max_size=2))
def test_catalogues_are_read_as_babel_reads_them(translated, fuzzy):
    written = Catalog(locale="zh_CN")
    for source, translation in translated.items():
        written.add(source, translation, flags=["fuzzy"] if source in fuzzy else [], auto_comments=["a\nb"])
    file = io.BytesIO()
    write_po(file, written, width=60)
    expected = {
        entry.id: entry.string for entry in read_with_babel(io.BytesIO(file.getvalue())) if entry.id and not entry.fuzzy
    }
    assert read_po(file.getvalue().decode()) == expected


def test_fuzzy_obsolete_and_untranslated_entries_are_left_out():
    text = """
# comment
msgid ""
msgstr "Language: zh_CN\\n"

#: core/x.py:1
#, fuzzy, python-brace-format
msgid "guessed"
msgstr "猜的"

msgid "open"
msgstr ""
#~ msgid "old"
#~ msgstr "旧的"
#, python-brace-format
msgid ""
"kept "
"{n}"
msgstr ""
"留下 "
"{n}\\n\\"好\\" \\\\n"
"""
    assert read_po(text) == {"kept {n}": '留下 {n}\n"好" \\n'}


@pytest.mark.parametrize("line", ['msgctxt "menu"', 'msgid_plural "rows"', "loose words", '"without a keyword"'])
def test_what_is_not_understood_is_named(line):
    with pytest.raises(ValueError, match="line 2"):
        read_po(f'\n{line}\nmsgid "a"\nmsgstr "b"\n')


def test_the_first_translation_of_a_full_catalogue_takes_less_than_150_ms(tmp_path, monkeypatch):
    folder = tmp_path / "zh_CN"
    folder.mkdir()
    for number in range(10):
        catalogue_of_one = Catalog(locale="zh_CN")
        for entry in range(150):
            catalogue_of_one.add(f"text {number} {entry} of {{table}} has {{n}} rows " * 3, "{table} 有 {n} 行 " * 3)
        with (folder / f"package_{number}.po").open("wb") as file:
            write_po(file, catalogue_of_one)
    monkeypatch.setattr(catalogue, "_ROOT", tmp_path)
    seconds = []
    for _ in range(3):  # the machine is shared: the best of three
        catalogue._catalogue.cache_clear()
        start = time.thread_time()
        assert translate("text 9 149 of {table} has {n} rows " * 3, "zh") == "{table} 有 {n} 行 " * 3
        seconds.append(time.thread_time() - start)
    catalogue._catalogue.cache_clear()
    assert min(seconds) < 0.15


def test_a_message_is_the_sentence_of_the_readers_language(chinese):
    message = msg("table {table} has {n} rows", table="loan", n=3)
    assert message.text("en") == str(message) == "table loan has 3 rows"
    assert message.text("zh") == "表 loan 有 3 行"


def test_a_message_inside_a_message_is_translated_too(chinese):
    assert msg("in {place}", place=msg("the cellar")).text("zh") == "在地下室"


def test_what_has_no_translation_stays_english(chinese):
    assert msg("no such text {n}", n=1).text("zh") == "no such text 1"
    assert translate("no such text", "xx") == "no such text"


def test_a_value_with_braces_is_not_a_placeholder(chinese):
    assert msg("in {place}", place="{n}").text("zh") == "在{n}"


def test_a_message_comes_back_from_json_as_it_was(chinese):
    message = msg("in {place}", place=msg("table {table} has {n} rows", table="x", n=1.5))
    assert Message.from_json(message.to_json()) == message
    assert hash(Message.from_json(message.to_json())) == hash(message)
