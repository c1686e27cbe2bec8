"""What stands around the editor of the scorecard: figures, the list, the points, the changes, the scale."""

from html import escape

import streamlit as st

from core.i18n import formats
from workbench.flows.scorecard import CROSSED, CardView, Change, CharacteristicRow, Effect, Scale
from workbench.ui.evaluation_view import figure_text, population
from workbench.ui.frame import PAGES
from workbench.ui.pieces import chip, draw, findings, headline, panel_title, table
from workbench.ui.scorecard_work import ask_change
from workbench.ui.session import Here
from workbench.ui.state import recall, remember
from workbench.ui.texts import html, language, t
from workbench.ui.times import exact
from workbench.ui.work import ask_for

__all__ = [
    "changes_table",
    "characteristic_list",
    "findings_panel",
    "register_action",
    "scale_form",
    "shape_name",
    "start_button",
    "summary",
    "weights_note",
]


def summary(view: CardView) -> None:
    """Draw the card's figures: on rows it never saw, live on the training rows, and its scale."""
    left, middle, right = st.columns(3, gap="small")
    with left, st.container(key="panel_honest", height="stretch"):
        _honest(view)
    with middle, st.container(key="panel_live", height="stretch"):
        live = view.figures["cross_validation"]
        headline(t("AUC as edited: weights anew on each fold"), *figure_text(live), note=_effect_text(view))
    with right, st.container(key="panel_scale", height="stretch"):
        scale = view.scale
        headline(
            t("Points"),
            t("{low} to {high}", low=formats.count(round(view.lowest)), high=formats.count(round(view.highest))),
            note=t(
                "{points} points stand for {odds} goods to one bad; each {pdo} points more double the odds",
                points=f"{scale.base_points:g}",
                odds=f"{scale.base_odds:g}",
                pdo=f"{scale.pdo:g}",
            ),
        )


def weights_note(view: CardView) -> None:
    """Draw how the bins are weighed, and what the ways that were tried at the start reached."""
    texts = [
        f"{weights_name(kind)} {formats.metric(figure.value)}"
        for kind, figure in sorted(view.compared.items(), key=lambda pair: -(pair[1].value or 0.0))
    ]
    tried = t("AUC at the start, everything anew on each fold") + ": " + " · ".join(texts) if len(texts) > 1 else ""
    draw(
        f'<div class="caption">{chip(weights_name(view.weights), "brand")} {escape(_weights_words(view.weights))} '
        f"{escape(tried)}</div>"
    )


def weights_name(kind: str) -> str:
    """Return a way to weigh bins, in words."""
    return {
        "evidence": t("Weights of evidence"),
        "joint": t("All bins together"),
        "boosted": t("Boosted"),
        CROSSED: t("With crossed characteristics"),
    }[kind]


def _weights_words(kind: str) -> str:
    return {
        "evidence": t("The points of a bin are its weight of evidence times one coefficient."),
        "joint": t("One regression weighs all bins: beside the others a bin may depart from its own evidence."),
        "boosted": t("Points add up many small steps: beside the others a bin may depart from its own evidence."),
    }[kind]


def _honest(view: CardView) -> None:
    calibration = view.figures.get("calibration")
    if calibration is not None:
        note = t("Calibration rows, that nothing was fitted on · {who}", who=_who(calibration.n, calibration.n_bad))
        headline("AUC", *figure_text(calibration), note=note)
        return
    start = view.figures["bins_anew"]
    note = t("At the start; bins and weights anew on each fold · {who}", who=_who(start.n, start.n_bad))
    headline("AUC", *figure_text(start), note=note)


def _who(n: int, n_bad: int) -> str:
    return population(n, n_bad)


def _effect_text(view: CardView) -> str:
    too_good = t("Bins have seen these rows, so it is too good: use it to compare changes.")
    if not view.effects:
        return too_good
    return t("Last change: {effect} · {note}", effect=effect_words(view.effects[-1]), note=too_good)


def effect_words(effect: Effect) -> str:
    """Return what a change did to the AUC, and whether that can be told at all."""
    value, low, high = (
        formats.signed(number).replace("-", "−") for number in (effect.difference, effect.low, effect.high)
    )
    ends = f"[{low}, {high}]"
    if effect.low <= 0 <= effect.high:
        return t("{value} {ends}, which cannot be told from none", value=value, ends=ends)
    return f"{value} {ends}"


