"""Words of the pages, in the language of the person who looks."""

from html import escape
from typing import Any

from core.i18n import Message, MessageLike, render
from workbench.ui.state import recall

__all__ = ["capital", "html", "language", "say", "t"]


def language() -> str:
    """Return the session's language, ``"en"`` or ``"zh"``."""
    return str(recall("language", "en"))


def t(template: str, **values: Any) -> str:
    """Return the English `template` in the session's language, its placeholders filled."""
    return Message(template, values).text(language())


def say(message: MessageLike | None) -> str:
    """Return a message of the packages below in the session's language."""
    return "" if message is None else str(render(message, language()))


def html(message: MessageLike | None) -> str:
    """Return a message in the session's language, made safe to stand inside HTML."""
    return escape(say(message))


def capital(text: str) -> str:
    """Return `text` with its first letter large, as at the start of a line.

    Examples
    --------
    >>> capital("out-of-time"), capital("KS"), capital("跨期")
    ('Out-of-time', 'KS', '跨期')
    """
    return text[:1].upper() + text[1:]
