"""The editor of one characteristic: its picture, its bins, and the tools that a choice of bins offers."""

from html import escape

import streamlit as st

from automl.scorecard.bins import Special
from core.i18n import formats
from reporting import figures
from workbench.flows import scorecard
from workbench.flows.scorecard import BinRow, CardView, Change, CharacteristicView
from workbench.ui.charts import chart
from workbench.ui.pieces import chip, draw, findings, panel_title, table, typeset
from workbench.ui.scorecard_parts import name_of, shape_name
from workbench.ui.scorecard_work import ask_change
from workbench.ui.session import Here, theme
from workbench.ui.texts import language, say, t

__all__ = ["editor"]

_PLAIN = ("interval", "levels")


def editor(place: Here, view: CardView, alias: str) -> None:
    """Draw one characteristic with everything that can be done to it."""
    shown = scorecard.characteristic(place.ctx, place.name, alias)
    _head(place, view, shown)
    _picture(shown)
    _bins(shown)
    if shown.findings:
        findings(shown.findings)
    if place.can("model.train"):
        _tools(place, view, shown)


def _head(place: Here, view: CardView, shown: CharacteristicView) -> None:
    row = shown.row
    left, right = st.columns([0.76, 0.24], vertical_alignment="center")
    with left:
        panel_title(name_of(row), row.alias)
        chips = [chip(shape_name(row.shape), "good" if row.shape in ("rising", "falling") else "watch")]
        if row.direction is not None:
            chips.append(chip(_direction_name(row.direction), "brand"))
        if row.n_edits:
            chips.append(chip(t("edits: {n}", n=row.n_edits)))
        reason = f' <span class="caption">{escape(say(shown.reason))}</span>' if shown.reason else ""
        draw(" ".join(chips) + reason)
    with right, st.container(horizontal_alignment="right"):
        is_wanted = row.is_on or row.is_weighed_out
        st.toggle(
            t("On the card"),
            value=is_wanted,
            key=f"on_{row.alias}_{view.n_changes}",
            disabled=not place.can("model.train"),
            on_change=ask_change,
            args=(place, Change("leave" if is_wanted else "take", row.alias), "", view.n_changes),
        )


def _direction_name(direction: str | None) -> str:
    return {"rising": t("the larger, the riskier"), "falling": t("the larger, the safer")}.get(
        direction or "", t("as it likes")
    )


def _picture(shown: CharacteristicView) -> None:
    bins, unknown = shown.bins, float("nan")

    def column(name: str) -> list[float]:
        return [unknown if getattr(item, name) is None else getattr(item, name) for item in bins]

    n_plain = sum(item.kind == "interval" for item in bins)
    chart(
        figures.bin_evidence(
            [typeset(item.label) for item in bins],
            column("bad_rate"),
            column("woe"),
            [item.n for item in bins],
            low=column("bad_rate_low"),
            high=column("bad_rate_high"),
            woe_low=column("woe_low"),
            woe_high=column("woe_high"),
            n_ordered=n_plain,
            weights=column("weight") if any(item.weight is not None for item in bins) else None,
            title=t(
                "Information value {iv}; weight of evidence: {shape}",
                iv=formats.metric(shown.row.information_value),
                shape=shape_name(shown.row.shape),
            ),
            sample=t("training rows"),
            language=language(),
            theme=theme(),
        ),
        "scorecard_bins",
    )


def _bins(shown: CharacteristicView) -> None:
    rows = [
        (
            str(item.index + 1),
            typeset(escape(item.label)),
            formats.count(item.n),
            formats.count(item.n_bad),
            _rate(item),
            f"{item.woe:.2f}" if item.n else "–",
            "–" if item.weight is None else f"{item.weight:.2f}",
            "–" if item.points is None else f"{item.points:g}",
        )
        for item in shown.bins
    ]
    header = ("", t("Bin"), t("Cases"), t("Bads"), t("Bad rate"), t("WOE"), t("Weight"), t("Points"))
    table(header, rows, numbers=(0, 2, 3, 4, 5, 6, 7))


def _rate(item: BinRow) -> str:
    if item.bad_rate is None or item.bad_rate_low is None or item.bad_rate_high is None:
        return "–"
    ends = f"[{formats.percent(item.bad_rate_low)}, {formats.percent(item.bad_rate_high)}]"
    return f'{formats.percent(item.bad_rate)} <span class="caption">{ends}</span>'


def _tools(place: Here, view: CardView, shown: CharacteristicView) -> None:
    alias, seen = shown.row.alias, view.n_changes
    panel_title(
        t("Edit"), t("Choose two or more bins to merge them, or one to split it or to move its lower boundary.")
    )
    names = {item.index: f"{item.index + 1}  {typeset(item.label)}" for item in shown.bins}
    offered = [item.index for item in shown.bins if item.kind in _PLAIN or item.kind == "missing"]
    chosen = st.pills(
        t("Bins"), offered, selection_mode="multi", format_func=lambda index: names[index],
        label_visibility="collapsed", key=f"bins_{alias}_{seen}_{language()}",
    )  # fmt: skip
    note = st.text_input(
        t("Why"),
        placeholder=t("Reason, kept in the audit trail"),
        key=f"why_{alias}_{seen}",
        label_visibility="collapsed",
    )
    _for_choice(place, shown, sorted(chosen), note, seen)
    _standing_tools(place, view, shown, note)


def _for_choice(place: Here, shown: CharacteristicView, chosen: list[int], note: str, seen: int) -> None:
    bins = {item.index: item for item in shown.bins}
    if len(chosen) > 1:
        _button(place, t("Merge {n} bins", n=len(chosen)), Change("merge", shown.row.alias, tuple(chosen)), note, seen)
    elif len(chosen) == 1 and bins[chosen[0]].kind == "missing":
        _missing(place, shown, note, seen)
    elif len(chosen) == 1 and bins[chosen[0]].kind == "interval":
        _interval(place, shown, bins[chosen[0]], note, seen)
    elif len(chosen) == 1:
        _levels(place, shown, bins[chosen[0]], note, seen)


