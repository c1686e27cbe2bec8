"""Whether what came later still looks like what the model was built on, feature by feature, as charts."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import Message, MessageLike, msg
from core.i18n.formats import percent
from reporting.figures.canvas import Style, empty, hover, note, numbers, side_by_side, start, swatches, threshold
from reporting.figures.lying import lying_bars, name_rows, row_height
from reporting.figures.psi_scale import THRESHOLDS, Thresholds, draw_psi_thresholds, psi_color, psi_status, psi_text
from reporting.figures.wording import metric_ticks, shorten

__all__ = ["feature_drift_compare", "missing_rates", "psi_bars"]

Floats = npt.NDArray[np.float64]


def psi_bars(
    names: Sequence[str],
    values: npt.ArrayLike,
    *,
    noise: float | None = None,
    limit: int = 20,
    thresholds: Thresholds = THRESHOLDS,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw how far each feature has moved, the furthest first.

    Parameters
    ----------
    names : sequence of str of length n_features
    values : array-like of shape (n_features,)
        Population stability index, 0 and up.
    noise : float, optional
        PSI that chance alone gives in samples of this size; drawn when it can be seen.
    limit : int, default=20
        How many bars to draw.
    thresholds : (watch, act), default=(0.10, 0.25)
    sample : str or Message, default=""
        Period and population.
    title : str or Message, optional
        In place of the composed finding.
    """
    style = Style.of(language, theme)
    psi = np.nan_to_num(numbers(values))
    if len(psi) == 0:
        return empty(style, msg("Stability appears after the first check."))
    order = np.argsort(-psi, kind="stable")[:limit]
    shown = msg("{shown} of {n} features shown", shown=len(order), n=len(psi)) if len(psi) > len(order) else ""
    figure = start(
        style,
        title or _psi_finding(names, psi, thresholds),
        style.join([sample, shown]),
        height=row_height(len(order)) + 36,
    )
    words = [psi_status(psi[i], thresholds) for i in order]
    sentences = [
        style.say(msg("{name}: PSI {psi}, {status}", name=names[i], psi=psi_text(psi[i]), status=word))
        for i, word in zip(order, words, strict=True)
    ]
    texts = [f"{psi_text(psi[i])} {style.say(word)}" for i, word in zip(order, words, strict=True)]
    colors = [psi_color(psi[i], thresholds, style.colors) for i in order]
    lying_bars(figure, style, [names[i] for i in order], psi[order], sentences, colors, texts)
    draw_psi_thresholds(figure, style, thresholds, axis="x")
    if noise is not None and noise >= 0.01:
        label = style.say(msg("by chance {psi}", psi=psi_text(noise)))
        threshold(figure, noise, label, style.colors.muted, axis="x", yshift=14)
    ceiling = max(float(psi.max()) * 1.22, thresholds[1] * 1.12)
    ticks, labels = metric_ticks(0, ceiling)
    figure.update_xaxes(
        title=style.say(msg("Population stability index (PSI)")), range=[0, ceiling], tickvals=ticks, ticktext=labels
    )
    figure.update_layout(margin={"t": figure.layout.margin.t + 18})
    return figure


def _psi_finding(names: Sequence[str], psi: Floats, thresholds: Thresholds) -> Message:
    moved = np.flatnonzero(psi >= thresholds[1])
    top = int(np.argmax(psi))
    values = {"name": shorten(names[top], 40), "psi": psi_text(psi[top]), "n": len(psi)}
    if len(moved):
        return msg("{moved} of {n} features moved, {name} most: PSI {psi}", moved=len(moved), **values)
    if psi[top] >= thresholds[0]:
        return msg("No feature has moved past the limit; {name} comes nearest: PSI {psi}", **values)
    return msg("All {n} features are stable; {name} moved most: PSI {psi}", **values)


