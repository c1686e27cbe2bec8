"""What a label yields before anything runs: live counts, vintages with the maturity of windows, roll rates."""

from html import escape

import streamlit as st

from automl.label import LabelSpec
from automl.rolls import RollSpec
from automl.vintages import RollRates, VintageStudy
from core.errors import WorkbenchError
from core.i18n import formats
from reporting import figures
from workbench.flows import labelling
from workbench.flows.context import Context
from workbench.flows.importing import ImportResult
from workbench.flows.labelling import LabelPreview
from workbench.ui.charts import chart
from workbench.ui.pieces import chip, empty, findings, panel_title, show_error, table
from workbench.ui.roll_choice import roll_choice
from workbench.ui.session import Here, theme
from workbench.ui.texts import language, t
from workbench.ui.times import day

__all__ = ["counts_panel", "roll_panel", "vintage_panel"]

_TTL_S = 3_600


@st.cache_data(ttl=_TTL_S, max_entries=40, show_spinner=False)
def _preview(_ctx: Context, project: str, data: str, spec: LabelSpec, fingerprint: str) -> LabelPreview:  # noqa: ARG001
    return labelling.preview(_ctx, project, spec)


@st.cache_data(ttl=_TTL_S, max_entries=20, show_spinner=False)
def _study(_ctx: Context, project: str, data: str, spec: LabelSpec, fingerprint: str) -> VintageStudy:  # noqa: ARG001
    return labelling.study(_ctx, project, spec)


@st.cache_data(ttl=_TTL_S, max_entries=20, show_spinner=False)
def _rolls(_ctx: Context, project: str, data: str, spec: RollSpec) -> RollRates:  # noqa: ARG001
    return labelling.rolls(_ctx, project, spec)


def _data(place: Here) -> str:
    from workbench.flows import importing

    stored = importing.stored(place.ctx, place.name)
    return stored.fingerprint if stored is not None else ""


def counts_panel(place: Here, spec: LabelSpec | None) -> None:
    """Draw how many cases are good, bad, neither and not known yet, as the form stands."""
    panel_title(t("What it yields"), t("Counted on the stored tables; nothing has been trained."))
    if spec is None:
        empty(t("Not whole yet"), t("Counts appear once the definition is whole."))
        return
    try:
        with st.spinner(t("Counting")):
            shown = _preview(place.ctx, place.name, _data(place), spec, spec.fingerprint)
    except WorkbenchError as error:
        show_error(error)
        return
    total = sum(shown.counts.values())
    rows = [(escape(_state(state)), formats.count(n), formats.percent(n / total)) for state, n in shown.counts.items()]
    table(("", t("Cases"), t("Share")), [*rows, (escape(t("In all")), formats.count(total), "")], numbers=(1, 2))
    labelled = shown.counts.get("good", 0) + shown.counts.get("bad", 0)
    if labelled:
        rate = shown.counts.get("bad", 0) / labelled
        st.caption(
            t("Bad rate {rate} of {n} labelled cases; observed from {first} to {last}.", rate=formats.percent(rate),
              n=formats.count(labelled), first=day(shown.first), last=day(shown.last))
        )  # fmt: skip
    if shown.problem is not None:
        show_error(shown.problem)
    findings(shown.findings)


def _state(state: str) -> str:
    return {
        "good": t("Good"),
        "bad": t("Bad"),
        "indeterminate": t("Indeterminate"),
        "immature": t("Immature: the window is still open"),
        "no_window": t("No window: never disbursed"),
        "already_bad": t("Bad before it was observed"),
        "late_cutoff": t("Observed after the window began"),
        "unlabelled": t("Without a label"),
    }[state]


