"""Review: is the evidence good enough to sign?"""

from collections.abc import Callable
from datetime import UTC, datetime, time
from html import escape

import streamlit as st

from core.errors import WorkbenchError
from core.i18n import formats
from reporting import figures
from workbench.flows import review, scorecard_exchange, training
from workbench.flows.review import Check, Dossier
from workbench.ui.charts import chart
from workbench.ui.empty_project import project_or_stop
from workbench.ui.evaluation_view import evaluation_panels, figure_text, population
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import chip, empty, findings, panel_title, show_error, table
from workbench.ui.scorecard_files import printed_card
from workbench.ui.session import Here, theme
from workbench.ui.texts import html, language, say, t
from workbench.ui.times import day, exact
from workbench.ui.versions import choose_version, state_chip, state_word

_WORDS = {"good": "good", "watch": "watch", "bad": "bad"}


def _sentence(waiting: int) -> str:
    if waiting:
        return t("{n} versions wait for a reviewer. Nobody signs a model of their own.", n=waiting)
    return t("Nothing waits for a reviewer. Nobody signs a model of their own.")


def _identity(sheet: Dossier) -> None:
    version = sheet.version
    panel_title(t("Version {n}", n=version.number))
    table(
        ("", ""),
        [
            (escape(t("State")), state_chip(version.state)),
            (escape(t("Predicts")), escape(sheet.label.get(language()) or sheet.label.get("en", ""))),
            (escape(t("Author")), f"{escape(version.author)}, {escape(exact(version.created_at))}"),
            (escape(t("Features")), str(version.n_features)),
            (escape(t("Bundle")), f'<span class="mono">{escape(sheet.bundle_hash[:24])}</span>'),
            (escape(t("Data")), f'<span class="mono">{escape(sheet.data_fingerprint[:24])}</span>'),
            *([(escape(t("Conditions")), escape(sheet.conditions))] if sheet.conditions else []),
            *([(escape(t("Expires")), escape(day(sheet.expires_at)))] if sheet.expires_at else []),
        ],
    )


def _checks(checks: tuple[Check, ...]) -> None:
    words = {"good": t("good"), "watch": t("look at"), "bad": t("act on")}
    panel_title(t("Evidence"), t("What a reviewer asks first; the pictures are below."))
    table(
        ("", t("Check"), t("Figure"), ""),
        [
            (
                chip(words[check.state], _WORDS[check.state]),
                html(check.title),
                f'<span class="nowrap">{escape(check.figure)}</span>',
                f'<span class="muted">{html(check.text)}</span>',
            )
            for check in checks
        ],
    )


def _comparison(sheet: Dossier) -> None:
    if not any(item.champion for item in sheet.comparison):
        return
    panel_title(t("Beside the champion"), t("Each on its own test sample."))
    table(
        (t("Metric"), t("This version"), t("Champion")),
        [
            (
                escape(item.metric.upper()),
                " ".join(figure_text(item.version))
                + f' <span class="caption">{population(item.version.n, item.version.n_bad)}</span>',
                " ".join(figure_text(item.champion)),
            )
            for item in sheet.comparison
        ],
    )


def _importance(sheet: Dossier) -> None:
    figure = figures.importance_bars(
        [sheet.feature_names.get(item.alias, {}).get(language(), item.alias) for item in sheet.explanation.importances],
        [item.mean_abs for item in sheet.explanation.importances],
        limit=12,
        language=language(),
        theme=theme(),
    )
    chart(figure, "review_importance")


