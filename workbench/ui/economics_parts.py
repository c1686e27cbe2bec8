"""The parts of the Economics page: one cutoff's figures, curves, limits, swap sets, assumptions, two versions."""

from html import escape

import numpy as np
import streamlit as st

from automl.economics.assumptions import Assumption, title
from automl.economics.cutoffs import Curve
from core.errors import WorkbenchError
from core.i18n import Message, formats, msg
from reporting import figures
from workbench.flows import economics, evaluation
from workbench.flows.economics import EconomicsResult
from workbench.ui.charts import chart
from workbench.ui.pieces import chip, panel_title, show_error, table
from workbench.ui.pieces import figures as figure_row
from workbench.ui.session import Here, theme
from workbench.ui.state import recall, remember
from workbench.ui.texts import capital, language, say, t

__all__ = [
    "assumption_form", "assumptions_panel", "chosen_step", "curves_panel", "limits_panel", "models_panel",
    "step_figures", "swaps_panel",
]  # fmt: skip


def chosen_step(result: EconomicsResult) -> int:
    """Draw the cutoff that moves and return its step."""
    curves = result.trade_off
    points = result.scale.points(curves.cutoff)
    rates = curves.approval_rate
    words = {
        i: t("{rate} approved · up to {p} probability · from {points} points", rate=formats.percent(rates[i], 0),
             p=formats.percent(curves.cutoff[i]), points=formats.count(points[i]))
        for i in range(len(rates))
    }  # fmt: skip
    start = curves.best if curves.best_within is None else curves.best_within
    return int(
        st.select_slider(
            t("Cutoff"),
            list(words),
            value=start,
            format_func=lambda i: words.get(i, str(i)),
            key=f"cutoff_{result.version}",
        )
    )


def _money(result: EconomicsResult, amount: float) -> str:
    return formats.money_cny(amount * result.cny_per_unit, language())


def _money_interval(result: EconomicsResult, curve: Curve, step: int) -> str:
    return t("95% interval {low} to {high}", low=_money(result, curve.low[step]), high=_money(result, curve.high[step]))


def step_figures(result: EconomicsResult, step: int) -> None:
    """Draw what the chosen cutoff costs and brings."""
    curves, settings = result.trade_off.curves, result.settings
    panel_title(
        t("At this cutoff"),
        t("{n} of {all} applicants from {first} to {last} approved; every one is taken to sign what was asked for.",
          n=formats.count(result.trade_off.n_approved[step]), all=formats.count(len(result.applicants)),
          first=result.first, last=result.last),
    )  # fmt: skip
    rows = [
        (t("Net income"), _money(result, curves["net"].value[step]), _money_interval(result, curves["net"], step)),
        (t("Fee income"), _money(result, curves["fee"].value[step]), t("over the whole terms")),
        (t("Expected loss borne"), _money(result, curves["loss"].value[step]),
         _money_interval(result, curves["loss"], step)),
        (t("Subrogation rate"), formats.percent(curves["subrogation_rate"].value[step]),
         t("ceiling {limit}", limit=formats.percent(settings.subrogation_ceiling))),
    ]  # fmt: skip
    if "leverage" in curves:
        limit = result.trade_off.leverage_limit[step]
        rows.append(
            (t("Leverage multiple"), f"{curves['leverage'].value[step]:.1f}×", t("limit {n}×", n=f"{limit:.0f}"))
        )
    floor = formats.percent(settings.small_share_floor, 0)
    rows.append((t("Small and agricultural"), formats.percent(curves["small_share"].value[step]),
                 t("of the amount; at least {limit}", limit=floor)))  # fmt: skip
    figure_row(rows)
    observed = result.trade_off.observed_bad_rate
    st.caption(
        t("Bad rate of the approved: {expected} expected; {observed} [{low}, {high}] observed among the {n} with an "
          "outcome.",
          expected=formats.percent(curves["bad_rate"].value[step]), observed=formats.percent(observed.value[step]),
          low=formats.percent(observed.low[step]), high=formats.percent(observed.high[step]),
          n=formats.count(result.trade_off.n_with_outcome[step]))
    )  # fmt: skip


