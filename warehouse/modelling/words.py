"""What the types, roles and units of columns are called, as texts in both languages."""

from typing import Final

from core.i18n import Message, MessageLike, msg

__all__ = ["ROLES", "TYPES", "UNITS", "role_word", "type_word", "unit_word"]

TYPES: Final[dict[str, Message]] = {
    "id": msg("identifier"),
    "category": msg("category"),
    "text": msg("text"),
    "number": msg("number"),
    "integer": msg("whole number"),
    "boolean": msg("yes or no"),
    "date": msg("date"),
    "datetime": msg("date and time"),
}
ROLES: Final[dict[str, Message]] = {
    "feature": msg("feature"),
    "key": msg("key"),
    "foreign_key": msg("link"),
    "event_time": msg("event time"),
    "known_at": msg("known-at time"),
    "ignore": msg("left out"),
    "target": msg("target"),
    "personal": msg("personal"),
    "forbidden": msg("forbidden"),
}
UNITS: Final[dict[str, Message]] = {
    "CNY": msg("CNY"),
    "10k CNY": msg("10k CNY"),
    "percent": msg("percent"),
    "ratio": msg("ratio"),
    "ratio per year": msg("ratio per year"),
    "persons": msg("persons"),
    "days": msg("days"),
    "months": msg("months"),
    "times": msg("times"),
    "points": msg("points"),
    "houses": msg("houses"),
    "lenders": msg("lenders"),
    "queries": msg("queries"),
}
"""The units that have a name in both languages; others are shown as they are written."""


def type_word(name: str) -> MessageLike:
    """Return what a column type is called."""
    return TYPES.get(name, name)


def role_word(name: str) -> MessageLike:
    """Return what a column's role is called."""
    return ROLES.get(name, name)


def unit_word(name: str) -> MessageLike:
    """Return what a unit is called."""
    return UNITS.get(name, name)