def _sign(place: Here, sheet: Dossier) -> None:
    number = sheet.version.number
    panel_title(t("Decide"))
    if sheet.version.state in {"approved", "rejected", "retired"}:
        st.caption(t("Nothing to decide: the version is {state}.", state=state_word(sheet.version.state)))
        return
    reasons = {say(action.reason) for action in sheet.actions if action.name != "deploy" and action.reason}
    if not any(action.allowed for action in sheet.actions if action.name != "deploy"):
        for reason in sorted(reasons):
            st.caption(reason)
        return
    note = st.text_area(t("Note"), key=f"note_{number}", placeholder=t("What was looked at, and why this decision"))
    conditions, expires = "", None
    if sheet.action("approve").allowed:
        left, right = st.columns(2)
        conditions = left.text_input(t("Conditions of use"), key=f"conditions_{number}")
        chosen = right.date_input(t("Valid until"), value=None, key=f"expires_{number}")
        expires = datetime.combine(chosen, time(), UTC) if chosen else None
    with st.container(horizontal=True):
        _button(
            sheet,
            "submit",
            t("Submit for review"),
            lambda: review.submit(place.ctx, place.name, number, note=note),
        )
        _button(
            sheet,
            "approve",
            t("Approve"),
            lambda: review.approve(place.ctx, place.name, number, note=note, conditions=conditions, expires_at=expires),
        )
        _button(
            sheet,
            "request_changes",
            t("Request changes"),
            lambda: review.request_changes(place.ctx, place.name, number, note=note),
        )
        _button(sheet, "reject", t("Reject"), lambda: review.reject(place.ctx, place.name, number, note=note))


def _button(sheet: Dossier, name: str, label: str, act: Callable[[], None]) -> None:
    action = sheet.action(name)
    if not action.allowed:
        return
    kind = "primary" if name in {"submit", "approve"} else "secondary"
    if st.button(label, key=f"{name}_{sheet.version.number}", type=kind):  # type: ignore[arg-type]
        try:
            act()
        except WorkbenchError as error:
            show_error(error)
            return
        st.rerun()


def _history(sheet: Dossier) -> None:
    if not sheet.events:
        return
    panel_title(t("History"))
    table(
        (t("When"), t("Who"), t("What"), t("Note")),
        [
            (
                escape(exact(event.at)),
                escape(event.actor),
                escape(_action_word(event.action)),
                escape(event.note) or "–",
            )
            for event in sheet.events
        ],
    )


def _action_word(action: str) -> str:
    words = {
        "register": t("registered"),
        "submit": t("submitted"),
        "approve": t("approved"),
        "reject": t("rejected"),
        "request_changes": t("changes requested"),
        "retire": t("retired"),
    }
    return words.get(action, state_word(action))


def _features(sheet: Dossier) -> None:
    with st.expander(t("All {n} features", n=len(sheet.features))):
        table(
            (t("Feature"), t("From"), t("Window"), t("Missing"), t("Information value")),
            [
                (
                    escape(row.names.get(language(), row.alias)),
                    f'<span class="mono muted">{escape(row.table)}</span>',
                    escape(row.window or "–"),
                    formats.percent(row.missing_rate),
                    formats.metric(row.information_value),
                )
                for row in sheet.features
            ],
            numbers=(3, 4),
        )


def _main() -> None:
    place = project_or_stop(t("Review"))
    rows = training.versions(place.ctx, place.name)
    waiting = review.pending(place.ctx, place.name)
    header(place, t("Is the evidence good enough to sign?"), _sentence(len(waiting)))
    if not rows:
        with st.container(key="panel_no_versions"):
            empty(t("No version yet"), t("Each trained model becomes a version with its evidence and its signatures."))
        st.page_link(PAGES["train"], label=t("Train a model"), icon=":material/arrow_forward:")
        return
    version = choose_version(rows, "review_version", waiting[0].number if waiting else None)
    sheet = review.dossier(place.ctx, place.name, version.number)
    left, right = st.columns([0.4, 0.6], gap="small")
    with left:
        with st.container(key="panel_identity"):
            _identity(sheet)
        with st.container(key="panel_sign"):
            _sign(place, sheet)
    with right, st.container(key="panel_checks"):
        _checks(sheet.checks)
        _comparison(sheet)
    if sheet.findings:
        with st.container(key="panel_findings"):
            panel_title(t("Findings"))
            findings(sheet.findings, sheet.feature_names)
    with st.container(key="panel_importance"):
        _importance(sheet)
    if version.number in scorecard_exchange.versions(place.ctx, place.name):
        with st.expander(t("Points of every bin, as they are printed")):
            printed_card(place, version.number)
    evaluation_panels(sheet.evaluation, "review")
    with st.container(key="panel_history"):
        _history(sheet)
    _features(sheet)
    st.page_link(PAGES["reasons"], label=t("Reason codes of the version"), icon=":material/arrow_forward:")
    if sheet.action("deploy").allowed:
        st.page_link(PAGES["deploy"], label=t("Deploy it"), icon=":material/arrow_forward:")


_main()