def characteristic_list(view: CardView) -> str:
    """Draw the characteristics, the strongest first, and return the one that is looked at."""
    rows = {row.alias: row for row in view.rows}
    panel_title(t("Characteristics"), t("By information value on the training rows."))
    kept = recall("characteristic")
    aliases = list(rows)
    with st.container(height=860, border=False):
        chosen = st.radio(
            t("Characteristic"),
            aliases,
            index=aliases.index(kept) if kept in rows else 0,
            format_func=lambda alias: name_of(rows[alias]),
            captions=[_caption(row) for row in view.rows],
            label_visibility="collapsed",
            key=f"characteristic_choice_{language()}",
        )
    remember("characteristic", chosen)
    return str(chosen)


def name_of(row: CharacteristicRow) -> str:
    """Return a characteristic's name in the session's language."""
    return row.titles.get(language(), row.alias)


def _caption(row: CharacteristicRow) -> str:
    state = t("on the card") if row.is_on else t("off the card")
    if row.is_weighed_out:
        state = t("left out: beside the others it contradicts its evidence")
    return " · ".join([f"IV {formats.metric(row.information_value)}", shape_name(row.shape), state])


def shape_name(shape: str) -> str:
    """Return how the weight of evidence runs, in words."""
    return {
        "flat": t("flat"),
        "rising": t("rising"),
        "falling": t("falling"),
        "peak": t("one peak"),
        "valley": t("one valley"),
        "mixed": t("up and down"),
    }[shape]


def findings_panel(view: CardView) -> None:
    """Draw what is to be known about the card, where there is anything."""
    if view.findings:
        with st.container(key="panel_findings"):
            panel_title(t("What the checks found"))
            findings(view.findings)


def changes_table(view: CardView) -> None:
    """Draw every change: who, when, what, why, and the information value before and after."""
    panel_title(t("Changes"), t("Kept in the audit trail too, and in the bundle of a registered card."))
    if not view.changes:
        st.caption(t("None yet: the bins are as they were fitted."))
        return
    rows = [
        (
            escape(exact(row.at)),
            escape(row.by),
            escape(row.names.get(language(), row.alias)) or "–",
            html(row.what),
            escape(row.note) or "–",
            " → ".join(map(formats.metric, row.information_value)) if row.information_value else "–",
        )
        for row in reversed(view.changes)
    ]
    table((t("When"), t("Who"), t("Characteristic"), t("What"), t("Why"), t("IV")), rows, numbers=(5,))


def scale_form(place: Here, view: CardView) -> None:
    """Draw the form of the scale."""
    panel_title(t("Scale"), t("It changes how points are written, not the order of cases."))
    scale = view.scale
    with st.form("scale", border=False):
        first, second, third, fourth = st.columns(4)
        points = first.number_input(t("Base points"), value=scale.base_points, step=10.0, format="%g")
        odds = second.number_input(t("Goods to one bad there"), value=scale.base_odds, min_value=0.01, format="%g")
        pdo = third.number_input(t("Points that double the odds"), value=scale.pdo, min_value=0.01, format="%g")
        decimals = fourth.number_input(t("Decimals"), value=scale.decimals, min_value=0, max_value=6)
        note = st.text_input(t("Why"), placeholder=t("Reason, kept in the audit trail"))
        if st.form_submit_button(t("Set the scale"), disabled=not place.can("model.train")):
            chosen = Scale(float(points), float(odds), float(pdo), int(decimals))
            ask_change(place, Change("scale", scale=chosen), note, view.n_changes)
            st.rerun()


def start_button(place: Here, label: str) -> None:
    """Draw the choice of weights, and the button that fits bins anew."""
    options = ["", "evidence", "joint", "boosted"]
    weights = st.selectbox(
        t("How bins are weighed"), options, width=360, key=f"weights_{language()}",
        format_func=lambda kind: weights_name(kind) if kind else t("What cross-validation finds best"),
    )  # fmt: skip
    if st.button(label, type="primary", disabled=not place.can("model.train")):
        ask_for(place, "scorecard", {"action": "start", "weights": weights or None})
        st.rerun()
    if not place.can("model.train"):
        st.caption(t("A scorecard is made by a risk analyst."))


def register_action(place: Here, view: CardView) -> None:
    """Draw the page's main action, and where the versions made of this card went."""
    with st.container(horizontal=True, vertical_alignment="center", key="register_row"):
        if st.button(t("Register as a draft version"), type="primary", disabled=not place.can("model.train")):
            ask_for(place, "scorecard", {"action": "register"})
            st.rerun()
        if view.registered:
            draw(chip(t("registered as {versions}", versions=", ".join(f"v{n}" for n in view.registered)), "good"))
            st.page_link(PAGES["review"], label=t("Take it to review"), icon=":material/arrow_forward:")
        elif view.n_changes:
            draw(chip(t("not registered yet"), "watch"))
