"""The gettext catalogues: one ``.po`` file per package and language, merged on first use."""

from functools import cache
from pathlib import Path

from core.i18n.po import read_po

_FOLDERS = {"zh": "zh_CN"}
_ROOT = Path(__file__).parent / "catalogue"


@cache
def _catalogue(language: str) -> dict[str, str]:
    folder = _FOLDERS.get(language)
    merged: dict[str, str] = {}
    for path in sorted((_ROOT / folder).glob("*.po")) if folder else ():
        merged.update(read_po(path.read_text(encoding="utf-8")))
    return merged


def translate(template: str, language: str) -> str:
    """Return `template` in `language`, or `template` itself where the catalogue has no entry.

    Parameters
    ----------
    template : str
        The English text as written in the code, placeholders in braces.
    language : str
        ``"en"`` or ``"zh"``.

    Returns
    -------
    str
        The text with its placeholders still in it.

    Examples
    --------
    >>> translate("no such text", "zh")
    'no such text'
    """
    return _catalogue(language).get(template, template)
