"""The race on a page: live while it runs, and with the price of every candidate when it has ended."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from automl.families.titles import family_title
from core.i18n import formats
from workbench.flows import training
from workbench.flows.race_watch import RaceRow
from workbench.flows.training import CandidateRow, TrainResult
from workbench.ui.evaluation_view import figure_text
from workbench.ui.pieces import chip, panel_title, table
from workbench.ui.session import here
from workbench.ui.texts import capital, language, say, t

__all__ = ["candidates", "family_name", "live_race"]

_POLL_SECONDS = 1.0
_MEGABYTE = 1_000_000
_LEAST_SECONDS = 0.05


def family_name(family: str) -> str:
    """Return a model family's name in the session's language."""
    return capital(family_title(family).text(language()))


@st.fragment(run_every=_POLL_SECONDS)
def live_race() -> None:
    """Draw the families under way as their trials end; nothing before the first has."""
    place = here()
    race = training.under_way(place.ctx, place.name)
    if race is None or not race.rows:
        return
    with st.container(key="panel_race"):
        left = "" if race.seconds_left is None else t("{n} s of the search left.", n=round(race.seconds_left))
        panel_title(t("The race so far"), left)
        table(
            (t("Family"), t("Best AUC"), "", t("Trials"), t("Trials that failed"), t("Seconds")),
            [_runner(row, _span(race.rows)) for row in race.rows],
            numbers=(1, 3, 4, 5),
        )
        st.caption(t("Mean AUC over the folds of the best trial, with the interval of the mean by their spread."))


def _runner(row: RaceRow, span: tuple[float, float]) -> tuple[str, ...]:
    best = "–" if row.best is None else _cell(formats.metric(row.best), formats.interval(row.low, row.high))
    seconds = "<1" if 0 < row.seconds < 1 else f"{row.seconds:.0f}"
    failed = str(row.n_failed) if row.n_failed else "–"
    return (escape(family_name(row.family)), best, _stand(row, span), str(row.n_trials), failed, escape(seconds))


def _span(rows: Sequence[RaceRow]) -> tuple[float, float]:
    """Return the least and the greatest AUC that an interval of the race reaches."""
    ends = [end for row in rows for end in (row.best, row.low, row.high) if end is not None]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def _stand(row: RaceRow, span: tuple[float, float]) -> str:
    """Return where a family stands between the ends of the race, as a mark on its interval."""
    if row.best is None:
        return ""
    low, high = (row.best if end is None else end for end in (row.low, row.high))
    wide = span[1] - span[0] or 1.0
    left, right, here = (100 * (end - span[0]) / wide for end in (low, high, row.best))
    return (
        f'<div class="stand"><span style="left:{left:.1f}%;width:{right - left:.1f}%"></span>'
        f'<i style="left:{here:.1f}%"></i></div>'
    )


def candidates(result: TrainResult) -> None:
    """Draw the leaderboard: how good, how far behind, and at what price."""
    panel_title(t("Candidates"), t("Cross-validation inside the training period; an entity is in one fold only."))
    table(
        (t("Candidate"), "AUC", t("Behind the best"), t("Leaves"), t("Size"), t("One case"), t("Reasons of 1,000"),
         t("Trials")),
        [_candidate(row) for row in result.leaderboard],
        numbers=(1, 2, 3, 4, 5, 6, 7),
    )  # fmt: skip
    st.caption(say(result.verdict))


def _candidate(row: CandidateRow) -> tuple[str, ...]:
    marks = [chip(t("chosen"), "brand")] * row.is_chosen + [chip(t("simplest as good"))] * row.is_as_good
    price = ("–",) * 4
    if row.price is not None:
        price = (
            formats.count(row.price.n_leaves),
            _size(row.price.size_bytes),
            t("{n} ms", n=f"{row.price.row_ms:.2f}"),
            escape(t("{n} s", n=_seconds(row.price.explain_seconds))),
        )
    return (
        " ".join([escape(family_name(row.family)), *marks]) + _members(row),
        _cell(*figure_text(row.auc)),
        _behind(row),
        *price,
        str(row.n_trials),
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds >= _LEAST_SECONDS else "<0.1"


def _size(n_bytes: int) -> str:
    if n_bytes < _MEGABYTE / 10:
        return t("{n} kB", n=f"{n_bytes / 1_000:.0f}")
    return t("{n} MB", n=f"{n_bytes / _MEGABYTE:.1f}")


def _members(row: CandidateRow) -> str:
    """Return the shares of an ensemble's members, by family, or which trials of a family are averaged."""
    if row.family != "ensemble":
        trials = [name.split(" #")[1] for name in row.params if " #" in name]
        listed = t("one card, of trials {numbers}", numbers=", ".join(trials)) if trials else ""
        return f'<div class="caption">{escape(listed)}</div>' if trials else ""
    shares: dict[str, float] = {}
    for name, share in row.params.items():
        family = name.split(" #")[0]
        shares[family] = shares.get(family, 0.0) + float(share)
    listed = ", ".join(
        f"{family_name(family)} {formats.percent(share, 0)}" for family, share in sorted(shares.items(), key=_falling)
    )
    return f'<div class="caption">{escape(listed)}</div>'


def _falling(item: tuple[str, float]) -> float:
    return -item[1]


def _cell(value: str, interval: str) -> str:
    return f'{value} <span class="caption">{interval}</span>'


def _behind(row: CandidateRow) -> str:
    if row.behind is None:
        return "–"
    value, low, high = row.behind
    note = "" if row.can_be_told else f'<div class="caption">{escape(t("cannot be told apart"))}</div>'
    return _cell(formats.difference(value), formats.interval(low, high, formats.difference)) + note
