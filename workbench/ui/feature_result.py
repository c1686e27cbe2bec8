"""What a build brought: its answer in three figures, the way from proposed to kept, and where the kept come from."""

from collections import Counter
from collections.abc import Sequence
from html import escape

import streamlit as st

from core.i18n import formats
from features.plan import sort_windows
from features.spec import FeatureSpec
from reporting import figures
from workbench.flows import feature_choice, importing
from workbench.flows.feature_graph import table_graph
from workbench.flows.features import FeatureResult, FeatureRow
from workbench.ui.charts import chart
from workbench.ui.feature_graph_view import result_graph
from workbench.ui.feature_words import rule_word, window_word
from workbench.ui.pieces import draw, headline, panel_title
from workbench.ui.pieces import figures as figure_row
from workbench.ui.session import Here, theme
from workbench.ui.texts import capital, language, say, t

__all__ = ["bad_rate", "outdated", "samples", "summary", "where_from"]

_RULES = ("by_hand", "missing", "constant", "duplicate", "correlated", "noise", "weak", "unstable", "rank")


def outdated(place: Here, result: FeatureResult) -> None:
    """Say where the choice has changed since the build."""
    if not result.choice:
        return
    built = FeatureSpec.model_validate(result.choice)
    changes = feature_choice.differences(built, feature_choice.chosen(place.ctx, place.name))
    changes.pop("acknowledged", None)  # says what may be trained on, not what is built
    if changes:
        st.info(t("Settings changed since this was built: {n}. Build again to use them.", n=len(changes)))


def summary(result: FeatureResult) -> None:
    """Draw the three figures that answer the page's question."""
    label, proof = result.label, result.certificate
    left, middle, right = st.columns(3, gap="small")
    with left, st.container(key="panel_kept", height="stretch"):
        headline(
            t("Features kept"),
            formats.count(len(result.kept)),
            note=t(
                "{n} computed, {m} proposed", n=formats.count(result.n_computed), m=formats.count(result.n_proposed)
            ),
        )
    with middle, st.container(key="panel_proof", height="stretch"):
        headline(
            t("Leakage proof"),
            t("Passed") if proof.passed else t("Failed"),
            note=t(
                "{n} values moved when the future was changed at {k} cutoffs; control caught: {control}",
                n=formats.count(proof.n_changed),
                k=proof.n_cutoffs,
                control=t("yes") if proof.control_caught else t("no"),
            ),
        )
    with right, st.container(key="panel_label", height="stretch"):
        headline(
            label.label.get(language(), label.name),
            formats.count(label.n_bad),
            note=t(
                "bads among {n} labelled cases; {u} without label, of which {i} immature",
                n=formats.count(label.n_good + label.n_bad),
                u=formats.count(label.n_unlabelled + label.n_immature),
                i=formats.count(label.n_immature),
            ),
        )


def where_from(place: Here, result: FeatureResult) -> None:
    """Draw the graph of tables with what was kept, the funnel, and the kept features by table and window."""
    data = importing.stored(place.ctx, place.name)
    kept = Counter(row.table for row in result.kept)
    if data is not None and result.root_table in {table.name for table in data.tables}:
        choice = FeatureSpec.model_validate(result.choice) if result.choice else FeatureSpec()
        computed = kept + Counter(item.table for item in result.dropped if item.table)
        with st.container(key="panel_result_graph"):
            result_graph(table_graph(data, result.root_table, choice), computed, kept)
    left, right = st.columns(2, gap="small")
    with left, st.container(key="panel_funnel", height="stretch"):
        _funnel(result)
    with right, st.container(key="panel_heat", height="stretch"):
        titles = {table.name: table.label.get(language(), "") or table.name for table in data.tables} if data else {}
        _heat(result.kept, titles)


def _funnel(result: FeatureResult) -> None:
    counts = Counter(item.code for item in result.dropped)
    order = [*_RULES, *sorted(set(counts) - set(_RULES))]
    figure = figures.feature_funnel(
        result.n_computed,
        [(rule_word(code), counts[code]) for code in order],
        n_proposed=result.n_proposed,
        language=language(),
        theme=theme(),
    )
    chart(figure, "feature_funnel")


def _heat(rows: Sequence[FeatureRow], titles: dict[str, str]) -> None:
    panel_title(t("Kept features by table and window"), t("Deeper colour: more of the kept features."))
    tables = [name for name, _ in Counter(row.table for row in rows).most_common()]
    windowed = reversed(sort_windows({row.window for row in rows if row.window}))
    windows = [None, *(window for window in windowed if window)]
    counts = Counter((row.table, row.window) for row in rows)
    most = max(counts.values(), default=1)
    head = "".join(f'<th class="number">{escape(window_word(window or ""))}</th>' for window in windows)
    body = "".join(
        f"<tr><td>{escape(titles.get(name, name))}</td>"
        + "".join(_cell(counts[name, window], most) for window in windows)
        + "</tr>"
        for name in tables
    )
    draw(
        f'<table class="heat"><thead><tr><th>{escape(t("Table"))}</th>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _cell(n: int, most: int) -> str:
    if not n:
        return '<td class="number muted">–</td>'
    return f'<td class="number" style="--heat:{12 + 38 * n / most:.0f}%">{n}</td>'


def bad_rate(result: FeatureResult) -> None:
    """Draw the bad rate month by month, where there is more than one month."""
    months = result.label.months
    if len(months) < 2:
        return
    known = [month.n_good + month.n_bad for month in months]
    figure = figures.bad_rate_by_period(
        [month.month for month in months],
        [month.n_bad / n if n else float("nan") for month, n in zip(months, known, strict=True)],
        known,
        language=language(),
        theme=theme(),
    )
    with st.container(key="panel_bad_rate"):
        chart(figure, "bad_rate_by_month")


def samples(result: FeatureResult) -> None:
    """Draw how many cases and bads each sample of the split holds."""
    words = {
        "train": t("Training"),
        "calibration": t("Calibration"),
        "out_of_time": t("Out-of-time"),
        "holdout": t("Hold-out"),
    }
    with st.container(key="panel_samples"):
        panel_title(t("Samples"), t("Ordered by time; training and out-of-time stand one performance window apart."))
        figure_row(
            (words.get(name, name), formats.count(n), t("{bads} bads", bads=formats.count(bads)))
            for name, (n, bads) in result.label.sample_counts.items()
        )
        reason = result.label.out_of_time_not_applicable
        if reason is not None:
            st.caption(capital(say(reason)))