def missing_rates(
    names: Sequence[str],
    rates: npt.ArrayLike,
    *,
    reference: npt.ArrayLike | None = None,
    limit: int = 20,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw the share of empty values of each column, the emptiest first.

    Parameters
    ----------
    names : sequence of str of length n_columns
    rates : array-like of shape (n_columns,)
        Share of empty values now, 0 to 1.
    reference : array-like of shape (n_columns,), optional
        The same when the model was built, drawn as a tick; columns are then ordered by how much they changed.
    limit : int, default=20
    sample, title
        As in `psi_bars`.
    """
    style = Style.of(language, theme)
    now = np.nan_to_num(numbers(rates))
    if len(now) == 0:
        return empty(style, msg("Empty values appear once tables have been imported."))
    before = None if reference is None else np.nan_to_num(numbers(reference))
    order = np.argsort(-(now if before is None else np.abs(now - before)), kind="stable")[:limit]
    colors = style.colors
    keys = [(msg("now"), colors.current, "■"), (msg("when built"), colors.ink, "|")]
    subtitle = side_by_side(style.join([sample]), swatches(keys, style) if before is not None else "")
    figure = start(style, title or _missing_finding(names, now, before), subtitle, height=row_height(len(order)) + 20)
    sentences = [
        style.say(
            msg("{name}: {rate} empty", name=names[i], rate=percent(now[i]))
            if before is None
            else msg(
                "{name}: {rate} empty, {before} when built",
                name=names[i],
                rate=percent(now[i]),
                before=percent(before[i]),
            )
        )
        for i in order
    ]
    lying_bars(
        figure,
        style,
        [names[i] for i in order],
        now[order],
        sentences,
        colors.current,
        [percent(now[i]) for i in order],
        None if before is None else np.fmax(now, before)[order],
    )
    if before is not None:
        marker = {"symbol": "line-ns-open", "size": 16, "color": colors.ink, "line": {"width": 2.5}}
        figure.add_scatter(
            x=before[order],
            y=list(range(len(order))),
            mode="markers",
            marker=marker,
            name="reference",
            **hover(sentences),
        )
    highest = float(np.max(np.append(now[order], 0 if before is None else before[order])))
    figure.update_xaxes(
        title=style.say(msg("Share of empty values")),
        tickformat=".3~p",
        tickvals=None,
        ticktext=None,
        nticks=6,
        range=[0, max(highest * 1.14, 0.01)],
    )
    return figure


def _missing_finding(names: Sequence[str], now: Floats, before: Floats | None) -> Message:
    if before is not None:
        top = int(np.argmax(np.abs(now - before)))
        return msg(
            "{name} changed most: {before} empty when built, {now} now",
            name=shorten(names[top], 40),
            before=percent(before[top]),
            now=percent(now[top]),
        )
    if now.max() == 0:
        return msg("No column has empty values")
    half = int((now > 0.5).sum())
    top = int(np.argmax(now))
    if half:
        return msg("More than half empty: {half} of {n} columns", half=half, n=len(now))
    return msg(
        "No column is more than half empty; {name} has most: {rate}",
        name=shorten(names[top], 40),
        rate=percent(now[top]),
    )


def feature_drift_compare(
    labels: Sequence[str],
    reference: npt.ArrayLike,
    current: npt.ArrayLike,
    *,
    name: str,
    psi: float | None = None,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw the spread of one feature when the model was built beside its spread now.

    Parameters
    ----------
    labels : sequence of str of length n_bins
        What each bin holds, from the first at the top: ``"≥ 500, < 800"``, ``"missing"``.
    reference, current : array-like of shape (n_bins,)
        Counts or shares of each bin.
    name : str
        Readable name of the feature.
    psi : float, optional
        Its population stability index.
    sample, title
        As in `psi_bars`.
    """
    style = Style.of(language, theme)
    before, now = numbers(reference), numbers(current)
    if len(before) == 0 or before.sum() == 0 or now.sum() == 0:
        return empty(style, msg("The comparison appears after the first check."))
    before, now = before / before.sum(), now / now.sum()
    top = int(np.argmax(np.abs(now - before)))
    finding = msg(
        "{name}: {level} went from {before} to {now}",
        name=shorten(name, 40),
        level=shorten(labels[top], 24),
        before=percent(before[top]),
        now=percent(now[top]),
    )
    colors = style.colors
    keys = [(msg("when built"), colors.reference, "■"), (msg("now"), colors.current, "■")]
    moved = msg("PSI {psi}, {status}", psi=psi_text(psi), status=psi_status(psi, THRESHOLDS)) if psi is not None else ""
    subtitle = side_by_side(style.join([moved, sample]), swatches(keys, style))
    figure = start(style, title or finding, subtitle, height=row_height(len(labels)) + 14 * len(labels))
    rows = np.arange(len(labels), dtype=np.float64)
    for shares, (word, color, _), shift in zip((before, now), keys, (-0.2, 0.2), strict=True):
        sentences = [
            style.say(msg("{when}: {share} of cases have {level}", when=word, share=percent(share), level=level))
            for share, level in zip(shares, labels, strict=True)
        ]
        mark = {"marker": {"color": color}, "width": 0.36, "orientation": "h", "name": style.say(word)}
        figure.add_bar(x=shares, y=rows + shift, **mark, **hover(sentences))
        for share, row in zip(shares, rows + shift, strict=True):
            note(figure, percent(share), share, row, colors.muted, xshift=5, bgcolor="rgba(0,0,0,0)")
    name_rows(figure, style, labels)
    ceiling = float(max(before.max(), now.max())) * 1.14
    figure.update_xaxes(title=style.say(msg("Share of cases")), tickformat=".3~p", range=[0, ceiling], nticks=6)
    return figure
