"""Deploy: what serves now, since when, and what would be next?"""

import json
from html import escape

import streamlit as st

from core.errors import WorkbenchError
from core.i18n import formats
from workbench.flows import deployment, scoring
from workbench.flows.deployment import DeploymentEvent, DeploymentState
from workbench.flows.snapshots import SnapshotState
from workbench.ui.answer_view import answer_view
from workbench.ui.deploy_parts import beside_panel, change_panel, slot_word
from workbench.ui.empty_project import project_or_stop
from workbench.ui.evaluation_view import figure_text
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import chip, draw, empty, figures, headline, panel_title, show_error, table
from workbench.ui.session import Here
from workbench.ui.texts import html, t
from workbench.ui.times import ago, exact
from workbench.ui.work import ask_for, watch


def _sentence(state: DeploymentState) -> str:
    if state.champion is None:
        return t("Nothing serves yet: an approved version can be put to work here.")
    if state.live is not None:
        return t(
            "Version {n} has answered since {moment}, version {rival} for {share} of the enterprises; scores so far: "
            "{scored}.",
            n=state.champion.version.number,
            moment=exact(state.champion.since),
            rival=state.live.version.number,
            share=formats.percent(state.live.share),
            scored=formats.count(state.n_scored),
        )
    return t(
        "Version {n} has answered since {moment}; scores so far: {scored}.",
        n=state.champion.version.number,
        moment=exact(state.champion.since),
        scored=formats.count(state.n_scored),
    )


def _champion(state: DeploymentState) -> None:
    champion = state.champion
    if champion is None:
        empty(
            t("No champion"), t("The version that answers business systems stands here, with who put it there and why.")
        )
        return
    headline(
        t("Champion"),
        f"v{champion.version.number}",
        note=t("put there by {name}, {moment}", name=champion.by, moment=exact(champion.since)),
    )
    ks, ks_interval = figure_text(champion.version.ks)
    table(
        ("", ""),
        [
            (escape(t("Reason")), escape(champion.reason) or "–"),
            ("KS", f"{ks} {ks_interval}"),
            (escape(t("Bundle")), f'<span class="mono">{escape(champion.bundle_hash[:24])}</span>'),
            (escape(t("Scores so far")), formats.count(state.n_scored)),
            (escape(t("Last score")), escape(ago(state.last_scored_at))),
        ],
    )


def _snapshot(place: Here, state: DeploymentState) -> None:
    snapshot = state.snapshot
    panel_title(
        t("Score by id"),
        t("An online snapshot of the tables, so that a business system may send an id instead of all its rows."),
    )
    if snapshot.problem is not None:
        show_error(snapshot.problem)
    elif not snapshot.is_there:
        empty(t("No online snapshot"), t("It is made when a version is deployed, and again after newer data."))
    else:
        _snapshot_figures(snapshot)
    if snapshot.due is not None:
        draw(f'<div class="caption">{chip(t("to publish"), "watch")} {html(snapshot.due)}</div>')
    is_busy = watch(place, ["snapshot"])
    if not place.can("snapshot.publish"):
        st.caption(t("Publishing needs the role of operator."))
    elif state.slots and not is_busy and st.button(t("Publish now"), key="publish_snapshot"):
        ask_for(place, "snapshot", {})
        st.rerun()


def _snapshot_figures(snapshot: SnapshotState) -> None:
    largest = sorted(snapshot.n_rows.items(), key=lambda item: -item[1])
    figures(
        [
            (t("Data up to"), exact(snapshot.as_of), t("each answer says so")),
            (t("Published"), ago(snapshot.published_at), exact(snapshot.published_at)),
            (
                t("Rows"),
                formats.count(sum(snapshot.n_rows.values())),
                t("{n} tables, {size} MB", n=len(largest), size=f"{snapshot.size_bytes / 1e6:,.1f}"),
            ),
            (t("Kept in"), "PostgreSQL" if snapshot.store == "postgresql" else "SQLite", t("swapped at once")),
        ]
    )
    with st.expander(t("Rows by table")):
        rows = [(f'<span class="mono">{escape(name)}</span>', formats.count(n)) for name, n in largest]
        table((t("Table"), t("Rows")), rows, numbers=(1,))


def _history(state: DeploymentState) -> None:
    panel_title(t("History"), t("Who put what where, when and why; never rewritten."))
    if not state.history:
        empty(t("Nothing yet"), t("Each change of a slot is kept here."))
        return
    table(
        (t("When"), t("Slot"), t("Version"), t("Before"), t("Who"), t("Reason")),
        [
            (
                escape(exact(event.at)),
                escape(slot_word(event.slot)),
                _version_cell(event),
                f"v{event.previous}" if event.previous else "–",
                escape(event.by),
                (f"{chip(t('roll-back'), 'watch')} " if event.is_rollback else "") + escape(event.reason),
            )
            for event in state.history
        ],
    )


def _version_cell(event: DeploymentEvent) -> str:
    if event.version is None:
        return "–"
    share = f' <span class="caption">{formats.percent(event.share)}</span>' if event.share else ""
    return f"v{event.version}{share}"


def _try_it(place: Here, state: DeploymentState) -> None:
    panel_title(t("Ask it"), t("Raw rows in, probability, score, grade and reasons out."))
    if state.champion is None:
        st.caption(t("Nothing serves yet."))
        return
    if not place.can("model.score"):
        st.caption(t("Scoring needs the role of risk analyst or operator."))
        return
    try:
        examples = scoring.example_keys(place.ctx, place.name)
    except WorkbenchError as error:
        show_error(error)
        return
    key = st.selectbox(t("Case"), examples, accept_new_options=True, key="deploy_case")
    if not key:
        return
    try:
        with st.spinner(t("Gathering the case's rows and scoring them")):
            payload = scoring.payload(place.ctx, place.name, str(key))
            answer = scoring.score(place.ctx, place.name, payload.tables, key=payload.key, as_of=payload.cutoff)
    except WorkbenchError as error:
        show_error(error)
        return
    answer_view(answer)
    body = {
        "project": payload.project,
        "key": payload.key,
        "as_of": payload.cutoff.isoformat(),
        "tables": payload.tables,
    }
    with st.expander(t("The same over HTTP")):
        st.code(
            f"curl -s {state.scorer_url}/v1/score \\\n  -H 'Authorization: Bearer YOUR_KEY' \\\n"
            f"  -H 'Content-Type: application/json' \\\n  -d @request.json",
            language="bash",
        )
        text = json.dumps(body, ensure_ascii=False, indent=1, default=str)
        st.download_button("request.json", text, file_name="request.json", mime="application/json", on_click="ignore")
        st.code(text if len(text) < 4000 else text[:4000] + "\n…", language="json", height=320)


def _main() -> None:
    place = project_or_stop(t("Deploy"))
    state = deployment.state(place.ctx, place.name)
    header(place, t("What answers now?"), _sentence(state))
    left, right = st.columns(2, gap="small")
    with left, st.container(key="panel_champion", height="stretch"):
        _champion(state)
    with right, st.container(key="panel_change", height="stretch"):
        change_panel(place, state)
    if state.champion is not None:
        with st.container(key="panel_beside"):
            beside_panel(place, state)
    if state.champion is None and not state.deployable:
        st.page_link(PAGES["review"], label=t("Review a version"), icon=":material/arrow_forward:")
    with st.container(key="panel_snapshot"):
        _snapshot(place, state)
    with st.container(key="panel_try"):
        _try_it(place, state)
    with st.container(key="panel_history"):
        _history(state)


_main()
