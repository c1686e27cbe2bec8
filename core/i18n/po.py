"""Reading gettext ``.po`` files: what Babel does, in a hundredth of the start-up time.

Plain entries only (``msgid``, ``msgstr``, over one or several lines); entries marked fuzzy, obsolete or not yet
translated are left out. Contexts and plural forms are not used in our catalogues and are refused.
"""

import re

__all__ = ["read_po"]

_KEYWORD_LINE = re.compile(r'(msgid|msgstr) +"(.*)"')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def read_po(text: str) -> dict[str, str]:
    r"""Return the translations in the text of a ``.po`` file by their English text.

    Parameters
    ----------
    text : str
        The whole file.

    Raises
    ------
    ValueError
        Naming the line that is not understood.

    Examples
    --------
    >>> read_po('msgid "table {table}"\nmsgstr "表 {table}"\n')
    {'table {table}': '表 {table}'}
    """
    entries: dict[str, str] = {}
    parts: dict[str, str] = {}
    keyword, is_fuzzy = "", False
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        if line.startswith('"') and line.endswith('"') and keyword:
            parts[keyword] += line[1:-1]
        elif match := _KEYWORD_LINE.fullmatch(line):
            if match[1] == "msgid" and keyword == "msgstr":
                _keep(parts, entries, is_fuzzy=is_fuzzy)
                parts, is_fuzzy = {}, False
            keyword = match[1]
            parts[keyword] = match[2]
        elif line.startswith("#"):
            if keyword == "msgstr":
                _keep(parts, entries, is_fuzzy=is_fuzzy)
                parts, keyword, is_fuzzy = {}, "", False
            is_fuzzy = is_fuzzy or (line.startswith("#,") and "fuzzy" in line)
        elif line:
            raise ValueError(f"line {number} of a catalogue is not understood: {raw!r}")
    _keep(parts, entries, is_fuzzy=is_fuzzy)
    return entries


def _keep(parts: dict[str, str], entries: dict[str, str], *, is_fuzzy: bool) -> None:
    source, translation = parts.get("msgid", ""), parts.get("msgstr", "")
    if source and translation and not is_fuzzy:
        entries[_unescape(source)] = _unescape(translation)


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), text) if "\\" in text else text
