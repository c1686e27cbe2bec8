"""Explain: what drives the score, in general and for one case?"""

from html import escape

import streamlit as st

from automl.explanation import Dependence
from core.errors import WorkbenchError
from core.i18n import formats
from reporting import figures
from workbench.flows import scoring, training
from workbench.flows.training import TrainResult
from workbench.ui.answer_view import answer_view
from workbench.ui.charts import chart
from workbench.ui.column_words import unit_word
from workbench.ui.dependence import levels_of, smoothed
from workbench.ui.empty_project import project_or_stop
from workbench.ui.explain_parts import change_panel, more_panels
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import empty, panel_title, show_error, table
from workbench.ui.session import Here, theme
from workbench.ui.texts import language, t
from workbench.ui.times import exact


def _sentence(result: TrainResult | None) -> str:
    if result is None:
        return t("Nothing to explain yet: a model is needed first.")
    first = result.explanation.importances[0]
    return t(
        "The score moves most with {name}: {share} of all movement over {n} cases.",
        name=_name(result, first.alias),
        share=formats.percent(first.share),
        n=formats.count(result.explanation.n_rows),
    )


def _name(result: TrainResult, alias: str) -> str:
    return result.feature_names.get(alias, {}).get(language(), alias)


def _importance(result: TrainResult) -> None:
    figure = figures.importance_bars(
        [_name(result, item.alias) for item in result.explanation.importances],
        [item.mean_abs for item in result.explanation.importances],
        language=language(),
        theme=theme(),
    )
    chart(figure, "importance")


def _dependence(place: Here, result: TrainResult) -> None:
    curves = {curve.alias: curve for curve in result.explanation.dependence}
    if not curves:
        return
    alias = st.selectbox(t("Feature"), list(curves), format_func=lambda alias: _name(result, alias))
    curve = curves[alias]
    if curve.kind == "category":
        _by_level(place, result, curve)
        return
    line = smoothed(curve)
    unit = training.bundle(place.ctx, place.name, result.version).plan.units.get(alias)
    chart(
        figures.dependence(
            line.values,
            line.means,
            name=_name(result, alias),
            unit=unit_word(unit) if unit else "",
            low=line.low,
            high=line.high,
            counts=line.counts,
            language=language(),
            theme=theme(),
        ),
        "dependence",
    )


def _by_level(place: Here, result: TrainResult, curve: Dependence) -> None:
    bundle = training.bundle(place.ctx, place.name, result.version)
    names, means, counts = levels_of(curve, bundle.plan, t("missing"), t("other"))
    chart(
        figures.dependence_by_category(
            names, means, name=_name(result, curve.alias), counts=counts, language=language(), theme=theme()
        ),
        "dependence",
    )


def _faithfulness(result: TrainResult) -> None:
    explanation = result.explanation
    rows = [
        (
            escape(t("Contributions and base sum to the log-odds, largest error")),
            f"{explanation.largest_additivity_error:.1e}",
        )
    ]
    if explanation.stability is not None:
        rows += [
            (
                escape(t("Same first reason in two fold models")),
                formats.percent(explanation.stability.top_1),
            ),
            (
                escape(t("Common reasons among the first four")),
                formats.percent(explanation.stability.top_4),
            ),
        ]
    panel_title(t("Can the reasons be relied on?"), t("Measured on {n} cases.", n=formats.count(explanation.n_rows)))
    table((t("Check"), t("Figure")), rows, numbers=(1,))


def _one_case(place: Here, result: TrainResult) -> None:
    panel_title(
        t("One case"), t("The rows known at the case's own cutoff time, scored as the service would score them.")
    )
    if not place.can("model.score"):
        st.caption(t("Scoring a case needs the role of risk analyst or operator."))
        return
    keys = scoring.example_keys(place.ctx, place.name)
    key = st.selectbox(t("Case"), keys, accept_new_options=True, key="case_choice")
    if not key:
        return
    try:
        with st.spinner(t("Gathering the case's rows and scoring them")):
            payload = scoring.payload(place.ctx, place.name, str(key))
            answer = scoring.score(
                place.ctx, place.name, payload.tables, key=payload.key, as_of=payload.cutoff, version=result.version
            )
    except WorkbenchError as error:
        show_error(error)
        return
    st.caption(t("Known up to {moment}", moment=exact(payload.cutoff)))
    answer_view(answer)
    change_panel(place, result, str(key), answer.grade)


def _main() -> None:
    place = project_or_stop(t("Explain"))
    result = training.stored(place.ctx, place.name)
    header(place, t("What drives the score?"), _sentence(result))
    if result is None:
        with st.container(key="panel_no_model"):
            empty(t("No model yet"), t("Which features move the score, how, and why one case got its score."))
        st.page_link(PAGES["train"], label=t("Train a model"), icon=":material/arrow_forward:")
        return
    left, right = st.columns([0.55, 0.45], gap="small")
    with left, st.container(key="panel_importance"):
        _importance(result)
    with right, st.container(key="panel_dependence"):
        _dependence(place, result)
    with right, st.container(key="panel_faithful"):
        _faithfulness(result)
    more_panels(place, result)
    with st.container(key="panel_case"):
        _one_case(place, result)
    st.page_link(PAGES["reasons"], label=t("Word the reasons and their codes"), icon=":material/arrow_forward:")


_main()
