"""What the types, roles and units of columns are called."""

from html import escape

from workbench.ui.texts import language, t

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
    words = {
        "id": t("identifier"),
        "category": t("category"),
        "text": t("text"),
        "number": t("number"),
        "integer": t("whole number"),
        "boolean": t("yes or no"),
        "date": t("date"),
        "datetime": t("date and time"),
    }
    return words.get(name, name)


def role_word(name: str) -> str:
    """Return a column's role in the session's language."""
    words = {
        "feature": t("feature"),
        "key": t("key"),
        "foreign_key": t("link"),
        "event_time": t("event time"),
        "known_at": t("known-at time"),
        "ignore": t("left out"),
    }
    return words.get(name, name)


def unit_word(name: str) -> str:
    """Return a unit in the session's language."""
    words = {
        "CNY": t("CNY"),
        "10k CNY": t("10k CNY"),
        "persons": t("persons"),
        "days": t("days"),
        "months": t("months"),
        "times": t("times"),
        "points": t("points"),
        "percent": t("percent"),
        "ratio": t("ratio"),
        "ratio per year": t("ratio per year"),
        "houses": t("houses"),
        "lenders": t("lenders"),
        "queries": t("queries"),
    }
    return words.get(name, name)
