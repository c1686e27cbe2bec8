"""Reason codes on a page: the list, what one code says and of which features, and who changed what."""

from collections.abc import Mapping
from html import escape

import streamlit as st

from core.errors import WorkbenchError
from core.i18n import formats
from workbench.flows import reason_codes
from workbench.flows.reason_codes import CodeChange, CodeRow, CodeSheet
from workbench.ui.pieces import chip, draw, empty, panel_title, show_error, table
from workbench.ui.session import Here
from workbench.ui.state import forget, recall, remember
from workbench.ui.texts import capital, language, t
from workbench.ui.times import exact

__all__ = ["changes", "code_panel", "code_table", "editor", "sentence"]

_SHOWN_FEATURES = 12
_MOST_ROWS = 6


def sentence(sheet: CodeSheet) -> str:
    """Return what is true of a project's codes."""
    return t(
        "{n} features speak in {codes} sentences; features that no code fits: {without}.",
        n=formats.count(sheet.n_features),
        codes=formats.count(sum(bool(row.features) for row in sheet.rows)),
        without=formats.count(sheet.n_without),
    )


def code_table(sheet: CodeSheet) -> None:
    """Draw all codes: what is said in both languages where the risk rises and where it falls, and of what."""
    table(
        (t("Code"), t("Where it raises the risk"), t("Where it lowers the risk"), t("Features")),
        [
            (
                f'<span class="mono">{escape(row.code)}</span>{_marks(row)}',
                _both(row.raises),
                _both(row.lowers),
                _features(row),
            )
            for row in sheet.rows
        ],
    )


def _marks(row: CodeRow) -> str:
    marks = []
    if row.is_missing and row.features:
        marks.append(chip(t("no code fits"), "watch"))
    if row.is_worded:
        marks.append(chip(t("own words")))
    if row.is_new:
        marks.append(chip(t("new"), "brand"))
    return f"<div>{' '.join(marks)}</div>" if marks else ""


def _both(texts: Mapping[str, str]) -> str:
    other = "zh" if language() == "en" else "en"
    return f'{escape(texts[language()])}<div class="caption" lang="{other}">{escape(texts[other])}</div>'


def _features(row: CodeRow) -> str:
    names = [escape(capital(_name(row, alias))) for alias in row.features]
    if not names:
        return f'<span class="muted">{escape(t("none"))}</span>'
    more = len(names) - _SHOWN_FEATURES
    rest = f'<div class="caption">{escape(t("and {n} more", n=formats.count(more)))}</div>' if more > 0 else ""
    return "<br>".join(names[:_SHOWN_FEATURES]) + rest


def _name(row: CodeRow, alias: str) -> str:
    return row.features[alias].get(language()) or alias


def editor(place: Here, sheet: CodeSheet) -> None:
    """Draw the list of codes beside the one that is looked at, to be worded and moved between."""
    if (refusal := recall("reasons_refusal")) is not None:
        forget("reasons_refusal")
        show_error(refusal)
    rows = {row.code: row for row in sheet.rows}
    left, right = st.columns([0.34, 0.66], gap="small")
    with left, st.container(key="panel_codes"):
        code = _choice(place, sheet, rows)
    with right, st.container(key="panel_code"):
        code_panel(place, sheet, rows[code]) if code in rows else _new_code(place, sheet)


def _choice(place: Here, sheet: CodeSheet, rows: Mapping[str, CodeRow]) -> str:
    panel_title(t("Codes"), t("As the next version that is trained will have them."))
    codes = [*rows, *([sheet.next_own] if sheet.next_own and place.can("project.manage") else [])]
    kept = recall("reason_code")
    chosen = st.radio(
        t("Code"),
        codes,
        index=codes.index(kept) if kept in codes else 0,
        format_func=lambda code: f"{code} · {_subject(rows[code])}" if code in rows else t("A code of your own"),
        captions=[_caption(rows[code]) if code in rows else str(sheet.next_own) for code in codes],
        label_visibility="collapsed",
        key=f"reason_code_choice_{language()}",
    )
    remember("reason_code", chosen)
    return str(chosen)


def _subject(row: CodeRow) -> str:
    return row.subject.get(language(), "")


def _caption(row: CodeRow) -> str:
    parts = [t("features: {n}", n=formats.count(len(row.features)))]
    if row.is_missing and row.features:
        parts.insert(0, t("no code fits"))
    if row.is_worded:
        parts.append(t("own words"))
    if row.is_new:
        parts.append(t("new"))
    return " · ".join(parts)


