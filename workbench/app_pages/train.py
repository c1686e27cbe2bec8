"""Train: how well can the future be told from these features, and by which model?"""

from html import escape

import streamlit as st

from automl.families.titles import family_title
from core.i18n import formats
from reporting import figures
from workbench.flows import features, projects, training
from workbench.flows.training import CandidateRow, TrainResult
from workbench.ui.charts import chart
from workbench.ui.empty_project import project_or_stop
from workbench.ui.evaluation_view import evaluation_panels, figure_text, population, sample_name
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import action, chip, empty, findings, headline, panel_title, table
from workbench.ui.session import Here, theme
from workbench.ui.texts import capital, language, say, t
from workbench.ui.times import ago
from workbench.ui.versions import state_chip
from workbench.ui.work import ask_for, watch

_BUDGETS = {"quick": "60s", "standard": "240s", "thorough": "1500s"}


def _sentence(result: TrainResult | None) -> str:
    if result is None:
        return t("No model yet: training tunes boosted trees and a scorecard's logistic baseline in one race.")
    version = t("version {n}", n=result.version) if result.version else t("not registered")
    return t(
        "{family} chosen among {n} candidates on {features} features; {version}, trained {age}.",
        family=family_name(result.family),
        n=len(result.leaderboard),
        features=result.n_features,
        version=version,
        age=ago(result.finished_at),
    )


def family_name(family: str) -> str:
    """Return a model family's name in the session's language."""
    return capital(family_title(family).text(language()))


def _start(place: Here) -> None:
    spec = projects.spec(place.ctx, place.name)
    panel_title(t("Train"), t("Known good settings first, then a search. Finish early keeps the best so far."))
    preset = st.segmented_control(
        t("Effort"),
        list(_BUDGETS),
        default="standard",
        required=True,
        format_func=lambda key: {
            "quick": t("Quick (≤ 1 min)"),
            "standard": t("Standard (≤ 4 min)"),
            "thorough": t("Thorough (≤ 25 min)"),
        }[key],
    )
    chosen = st.multiselect(
        t("Families"), spec.training.families, default=spec.training.families, format_func=family_name
    )
    blocked = not chosen or not place.can("model.train")
    if st.button(t("Train a model"), type="primary", disabled=blocked):
        ask_for(place, "train", {"budget": _BUDGETS[str(preset)], "families": chosen})
        st.rerun()
    if not place.can("model.train"):
        st.caption(t("Training needs the role of risk analyst."))


def _summary(result: TrainResult) -> None:
    left, right, third = st.columns([0.3, 0.3, 0.4], gap="small")
    note = f"{sample_name(result.ks.sample)} · {population(result.ks.n, result.ks.n_bad)}"
    with left, st.container(key="panel_ks", height="stretch"):
        headline("KS", *figure_text(result.ks), note=note)
    with right, st.container(key="panel_auc", height="stretch"):
        headline("AUC", *figure_text(result.auc), note=note)
    with third, st.container(key="panel_split", height="stretch"):
        panel_title(t("Samples"))
        table(
            ("", t("Cases"), t("Bads")),
            [
                (escape(capital(sample_name(name))), formats.count(n), formats.count(bads))
                for name, (n, bads) in result.sample_counts.items()
            ],
            numbers=(1, 2),
        )
        if result.out_of_time_not_applicable is not None:
            st.caption(t("Out-of-time: not applicable. {reason}", reason=say(result.out_of_time_not_applicable)))


def _leaderboard(result: TrainResult) -> None:
    panel_title(t("Candidates"), t("Cross-validation inside the training period; an entity is in one fold only."))
    table(
        (t("Candidate"), "AUC", t("Behind the best"), t("Log-loss"), t("Trials"), t("Seconds")),
        [_candidate(row) for row in result.leaderboard],
        numbers=(1, 2, 3, 4, 5),
    )
    st.caption(say(result.verdict))


def _candidate(row: CandidateRow) -> tuple[str, ...]:
    chosen = f" {chip(t('chosen'), 'brand')}" if row.is_chosen else ""
    return (
        escape(family_name(row.family)) + chosen,
        _cell(*figure_text(row.auc)),
        _behind(row),
        _cell(*figure_text(row.log_loss)),
        str(row.n_trials),
        f"{row.seconds:.0f}",
    )


def _cell(value: str, interval: str) -> str:
    return f'{value} <span class="caption">{interval}</span>'


def _behind(row: CandidateRow) -> str:
    if row.behind is None:
        return "–"
    value, low, high = row.behind
    note = "" if row.can_be_told else f'<div class="caption">{escape(t("cannot be told apart"))}</div>'
    return _cell(formats.metric(value), formats.interval(low, high)) + note


def _trials(result: TrainResult) -> None:
    if not result.trials:
        return
    figure = figures.trials_progress(
        [float("nan") if trial.value is None else trial.value for trial in result.trials],
        families=[family_name(trial.family) for trial in result.trials],
        sample=t("cross-validation"),
        language=language(),
        theme=theme(),
    )
    chart(figure, "trials")


def _versions(place: Here) -> None:
    rows = training.versions(place.ctx, place.name)
    if not rows:
        return
    panel_title(t("Versions"))
    table(
        (t("Version"), t("State"), t("Model"), "KS", "AUC", t("Features"), t("Author"), t("Trained")),
        [
            (
                f"v{row.number}" + (f" {chip(t('champion'), 'brand')}" if row.is_champion else ""),
                state_chip(row.state),
                escape(family_name(row.family)),
                " ".join(figure_text(row.ks)),
                " ".join(figure_text(row.auc)),
                str(row.n_features),
                escape(row.author),
                escape(ago(row.created_at)),
            )
            for row in rows
        ],
        numbers=(5,),
    )


def _main() -> None:
    place = project_or_stop(t("Train"))
    result = training.stored(place.ctx, place.name)
    header(place, t("How well can it tell good from bad?"), _sentence(result))
    is_busy = watch(place, ("train",))
    if features.stored(place.ctx, place.name) is None:
        with st.container(key="panel_no_features"):
            empty(t("No features yet"), t("A model is trained on the project's feature matrix."))
        st.page_link(PAGES["features"], label=t("Build features"), icon=":material/arrow_forward:")
        return
    if not is_busy:
        with action(t("Train again"), "start", is_first=result is None):
            _start(place)
    if result is not None:
        _summary(result)
        with st.container(key="panel_candidates"):
            _leaderboard(result)
        if result.findings:
            with st.container(key="panel_findings"):
                findings(result.findings)
        evaluation_panels(result.evaluation, "train")
        with st.container(key="panel_trials"):
            _trials(result)
        with st.container(key="panel_versions"):
            _versions(place)
        st.page_link(PAGES["review"], label=t("Take it to review"), icon=":material/arrow_forward:")


_main()
