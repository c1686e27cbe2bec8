"""Small drawn parts that every page shares: figures, chips, tables, findings, empty states."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from html import escape
from typing import Final

import streamlit as st

from core.errors import WorkbenchError
from core.findings import Finding, Severity, by_kind
from core.i18n import MessageLike
from workbench.ui.texts import capital, html, language, t

__all__ = [
    "action",
    "chip",
    "draw",
    "empty",
    "figures",
    "findings",
    "headline",
    "panel_title",
    "show_error",
    "table",
    "typeset",
]

_HYPHEN: Final = re.compile(r"(?<![^\s\[(>])-(?=[.\d∞])")
"""Findings of one kind that all stand open, and how many do where there are more."""
_SEVERITY_TONE = {Severity.INFO: "", Severity.WATCH: "watch", Severity.BAD: "bad"}


def draw(body: str) -> None:
    """Draw HTML of our own making; every value in it has been escaped before."""
    st.html(f'<div class="wb">{body}</div>')


def typeset(number: str) -> str:
    """Return a number, or several, or an interval, with minus signs where hyphens stand for them."""
    return _HYPHEN.sub("−", number)


def chip(text: str, tone: str = "") -> str:
    """Return a small label as HTML; `tone` is good, watch, bad, brand or nothing."""
    return f'<span class="chip {tone}">{escape(text)}</span>'


def panel_title(text: str, caption: str = "") -> None:
    """Draw the title of a panel, with a quiet line below it where `caption` is given."""
    note = f'<div class="caption">{typeset(escape(caption))}</div>' if caption else ""
    draw(f"<b>{typeset(escape(text))}</b>{note}")


def headline(label: str, value: str, interval: str = "", note: str = "") -> None:
    """Draw the one figure that answers the page's question, its interval beside it."""
    figure, ends = (typeset(escape(text)) for text in (value, interval))
    draw(
        f'<div class="caption">{escape(label)}</div>'
        f'<div class="headline">{figure} <span class="interval">{ends}</span></div>'
        f'<div class="caption">{escape(note)}</div>'
    )


def figures(items: Iterable[tuple[str, str, str]]) -> None:
    """Draw a row of (label, figure, note) triples."""
    cells = "".join(
        f'<div><div class="caption">{escape(label)}</div><div class="figure">{typeset(escape(value))}</div>'
        f'<div class="caption">{escape(note)}</div></div>'
        for label, value, note in items
    )
    draw(f'<div class="figures">{cells}</div>')


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> None:
    """Draw a short table; cells are HTML already, `numbers` are the columns set flush right, with true minus signs."""

    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f'<{tag} class="number">{typeset(value)}</{tag}>' if index in numbers else f"<{tag}>{value}</{tag}>"
            for index, value in enumerate(values)
        )

    head = f"<thead><tr>{cells('th', [escape(name) for name in header])}</tr></thead>" if any(header) else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    draw(f"<table>{head}<tbody>{body}</tbody></table>")


def findings(items: Sequence[Finding], names: Mapping[str, Mapping[str, str]] | None = None) -> None:
    """Draw findings, the gravest first; nothing where there are none. Of many of one kind the first few stand open.

    Parameters
    ----------
    items : sequence of Finding
    names : mapping of str to mapping of str to str, optional
        What the places of findings are called in each language, such as features by their alias.
    """
    if not items:
        return
    words = {Severity.INFO: t("To know"), Severity.WATCH: t("Look at"), Severity.BAD: t("Act on")}
    rows = []
    for shown, folded in by_kind(items):
        mark = chip(words[shown[0].severity], _SEVERITY_TONE[shown[0].severity])
        rows += [(mark, _told(item, names or {})) for item in shown]
        if folded:
            title = escape(t("{n} more of this kind", n=len(folded)))
            rest = "".join(f"<p>{_told(item, names or {})}</p>" for item in folded)
            rows.append(("", f"<details><summary>{title}</summary>{rest}</details>"))
    table(("", ""), rows)


def _told(item: Finding, names: Mapping[str, Mapping[str, str]]) -> str:
    text = _with_place(item, names).text(language())
    is_code = bool(item.where) and item.where not in names  # a file, a column: as it is written
    text = typeset(escape(text if is_code else capital(text)))
    return text + (f'<div class="caption">{html(item.fix)}</div>' if item.fix else "")


def _with_place(item: Finding, names: Mapping[str, Mapping[str, str]]) -> Finding:
    return replace(item, where=names.get(item.where, {}).get(language(), item.where))


@contextmanager
def action(label: str, key: str, *, is_first: bool) -> Iterator[None]:
    """Hold the page's main action: a panel the first time, later a filled button that opens it.

    Parameters
    ----------
    label : str
        The verb on the button.
    key : str
        Tells it from other actions.
    is_first : bool
        Whether the page has nothing else to show yet.
    """
    holder = st.container(key=f"panel_{key}") if is_first else st.popover(label, type="primary", key=f"again_{key}")
    with holder:
        yield


def empty(title: str, text: str) -> None:
    """Draw what a page shows before there is anything: what will stand here, and how to get it."""
    draw(f'<div class="empty-state"><b>{escape(title)}</b>{escape(text)}</div>')


def show_error(error: WorkbenchError | MessageLike) -> None:
    """Draw an error a person can act on."""
    if isinstance(error, WorkbenchError):
        st.error(capital(error.text(language())))
        findings(error.findings)
    else:
        st.error(capital(html(error)))