def code_panel(place: Here, sheet: CodeSheet, row: CodeRow) -> None:
    """Draw one code: its sentences, its words to change, its features to move."""
    note = t("Said of a feature that no code fits: give such a feature a code, so that the applicant learns why.")
    panel_title(f"{row.code} · {capital(_subject(row))}", note if row.is_missing else "")
    table(
        ("", t("English"), t("Chinese")),
        [
            (escape(t("Raises the risk")), escape(row.raises["en"]), escape(row.raises["zh"])),
            (escape(t("Lowers the risk")), escape(row.lowers["en"]), escape(row.lowers["zh"])),
        ],
    )
    may = place.can("project.manage")
    with st.form(f"reason_words_{row.code}", border=False):
        _words(place, row, may=may)
    _members(place, sheet, row, may=may)
    if not may:
        st.caption(t("Codes are changed by a risk analyst."))


def _words(place: Here, row: CodeRow, *, may: bool) -> None:
    left, right = st.columns(2)
    english = left.text_input(t("What it is about, English"), value=row.subject["en"], max_chars=120, disabled=not may)
    chinese = right.text_input(t("What it is about, Chinese"), value=row.subject["zh"], max_chars=120, disabled=not may)
    with st.container(horizontal=True):
        if st.form_submit_button(t("Save the words"), disabled=not may):
            texts = {"en": english.strip(), "zh": chinese.strip()}
            if texts != dict(row.subject):
                _change(place, subjects={row.code: texts})
        if row.is_worded and st.form_submit_button(t("Take them back"), disabled=not may or bool(_own_in_use(row))):
            _change(place, subjects={row.code: {}})


def _own_in_use(row: CodeRow) -> bool:
    return reason_codes.is_own(row.code) and bool(row.features)


def _members(place: Here, sheet: CodeSheet, row: CodeRow, *, may: bool) -> None:
    if not row.features:
        st.caption(t("No feature has this code: move one here from its present code."))
        return
    draw(f"<b>{escape(t('Its features'))}</b>")
    rows = [
        (
            escape(capital(_name(row, alias))),
            f'<span class="mono muted">{escape(alias)}</span>',
            chip(t("chosen")) if alias in row.is_chosen else f'<span class="muted">{escape(t("by its name"))}</span>',
        )
        for alias in row.features
    ]
    with st.container(height=300 if len(rows) > _MOST_ROWS else "content", border=False):
        table((t("Feature"), t("Alias"), t("How it got the code")), rows)
    if not may:
        return
    with st.form(f"reason_move_{row.code}", border=False):
        moved = st.multiselect(
            t("Give another code to"),
            list(row.features),
            format_func=lambda alias: _name(row, alias),
            placeholder=t("Choose features"),
        )
        left, right = st.columns([0.7, 0.3], vertical_alignment="bottom")
        targets = ["", *(code for code in sheet.choices if code != row.code)]
        target = left.selectbox(
            t("Code"),
            targets,
            format_func=lambda code: f"{code} · {sheet.choices[code]}" if code else t("the code that its name gives"),
        )
        if right.form_submit_button(t("Give the code"), width="stretch") and moved:
            _change(place, features=dict.fromkeys(moved, target))


def _new_code(place: Here, sheet: CodeSheet) -> None:
    panel_title(
        t("A code of your own"),
        t("For what no curated code is about. It gets the number {code}.", code=sheet.next_own or ""),
    )
    with st.form("reason_new", border=False):
        left, right = st.columns(2)
        english = left.text_input(t("What it is about, English"), placeholder="the outside rating", max_chars=120)
        chinese = right.text_input(t("What it is about, Chinese"), placeholder="外部评级", max_chars=120)
        if st.form_submit_button(t("Add the code"), type="primary"):
            _change(place, subjects={str(sheet.next_own): {"en": english.strip(), "zh": chinese.strip()}})


def _change(place: Here, **wanted: Mapping[str, str] | Mapping[str, Mapping[str, str]]) -> None:
    try:
        reason_codes.change(place.ctx, place.name, **wanted)  # type: ignore[arg-type]
    except WorkbenchError as error:
        remember("reasons_refusal", error)
    st.rerun()


def changes(found: tuple[CodeChange, ...]) -> None:
    """Draw who changed what, the newest first."""
    panel_title(t("Changes"), t("From the audit trail. A version keeps the codes it was trained with."))
    if not found:
        empty(t("No change yet"), t("The curated codes hold; what a person changes is kept here."))
        return
    table(
        (t("When"), t("Who"), t("What"), t("Before"), t("After")),
        [
            (escape(exact(one.at)), escape(one.by), escape(name), escape(before), escape(after))
            for one in found
            for name, before, after in _lines(one)
        ],
    )


def _lines(one: CodeChange) -> list[tuple[str, str, str]]:
    by_name = t("by its name")
    lines = [(name, old or by_name, new or by_name) for name, (old, new) in one.features.items()]
    curated = t("curated words")
    for code, (old_texts, new_texts) in one.subjects.items():
        old = (old_texts or {}).get(language(), "–" if reason_codes.is_own(code) else curated)
        new = (new_texts or {}).get(language(), "–" if reason_codes.is_own(code) else curated)
        lines.append((code, old, new))
    return lines