def curves_panel(result: EconomicsResult, step: int) -> None:
    """Draw fee, loss and net income against the approval rate."""
    curves, unit = result.trade_off, result.cny_per_unit
    net = curves.curves["net"]
    chart(
        figures.net_by_approval(
            curves.approval_rate,
            curves.curves["fee"].value * unit,
            curves.curves["loss"].value * unit,
            (net.value * unit, net.low * unit, net.high * unit),
            best=curves.best,
            best_interval=(curves.best_low, curves.best_high),
            chosen=step,
            policy_rate=result.policy_rate,
            language=language(),
            theme=theme(),
        ),
        "net_income",
    )


_Limit = tuple[str, Message, "float | np.ndarray", Message, bool, bool]


def limits_panel(result: EconomicsResult) -> None:
    """Draw what must keep to a limit."""
    curves, settings = result.trade_off, result.settings
    wanted: list[_Limit] = [
        ("subrogation_rate", msg("Subrogation rate"), settings.subrogation_ceiling, msg("ceiling"), True, False)
    ]
    if "leverage" in curves.curves:
        wanted.append(("leverage", msg("Leverage multiple"), curves.leverage_limit, msg("limit"), False, False))
    wanted.append(("small_share", msg("Small and agri share"), settings.small_share_floor, msg("floor"), True, True))
    for column, (key, name, limit, limit_name, is_ratio, is_floor) in zip(st.columns(len(wanted)), wanted, strict=True):
        curve = curves.curves[key]
        with column:
            chart(
                figures.limit_by_approval(
                    curves.approval_rate,
                    (curve.value, curve.low, curve.high),
                    limit,
                    name=name,
                    limit_name=limit_name,
                    is_ratio=is_ratio,
                    is_floor=is_floor,
                    language=language(),
                    theme=theme(),
                ),
                key,
            )
    if curves.best_within is None:
        st.caption(t("No approval rate keeps within all limits."))
    elif curves.best_within != curves.best:
        rate = formats.percent(curves.approval_rate[curves.best_within], 0)
        st.caption(t("Within all limits, approving {rate} brings most.", rate=rate))


def swaps_panel(result: EconomicsResult, step: int) -> None:
    """Draw who changes sides against the present policy."""
    sets = economics.swaps(result, step)
    panel_title(t("Against the present policy"), t("Who would change sides at this cutoff."))
    if not sets:
        st.caption(t("Decisions are not recorded, so there is no present policy to compare with."))
        return
    names = {
        "both_approve": t("Approved by both"),
        "newly_approved": t("Newly approved"),
        "newly_declined": t("Newly declined"),
        "both_decline": t("Declined by both"),
    }
    nothing = t("no outcome")
    table(
        (
            t("Side taken"),
            t("Applicants"),
            t("Amount"),
            t("Expected bad rate"),
            t("Observed bad rate"),
            t("With outcome"),
        ),
        [
            (
                escape(names[one.name]),
                formats.count(one.n),
                escape(_money(result, one.amount)),
                _rate(one.expected, one.expected_low, one.expected_high),
                escape(nothing) if one.not_applicable else _rate(one.observed, one.low, one.high),
                formats.count(one.n_known),
            )
            for one in sets
        ],
        numbers=(1, 2, 3, 4, 5),
    )
    reasons = dict.fromkeys(one.not_applicable.text(language()) for one in sets if one.not_applicable)
    for reason in reasons:
        st.caption(capital(reason) + t("."))


def _rate(value: float, low: float, high: float) -> str:
    bounds = f"[{formats.percent(low)}, {formats.percent(high)}]"
    return f'{formats.percent(value)} <span class="caption">{bounds}</span>'


