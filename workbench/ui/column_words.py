"""What the types, roles and units of columns are called."""

from html import escape

from warehouse.modelling import words
from workbench.ui.texts import language, say

__all__ = ["named", "role_word", "table_title", "type_word", "unit_word"]


def named(name: str, label: dict[str, str]) -> str:
    """Return a table's or column's readable label and its name as HTML."""
    title = label.get(language(), "")
    return f'{escape(title)} <span class="mono muted">{escape(name)}</span>' if title else escape(name)


def table_title(name: str, label: dict[str, str]) -> str:
    """Return a table's label with its name in brackets, as plain text."""
    title = label.get(language(), "")
    return f"{title} ({name})" if title else name


def type_word(name: str) -> str:
    """Return a column type in the session's language."""
    return say(words.type_word(name))


def role_word(name: str) -> str:
    """Return a column's role in the session's language."""
    return say(words.role_word(name))


def unit_word(name: str) -> str:
    """Return a unit in the session's language."""
    return say(words.unit_word(name))