def vintage_panel(place: Here, spec: LabelSpec | None) -> None:
    """Draw how vintages turn bad, and what windows of 12, 15 and 18 months see of it."""
    if spec is None or not spec.bad_when or spec.is_panel:
        panel_title(t("Vintages and maturity"))
        empty(
            t("Not for this label"),
            t("Curves follow each case from the beginning of its window to an event; choose applications and events."),
        )
        return
    try:
        with st.spinner(t("Following the cases")):
            study = _study(place.ctx, place.name, _data(place), spec, spec.fingerprint)
    except WorkbenchError as error:
        show_error(error)
        return
    chart(
        figures.vintage_curves(
            [item.quarter for item in study.vintages],
            [item.cumulative for item in study.vintages],
            [item.n for item in study.vintages],
            windows=[item.months for item in study.maturities],
            title=_finding(study, spec),
            sample=t("quarterly vintages"),
            language=language(),
            theme=theme(),
        ),
        "vintages",
    )
    _maturities(study, spec)


def _finding(study: VintageStudy, spec: LabelSpec) -> str:
    months = spec.performance_window_months
    held = next((item for item in study.maturities if item.months == months), None)
    if held is None:
        return t("No case has lived {n} months and turned bad, so maturity is not known", n=study.horizon_months)
    return t(
        "{n} months see {share} of those that turn bad within {h}",
        n=held.months,
        share=formats.percent(held.share),
        h=study.horizon_months,
    )


def _maturities(study: VintageStudy, spec: LabelSpec) -> None:
    if not study.maturities:
        return
    rows = [
        (
            escape(t("{n} months", n=item.months))
            + (f" {chip(t('this label'), 'brand')}" if item.months == spec.performance_window_months else ""),
            f'{formats.percent(item.share)} <span class="caption">'
            f"[{formats.percent(item.low)}, {formats.percent(item.high)}]</span>",
            formats.count(item.n_mature),
            formats.count(item.n_mature_bad),
        )
        for item in study.maturities
    ]
    header = (t("Window"), t("Sees of the eventual bads"), t("Cases with a closed window"), t("Bads among them"))
    table(header, rows, numbers=(1, 2, 3))
    st.caption(
        t("Eventual: within {h} months of the beginning, on {n} cases that have lived so long, {bads} of them bad.",
          h=study.horizon_months, n=formats.count(study.n_lived), bads=formats.count(study.maturities[0].n_bad))
    )  # fmt: skip


def roll_panel(place: Here, result: ImportResult) -> None:
    """Draw how contracts roll from month to month, and the choice of where instalments and subrogations lie."""
    held, is_chosen = labelling.rolls_chosen(place.ctx, place.name)
    drawn = st.container()
    with st.expander(t("Where instalments and subrogations lie"), expanded=held is None):
        spec = roll_choice(place, result, held, is_chosen=is_chosen)
    with drawn:
        _rolls_drawn(place, result, spec)


def _rolls_drawn(place: Here, result: ImportResult, spec: RollSpec | None) -> None:
    if spec is None:
        panel_title(t("Roll rates"))
        empty(t("No instalments found"), t("A table with a contract, a due date and a date of payment is needed."))
        return
    try:
        with st.spinner(t("Following the instalments")):
            rates = _rolls(place.ctx, place.name, _data(place), spec)
    except WorkbenchError as error:
        panel_title(t("Roll rates"))
        show_error(error)
        return
    titles = {table.name: table.label.get(language(), table.name) for table in result.tables}
    chart(
        figures.roll_matrix(
            [_roll_state(state) for state in rates.states],
            rates.counts,
            title=_roll_title(rates),
            sample=t("{table} and {other}, month ends {first} to {last}", table=titles[spec.table],
                     other=titles.get(spec.subrogation_table or "", "–"), first=rates.first, last=rates.last),
            language=language(),
            theme=theme(),
        ),
        "roll_rates",
    )  # fmt: skip


def _roll_title(rates: RollRates) -> str:
    late = sum(rates.counts[1])
    if not late:
        return t("No contract-month was up to 30 days overdue")
    worse = sum(rates.counts[1][2:])
    return t("Of contracts up to 30 days overdue, {share} are worse a month later", share=formats.percent(worse / late))


def _roll_state(state: str) -> str:
    return {"current": t("not overdue"), "subrogated": t("subrogated"), "91+": t("91 days and more")}.get(
        state, t("{range} days", range=state)
    )