def assumptions_panel(result: EconomicsResult) -> None:
    """Draw what is assumed and where it is from."""
    found = result.assumptions
    panel_title(
        t("What is assumed"), t("Loss = probability × subrogated if so × exposure × loss given default × share.")
    )
    table(
        (t("Figure"), t("Value"), t("95% interval"), t("Source")),
        [
            (
                escape(capital(say(title(item.name)))),
                formats.percent(item.value, 2),
                f"[{formats.percent(item.low, 2)}, {formats.percent(item.high, 2)}]" if item.n else formats.MISSING,
                _source(item),
            )
            for item in found.items.values()
        ],
        numbers=(1, 2),
    )
    bearers = {"bank": t("bank"), "reguarantor": t("re-guarantor"), "government": t("government")}
    if found.shares:
        shown = ", ".join(f"{bearers.get(who, who)} {formats.percent(share)}" for who, share in found.shares.items())
        st.caption(t("Others bear: {shares} of what was subrogated.", shares=shown))
    if found.recovered_months:
        st.caption(
            t("Recoveries are followed for {n} months, each subrogation as long as it is known, discounted at {rate} a "
              "year; what comes later counts as nothing.",
              n=found.recovered_months, rate=formats.percent(result.settings.discount_rate))
        )  # fmt: skip


def _source(item: Assumption) -> str:
    if item.source == "by_hand":
        return chip(t("set by hand"), "watch")
    return escape(t("estimated from {n} records", n=formats.count(item.n)))


_FIELDS = ("loss_given_default", "exposure_at_default", "guarantor_share", "fee_rate", "subrogation_ceiling")


def assumption_form(place: Here) -> None:
    """Draw the form that sets figures by hand; an empty field keeps the project's setting or the estimate."""
    kept: dict[str, float] = dict(recall(f"by_hand_{place.name}", {}))
    words = {
        "loss_given_default": t("Loss given default (%)"),
        "exposure_at_default": t("Exposure at default (%)"),
        "guarantor_share": t("The guarantor's share (%)"),
        "fee_rate": t("Fee per year (%)"),
        "subrogation_ceiling": t("Subrogation ceiling (%)"),
    }
    with st.popover(t("Set by hand")), st.form("by_hand", border=False):
        st.caption(t("Left empty, a figure keeps the project's setting or is estimated from its records."))
        given = {
            name: st.number_input(
                words[name],
                min_value=0.0,
                max_value=200.0,
                value=100 * kept[name] if name in kept else None,
                step=0.1,
                key=f"set_{name}",
            )
            for name in _FIELDS
        }
        if st.form_submit_button(t("Weigh again"), type="primary"):
            remember(f"by_hand_{place.name}", {name: value / 100 for name, value in given.items() if value is not None})
            st.rerun()


def models_panel(place: Here, result: EconomicsResult, step: int) -> None:
    """Draw another version at the same approval rate, judged by outcomes."""
    panel_title(
        t("Two versions at the same approval rate"),
        t("Judged by what became of those with an outcome, not by either version's own expectation."),
    )
    others = [number for number in evaluation.version_numbers(place.ctx, place.name) if number != result.version]
    if not others:
        st.caption(t("There is one version only; train another to compare them on the same unseen rows."))
        return
    other = st.selectbox(t("Against version"), others, format_func=lambda n: f"v{n}", key="economics_other", width=200)
    try:
        rate = float(result.trade_off.approval_rate[step])
        found = economics.compare(place.ctx, place.name, result, int(other), rate)
    except WorkbenchError as error:
        show_error(error)
        return
    st.write(capital(say(found.verdict)) + t("."))
    table(
        (t("Figure"), f"v{result.version}", f"v{other}", t("Difference"), t("95% interval")),
        [
            (escape(t("Bad rate of the approved")), *(formats.percent(value, 2) for value in found.bad_rate[:3]),
             f"[{formats.percent(found.bad_rate[3], 2)}, {formats.percent(found.bad_rate[4], 2)}]"),
            (escape(t("Net income")), *(escape(_money(result, value)) for value in found.net[:3]),
             escape(f"[{_money(result, found.net[3])}, {_money(result, found.net[4])}]")),
        ],
        numbers=(1, 2, 3, 4),
    )  # fmt: skip
    st.caption(t("{n} rows with an outcome, {bads} bads; {swapped} approved by one version only.",
                 n=formats.count(found.n), bads=formats.count(found.n_bad),
                 swapped=formats.count(2 * found.n_swapped)))  # fmt: skip