def _button(place: Here, label: str, wanted: Change, note: str, seen: int, *, disabled: bool = False) -> None:
    st.button(label, on_click=ask_change, args=(place, wanted, note, seen), disabled=disabled, key=f"do_{label}_{seen}")


def _interval(place: Here, shown: CharacteristicView, item: BinRow, note: str, seen: int) -> None:
    least, most = shown.values or (0.0, 1.0)
    low, high = (least if item.lower is None else item.lower), (most if item.upper is None else item.upper)
    left, right = st.columns(2)
    with left, st.container(horizontal=True, vertical_alignment="bottom"):
        at = st.number_input(
            t("Split at"), value=_short((low + high) / 2), format="%g", key=f"split_{item.index}_{seen}"
        )
        _button(place, t("Split"), Change("split", shown.row.alias, (item.index,), at=float(at)), note, seen)
    if item.lower is None:
        return
    with right, st.container(horizontal=True, vertical_alignment="bottom"):
        to = st.number_input(t("Lower boundary"), value=item.lower, format="%g", key=f"move_{item.index}_{seen}")
        wanted = Change("move", shown.row.alias, boundary=item.index - 1, at=float(to))
        _button(place, t("Move"), wanted, note, seen, disabled=float(to) == item.lower)


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def _levels(place: Here, shown: CharacteristicView, item: BinRow, note: str, seen: int) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.multiselect(
            t("Levels to take out of this bin"), item.levels, key=f"levels_{item.index}_{seen}",
            format_func=lambda level: shown.level_labels.get(level, level),
        )  # fmt: skip
        change = Change("split", shown.row.alias, (item.index,), levels=tuple(wanted))
        _button(place, t("Split"), change, note, seen, disabled=not wanted)


def _missing(place: Here, shown: CharacteristicView, note: str, seen: int) -> None:
    names = {item.index: typeset(item.label) for item in shown.bins if item.kind in _PLAIN}
    options = [None, *names]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        like = st.selectbox(
            t("Missing counts with"), options, index=options.index(shown.missing_like),
            format_func=lambda index: t("itself") if index is None else names[index], key=f"missing_{seen}",
        )  # fmt: skip
        change = Change("missing", shown.row.alias, like=like)
        _button(place, t("Set"), change, note, seen, disabled=like == shown.missing_like)


def _standing_tools(place: Here, view: CardView, shown: CharacteristicView, note: str) -> None:
    seen = view.n_changes
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if shown.row.kind == "number":
            _direction(place, shown, note, seen)
        with st.popover(t("Special codes")):
            _specials(place, shown, note, seen)
        _button(place, t("Undo the last edit"), Change("undo"), note, seen, disabled=not view.can_undo)
    if shown.suggested is not None and shown.row.direction is None:
        draw(
            f'<div class="caption">{escape(t("The data suggest"))}: '
            f"{escape(_direction_name(shown.suggested.direction))} · {escape(say(shown.suggested.reason))}</div>"
        )


def _direction(place: Here, shown: CharacteristicView, note: str, seen: int) -> None:
    options = ["rising", "falling", ""]
    held = shown.row.direction or ""
    way = st.selectbox(
        t("Risk must run"), options, index=options.index(held), width=240,
        format_func=lambda key: _direction_name(key or None), key=f"direction_{shown.row.alias}_{seen}_{language()}",
    )  # fmt: skip
    chosen = way if way in ("rising", "falling") else None
    change = Change("direction", shown.row.alias, direction=chosen)  # type: ignore[arg-type]  # narrowed above
    _button(place, t("Keep this direction"), change, note, seen, disabled=way == held)


def _specials(place: Here, shown: CharacteristicView, note: str, seen: int) -> None:
    panel_title(
        t("Special codes"), t("Values that stand for a meaning and not for an amount; each gets a bin of its own.")
    )
    held = [
        {
            "en": s.labels.get("en", s.code),
            "zh": s.labels.get("zh", ""),
            "values": ", ".join(map(_value_text, s.values)),
        }
        for s in shown.specials
    ]
    rows = st.data_editor(
        held or [{"en": "", "zh": "", "values": ""}],
        num_rows="dynamic",
        column_config={
            "en": st.column_config.TextColumn(t("Meaning (English)"), required=True),
            "zh": st.column_config.TextColumn(t("Meaning (Chinese)")),
            "values": st.column_config.TextColumn(t("Values, separated by commas"), required=True),
        },
        key=f"specials_{shown.row.alias}_{seen}",
    )
    wanted = _special_codes(rows, is_number=shown.row.kind == "number")
    if wanted is None:
        st.caption(t("The values of a number must be numbers."))
    change = Change("special", shown.row.alias, specials=wanted or ())
    _button(place, t("Set the special codes"), change, note, seen, disabled=wanted is None or wanted == shown.specials)


def _value_text(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else value


def _special_codes(rows: list[dict[str, str]], *, is_number: bool) -> tuple[Special, ...] | None:
    """Return what the rows say, or None where a value of a number is none."""
    found = []
    for row in rows:
        texts = [part.strip() for part in (row.get("values") or "").replace("，", ",").split(",") if part.strip()]
        labels = {key: str(row.get(key) or "").strip() for key in ("en", "zh")}
        if not texts or not labels["en"]:
            continue
        try:
            values = tuple(float(text) if is_number else text for text in texts)
        except ValueError:
            return None
        found.append(Special(labels["en"], values, {key: text for key, text in labels.items() if text}))
    return tuple(found)
