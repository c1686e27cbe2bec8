"""Texts in files that a spreadsheet opens: none of them may run as a formula."""

__all__ = ["guarded", "unguarded"]

_STARTS = ("=", "+", "-", "@", "\t", "\r")


def guarded(text: str) -> str:
    """Return `text` with an apostrophe before it where a spreadsheet would take it for a formula; numbers stay.

    Examples
    --------
    >>> guarded("=1+1"), guarded("-12.5"), guarded("-a"), guarded("'=x"), guarded("plain")
    ("'=1+1", '-12.5', "'-a", "''=x", 'plain')
    """
    if text.startswith("'") and text.lstrip("'").startswith(_STARTS):
        return f"'{text}"
    return f"'{text}" if text.startswith(_STARTS) and not _is_number(text) else text


def unguarded(text: str) -> str:
    """Return what `guarded` was given.

    Examples
    --------
    >>> [unguarded(guarded(text)) for text in ("=1+1", "'=x", "it's", "'quoted'", "-3")]
    ['=1+1', "'=x", "it's", "'quoted'", '-3']
    """
    is_guarded = text.startswith("'") and text.lstrip("'").startswith(_STARTS)
    return text[1:] if is_guarded else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text == text.strip()
