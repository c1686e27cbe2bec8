"""Train: how well can the future be told from these features, and by which model?"""

from html import escape

import streamlit as st

from automl.families import FAMILIES
from core.i18n import formats
from reporting import figures
from workbench.flows import features, model_signing, projects, training
from workbench.flows.training import TrainResult
from workbench.ui.charts import chart
from workbench.ui.empty_project import project_or_stop
from workbench.ui.evaluation_view import evaluation_panels, figure_text, population, sample_name
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import action, chip, empty, findings, headline, panel_title, table
from workbench.ui.race_view import candidates, family_name, live_race
from workbench.ui.session import Here, theme
from workbench.ui.texts import capital, language, say, t
from workbench.ui.times import ago
from workbench.ui.versions import state_chip
from workbench.ui.work import ask_for, watch

_PRESETS = ("quick", "standard", "thorough")


def _sentence(result: TrainResult | None) -> str:
    if result is None:
        return t("No model yet: training races a scorecard, boosted trees and forests under one budget.")
    version = t("version {n}", n=result.version) if result.version else t("not registered")
    return t(
        "{family} chosen among {n} candidates on {features} features; {version}, trained {age}.",
        family=family_name(result.family),
        n=len(result.leaderboard),
        features=result.n_features,
        version=version,
        age=ago(result.finished_at),
    )


def _start(place: Here) -> None:
    spec = projects.spec(place.ctx, place.name)
    panel_title(t("Train"), t("Known good settings first, then a search. Finish early keeps the best so far."))
    preset = st.segmented_control(
        t("Effort"),
        _PRESETS,
        default="standard",
        required=True,
        format_func=lambda key: {
            "quick": t("Quick (≤ 1 min)"),
            "standard": t("Standard (≤ 5 min)"),
            "thorough": t("Thorough (≤ 30 min)"),
        }[key],
    )
    chosen = st.multiselect(t("Families"), list(FAMILIES), default=spec.training.families, format_func=family_name)
    choose = st.segmented_control(
        t("Choose"),
        ("most_accurate", "simplest_as_good"),
        default=spec.training.choose,
        required=True,
        format_func=lambda key: t("The most accurate") if key == "most_accurate" else t("The simplest as good"),
        help=t(
            "As good is what lies within one standard error of the best. When the race has ended the price of each is "
            "shown, and another can still be made."
        ),
    )
    unsigned = model_signing.unsigned(place.ctx, place.name)
    if unsigned is not None:
        findings([unsigned])
        st.page_link(PAGES["data_model"], label=t("Have the data model signed"), icon=":material/schema:")
    blocked = not chosen or unsigned is not None or not place.can("model.train")
    if st.button(t("Train a model"), type="primary", disabled=blocked):
        ask_for(place, "train", {"budget": str(preset), "families": chosen, "choose": str(choose)})
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
            st.caption(capital(say(result.out_of_time_not_applicable)))


def _other_candidates(place: Here, result: TrainResult) -> None:
    """Offer a version of another candidate: its price has been seen now."""
    others = [row.family for row in result.leaderboard if not row.is_chosen]
    if not others or not place.can("model.train"):
        return
    left, right = st.columns([0.6, 0.4], vertical_alignment="bottom")
    with left:
        wanted = st.selectbox(t("Another candidate"), others, format_func=family_name)
    with right:
        if st.button(
            t("Make a version of it"), help=t("It is made again from its recorded trials; nothing is searched.")
        ):
            ask_for(place, "candidate", {"candidate": wanted})
            st.rerun()


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
    is_busy = watch(place, ("train", "candidate"))
    if is_busy:
        live_race()
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
            candidates(result)
            if not is_busy:
                _other_candidates(place, result)
        if result.findings:
            with st.container(key="panel_findings"):
                panel_title(t("What the training found"))
                findings(result.findings, result.feature_names)
        evaluation_panels(result.evaluation, "train")
        with st.container(key="panel_trials"):
            _trials(result)
        with st.container(key="panel_versions"):
            _versions(place)
        st.page_link(PAGES["review"], label=t("Take it to review"), icon=":material/arrow_forward:")


_main()
