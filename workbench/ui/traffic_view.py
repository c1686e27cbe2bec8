"""Traffic as a person reads it: figures, two charts, who answered, what the statuses mean, the last answers."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

from core.i18n import formats, msg
from reporting import figures as charts
from workbench.flows.traffic import LastAnswer, Latency, Moment, TrafficState
from workbench.ui.charts import chart
from workbench.ui.deploy_parts import slot_word
from workbench.ui.pieces import chip, empty, figures, panel_title, table
from workbench.ui.session import theme
from workbench.ui.texts import html, language, t
from workbench.ui.times import ago, exact

__all__ = [
    "WARNED",
    "key_figures",
    "last_answers",
    "latency_chart",
    "milliseconds",
    "requests_chart",
    "statuses",
    "versions",
]

WARNED: Final = {
    "as_of_assumed": msg("no moment given"),
    "missing_column": msg("column left out"),
    "missing_reference": msg("no reference data"),
    "missing_table": msg("table left out"),
    "out_of_range": msg("outside training"),
    "stale_data": msg("old data"),
    "stale_reference": msg("old reference data"),
    "unknown_parent": msg("no history of a parent"),
    "unseen_category": msg("new category"),
}


def milliseconds(value: float | None) -> str:
    """Return a time to answer, with its unit; a dash for None.

    Examples
    --------
    >>> milliseconds(3.14159), milliseconds(142.7), milliseconds(None)
    ('3.1 ms', '143 ms', '–')
    """
    if value is None:
        return "–"
    return f"{formats.count(round(value))} ms" if value >= 100 else f"{value:.1f} ms"


def key_figures(state: TrafficState) -> None:
    """Draw the figures that say whether all is well."""
    refused = state.n_requests - state.n_answered - state.n_failed
    figures(
        [
            (t("Requests a second"), f"{state.per_second:.1f}", t("over the last minute")),
            (t("Requests"), formats.count(state.n_requests), t("in the last {window}", window=window_word(state))),
            (
                t("Answered"),
                _part(state.n_answered, state.n_requests),
                t("{n} turned away", n=formats.count(refused)),
            ),
            (t("Faults"), formats.count(state.n_failed), t("statuses from 500 on")),
            (t("Half within"), milliseconds(state.latency.p50_ms), t("time to answer")),
            (t("99 of 100 within"), milliseconds(state.latency.p99_ms), _p95(state.latency)),
        ]
    )


def requests_chart(state: TrafficState) -> None:
    """Draw requests a second by what became of them."""
    moments = state.moments
    kinds = [[one.n_answered for one in moments], [one.n_refused for one in moments], [one.n_failed for one in moments]]
    chart(
        charts.requests_over_time(
            [_plain(one) for one in moments],
            [t("answered"), t("turned away"), t("failed")],
            [[n / state.step_seconds for n in row] for row in kinds],
            step_seconds=state.step_seconds,
            language=language(),
            theme=theme(),
        ),
        "traffic_requests",
    )


def latency_chart(state: TrafficState) -> None:
    """Draw how long answers took."""
    names = ("p50_ms", "p95_ms", "p99_ms")
    values = [[_number(getattr(one.latency, name)) for one in state.moments] for name in names]
    chart(
        charts.latency_over_time([_plain(one) for one in state.moments], values, language=language(), theme=theme()),
        "traffic_latency",
    )


def versions(state: TrafficState) -> None:
    """Draw who answered, beside the share that was set."""
    panel_title(
        t("Who answered"),
        t("Answers made and kept in this time, batches among them; the share that was set is of enterprises."),
    )
    if not state.versions:
        empty(t("No version"), t("Deploy an approved version, and what it answers is counted here."))
        return
    table(
        (
            t("Slot"), t("Version"), t("Answers"), t("Of all"), t("Share set"), t("Half within"), t("99 of 100 within"),
            t("Mean probability"),
        ),
        [
            (
                escape(slot_word(one.slot)),
                f"v{one.version}",
                formats.count(one.n_answers),
                formats.percent(one.answered_share) if one.n_answers else "–",
                formats.percent(one.share) if one.share is not None else chip(t("gone"), "watch"),
                milliseconds(one.latency.p50_ms),
                milliseconds(one.latency.p99_ms),
                _mean(one.mean_probability, one.n_probabilities),
            )
            for one in state.versions
        ],
        numbers=(2, 3, 4, 5, 6, 7),
    )  # fmt: skip


def statuses(state: TrafficState) -> None:
    """Draw how often each status was given and what it means."""
    panel_title(t("Statuses"), t("Single requests; refusals before the project was known are those of all projects."))
    if not state.statuses:
        empty(t("No request yet"), t("Each status that callers got is counted here."))
        return
    tones = {2: "good", 4: "watch", 5: "bad"}
    table(
        (t("Status"), t("Means"), t("Requests"), t("Of all")),
        [
            (
                chip(str(row.status), tones.get(row.status // 100, "")),
                html(row.meaning),
                formats.count(row.n),
                _part(row.n, state.n_requests),
            )
            for row in state.statuses
        ],
        numbers=(2, 3),
    )


def last_answers(state: TrafficState) -> None:
    """Draw the last answers, nobody to be recognised in them."""
    panel_title(t("Last answers"), t("From the score log, a second or two old. Cases and requests are masked."))
    if not state.last:
        empty(t("No answer yet"), t("The last answers of the service stand here as they are given."))
        return
    table(
        (
            t("When"), t("Case"), t("Version"), t("Grade"), t("Score"), t("Probability of default"), t("Warnings"),
            t("Request"),
        ),
        [
            (
                f'<span title="{escape(exact(one.at), quote=True)}">{escape(_since(one))}</span>',
                f'<span class="mono">{escape(one.key)}</span>',
                f"v{one.version}" + (f" {chip(slot_word(one.slot), 'brand')}" if one.slot != "champion" else ""),
                escape(one.grade),
                formats.count(round(one.score)),
                formats.percent(one.probability, 2),
                _warned(one.warnings) or "–",
                f'<span class="mono">{escape(one.request_id)}</span>',
            )
            for one in state.last
        ],
        numbers=(4, 5),
    )  # fmt: skip


def window_word(state: TrafficState) -> str:
    """Return the time that is looked at, in words."""
    if state.minutes % 60:
        return t("{n} minutes", n=state.minutes)
    return t("hour") if state.minutes == 60 else t("{n} hours", n=state.minutes // 60)


def _warned(codes: Sequence[str]) -> str:
    """Return what an answer warned of, in words; codes that have none stand as they are."""
    counted = Counter(codes)
    return ", ".join(
        f'<span title="{escape(code, quote=True)}">{html(WARNED.get(code, code))}{f" × {n}" if n > 1 else ""}</span>'
        for code, n in counted.items()
    )


def _part(n: int, total: int) -> str:
    return formats.percent(n / total) if total else "–"


def _p95(latency: Latency) -> str:
    return t("95 of 100 within {time}", time=milliseconds(latency.p95_ms))


def _mean(probability: float | None, n: int) -> str:
    if probability is None:
        return "–"
    note = t("last {n}", n=n)
    return f'{formats.percent(probability, 2)} <span class="caption">{escape(note)}</span>'


def _since(answer: LastAnswer) -> str:
    seconds = (datetime.now(UTC) - answer.at).total_seconds()
    return t("{n} s ago", n=max(round(seconds), 0)) if seconds < 60 else ago(answer.at)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _plain(moment: Moment) -> datetime:
    """Return when a step began, in UTC as all times here, for an axis that knows no zones."""
    return moment.at.replace(tzinfo=None)
