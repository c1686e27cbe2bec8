"""A session token names who signed in, for twelve hours, and nobody else can write one."""

from hypothesis import given
from hypothesis import strategies as st

from workbench.sessions import LIFETIME_SECONDS, issue_token, read_token

SECRET = "the installation's key"


@given(st.text(min_size=1, max_size=40))
def test_name_comes_back(name: str) -> None:
    assert read_token(issue_token(name, SECRET), SECRET) == name


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_changed_token_is_nobody(position: int, letter: str) -> None:
    token = issue_token("analyst", SECRET, now=1000)
    place = position % len(token)
    forged = token[:place] + letter + token[place + 1 :]
    assert forged == token or read_token(forged, SECRET, now=1001) is None


def test_another_installations_token_is_nobody() -> None:
    assert read_token(issue_token("admin", "other"), SECRET) is None


def test_a_token_ends_after_its_lifetime_and_before_its_beginning() -> None:
    token = issue_token("li", SECRET, now=1000)
    assert read_token(token, SECRET, now=1000 + LIFETIME_SECONDS - 1) == "li"
    assert read_token(token, SECRET, now=1000 + LIFETIME_SECONDS) is None
    assert read_token(token, SECRET, now=999) is None


def test_rubbish_is_nobody() -> None:
    for rubbish in (None, "", ".", "a.b.c", "..", "é.1.x"):
        assert read_token(rubbish, SECRET) is None
