"""Why a model answers as it does, over all cases and for one, as charts."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import Message, MessageLike, msg
from core.i18n.formats import count, metric, percent
from reporting.figures.canvas import Style, band, empty, hover, label_y_axis, note, numbers, start
from reporting.figures.lying import lying_bars, name_rows, row_height
from reporting.figures.wording import plain, safe, shorten, signed
from reporting.tokens import translucent

__all__ = ["dependence", "dependence_by_category", "importance_bars", "reason_waterfall"]

Floats = npt.NDArray[np.float64]


def importance_bars(
    names: Sequence[str],
    values: npt.ArrayLike,
    *,
    limit: int = 15,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw the features that move the answers most.

    Parameters
    ----------
    names : sequence of str of length n_features
        Readable names.
    values : array-like of shape (n_features,)
        Mean absolute contribution in log-odds.
    limit : int, default=15
        How many bars to draw; the rest is told in words.
    sample, title
        What was measured on; a title in place of the composed finding.
    """
    style = Style.of(language, theme)
    weights = np.nan_to_num(numbers(values))
    total = float(weights.sum())
    if total <= 0:
        return empty(style, msg("The weight of each feature appears once a model has been trained."))
    order = np.argsort(-weights, kind="stable")[:limit]
    finding = msg(
        "{name} weighs most: {share} of all that moves the answers",
        name=shorten(names[order[0]], 44),
        share=percent(weights[order[0]] / total),
    )
    rest = msg(
        "the {shown} shown of {n} features carry {share}",
        shown=len(order),
        n=len(weights),
        share=percent(weights[order].sum() / total),
    )
    figure = start(style, title or finding, style.join([sample, rest]), height=row_height(len(order)) + 26)
    sentences = [
        style.say(
            msg(
                "{name} moves an answer by {value} in log-odds on average, {share} of all movement",
                name=names[i],
                value=metric(weights[i]),
                share=percent(weights[i] / total),
            )
        )
        for i in order
    ]
    lying_bars(figure, style, [names[i] for i in order], weights[order], sentences, style.colors.current)
    figure.update_xaxes(title=style.say(msg("Mean absolute contribution (log-odds)")))
    return figure


def reason_waterfall(
    names: Sequence[str],
    contributions: npt.ArrayLike,
    *,
    base: float,
    value_texts: Sequence[str] | None = None,
    probability: float | None = None,
    limit: int = 8,
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw how one case gets from the average answer to its own, step by step.

    Parameters
    ----------
    names : sequence of str of length n_features
        Readable names.
    contributions : array-like of shape (n_features,)
        In log-odds; with `base` they sum to the answer before calibration.
    base : float
        Log-odds of the average case.
    value_texts : sequence of str, optional
        The case's own value of each feature.
    probability : float, optional
        The calibrated answer, 0 to 1.
    limit : int, default=8
        Steps drawn one by one; the smaller ones are summed in one step.
    title
        As in `importance_bars`.
    """
    style = Style.of(language, theme)
    steps = np.nan_to_num(numbers(contributions))
    if len(steps) == 0:
        return empty(style, msg("The reasons appear once a case has been scored."))
    order = np.argsort(-np.abs(steps), kind="stable")[:limit]
    rest = float(np.delete(steps, order).sum())
    n_rest = len(steps) - len(order)
    labels = [f"{names[i]} = {value_texts[i]}" if value_texts is not None else names[i] for i in order]
    deltas = steps[order]
    if n_rest:
        labels.append(msg("{n} smaller effects together", n=n_rest).text(language))
        deltas = np.append(deltas, rest)
    figure = start(
        style,
        title or _case_finding(names, steps),
        _case_subtitle(style, probability),
        height=row_height(len(deltas) + 2) + 20,
    )
    _waterfall(figure, style, labels, deltas, base)
    return figure


def _case_finding(names: Sequence[str], steps: Floats) -> Message:
    up, down = int(np.argmax(steps)), int(np.argmin(steps))
    if steps[up] <= 0:
        return msg("Every feature lowers the risk of this case, {down} most", down=shorten(names[down]))
    if steps[down] >= 0:
        return msg("Every feature raises the risk of this case, {up} most", up=shorten(names[up]))
    return msg("{up} raises the risk most, {down} lowers it most", up=shorten(names[up]), down=shorten(names[down]))


def _case_subtitle(style: Style, probability: float | None) -> str:
    stated = msg("probability of turning bad {p}", p=percent(probability)) if probability is not None else ""
    return style.join([stated, msg("right raises the risk, left lowers it")])


def _waterfall(figure: go.Figure, style: Style, labels: list[str], deltas: Floats, base: float) -> None:
    colors = style.colors
    starts = base + np.concatenate([[0.0], np.cumsum(deltas)])
    rows = np.arange(1, len(deltas) + 1)
    sentences = [
        style.say(
            msg("{name} raises the log-odds by {value}", name=name, value=f"{delta:.2f}")
            if delta >= 0
            else msg("{name} lowers the log-odds by {value}", name=name, value=f"{-delta:.2f}")
        )
        for name, delta in zip(labels, deltas, strict=True)
    ]
    figure.add_bar(
        x=deltas,
        y=rows,
        base=starts[:-1],
        orientation="h",
        name="contribution",
        marker={"color": [colors.bad_class if d > 0 else colors.series[2] for d in deltas]},
        **hover(sentences),
    )
    for row, delta, begin in zip(rows, deltas, starts[:-1], strict=True):
        end = begin + delta
        note(figure, signed(delta), max(begin, end), row, colors.ink, xshift=4)
        figure.add_shape(
            type="line", x0=end, x1=end, y0=row, y1=row + 1, line={"color": colors.reference, "width": 1}, layer="below"
        )
    figure.add_shape(
        type="line", x0=base, x1=base, y0=0, y1=1, line={"color": colors.reference, "width": 1}, layer="below"
    )
    ends = [(base, 0), (starts[-1], len(deltas) + 1)]
    names = [msg("Average case").text(style.language), *labels, msg("This case").text(style.language)]
    figure.add_scatter(
        x=[x for x, _ in ends],
        y=[y for _, y in ends],
        mode="markers+text",
        text=[signed(x) for x, _ in ends],
        textposition="middle right",
        marker={"size": 10, "color": colors.ink},
        cliponaxis=False,
        name="total",
        **hover(
            [
                style.say(msg("{name}: log-odds {value}", name=names[0], value=signed(base))),
                style.say(msg("{name}: log-odds {value}", name=names[-1], value=signed(starts[-1]))),
            ]
        ),
    )
    name_rows(figure, style, names)
    low, high = float(starts.min()), float(starts.max())
    room = max(high - low, 0.1)
    figure.update_layout(bargap=0.3)
    figure.update_xaxes(title=style.say(msg("Log-odds of turning bad")), range=[low - 0.06 * room, high + 0.16 * room])


def dependence(
    values: npt.ArrayLike,
    contributions: npt.ArrayLike,
    *,
    name: str,
    unit: str = "",
    low: npt.ArrayLike | None = None,
    high: npt.ArrayLike | None = None,
    counts: npt.ArrayLike | None = None,
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw how a feature's contribution changes with its value.

    Parameters
    ----------
    values : array-like of shape (n_points,)
        Values of the feature, rising.
    contributions : array-like of shape (n_points,)
        Mean contribution in log-odds near each value.
    name, unit : str
        Readable name and unit of the feature.
    low, high : array-like of shape (n_points,), optional
        The band in which most contributions lie.
    counts : array-like of shape (n_points,), optional
        Cases near each value, drawn below the curve.
    title
        As in `importance_bars`.
    """
    style = Style.of(language, theme)
    x, y = numbers(values), numbers(contributions)
    if len(x) < 2:
        return empty(style, msg("The curve appears once a model has been trained."))
    colors = style.colors
    subtitle = style.say(
        msg("contribution from {low} to {high} in log-odds", low=signed(float(y.min())), high=signed(float(y.max())))
    )
    figure = start(style, title or _direction(name, x, y), subtitle, y_label=style.say(msg("Contribution (log-odds)")))
    if low is not None and high is not None:
        figure.add_traces(band(list(x), low, high, colors.current))
    sentences = [
        style.say(
            msg(
                "Where {name} is near {value}, it moves the log-odds by {effect}",
                name=name,
                value=f"{plain(a)} {unit}".strip(),
                effect=signed(b),
            )
        )
        for a, b in zip(x, y, strict=True)
    ]
    figure.add_scatter(
        x=x, y=y, mode="lines", name=name, line={"color": colors.current, "width": 2.5}, **hover(sentences)
    )
    _no_effect(figure, style)
    if counts is not None:
        _population(figure, style, list(x), numbers(counts))
    figure.update_xaxes(title=safe(f"{shorten(name, 60)} ({unit})" if unit else shorten(name, 60)))
    figure.update_yaxes(nticks=6)
    return figure


def _no_effect(figure: go.Figure, style: Style) -> None:
    line = {"color": style.colors.reference, "width": 1, "dash": "dot"}
    figure.add_shape(type="line", x0=0, x1=1, xref="x domain", y0=0, y1=0, line=line, layer="below")


def _population(figure: go.Figure, style: Style, x: list[float], counts: Floats) -> None:
    sentences = [
        style.say(msg("{n} cases lie near {value}", n=count(int(n)), value=plain(a)))
        for a, n in zip(x, counts, strict=True)
    ]
    color = translucent(style.colors.reference, 0.6)
    figure.add_bar(
        x=x, y=counts, yaxis="y2", name="cases", marker={"color": color, "line": {"width": 0}}, **hover(sentences)
    )
    figure.update_layout(
        yaxis={"domain": [0.3, 1]},
        yaxis2={"domain": [0, 0.17], "visible": False, "rangemode": "tozero"},
        xaxis={"anchor": "y2"},
    )
    label_y_axis(figure, style, style.say(msg("Cases")), top=0.17)


def _direction(name: str, x: Floats, y: Floats) -> Message:
    short = shorten(name, 40)
    steps = np.diff(y)
    moved = float(np.abs(steps).sum())
    if moved <= 1e-12:
        return msg("{name} does not move the answer", name=short)
    tendency = float(steps.sum()) / moved
    if tendency > 0.8:
        return msg("The risk rises with {name}", name=short)
    if tendency < -0.8:
        return msg("The risk falls as {name} grows", name=short)
    return msg("The risk is highest where {name} is near {value}", name=short, value=plain(float(x[np.argmax(y)])))


def dependence_by_category(
    levels: Sequence[str],
    contributions: npt.ArrayLike,
    *,
    name: str,
    counts: npt.ArrayLike | None = None,
    limit: int = 12,
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw a category feature's contribution level by level, the riskiest first.

    Parameters
    ----------
    levels : sequence of str of length n_levels
    contributions : array-like of shape (n_levels,)
        Mean contribution in log-odds of each level.
    name : str
        Readable name of the feature.
    counts : array-like of shape (n_levels,), optional
        Cases of each level, told in the tooltip.
    limit : int, default=12
        How many levels to draw: those with the largest effect.
    title
        As in `importance_bars`.
    """
    style = Style.of(language, theme)
    effects = numbers(contributions)
    if len(effects) == 0:
        return empty(style, msg("The effect of each level appears once a model has been trained."))
    shown = np.argsort(-np.abs(effects), kind="stable")[:limit]
    order = shown[np.argsort(-effects[shown], kind="stable")]
    finding = msg("{name}: the risk is highest for {level}", name=shorten(name, 40), level=shorten(levels[order[0]]))
    part = msg("{shown} of {n} levels shown", shown=len(order), n=len(effects)) if len(effects) > limit else ""
    figure = start(style, title or finding, style.join([part]), height=row_height(len(order)) + 20)
    cases = numbers(counts) if counts is not None else np.full(len(effects), np.nan)
    sentences = [
        style.say(
            msg(
                "{level} ({n} cases) moves the log-odds by {effect}",
                level=levels[i],
                n=count(cases[i]),
                effect=signed(effects[i]),
            )
        )
        for i in order
    ]
    colors = style.colors
    lying_bars(
        figure,
        style,
        [levels[i] for i in order],
        effects[order],
        sentences,
        [colors.bad_class if effects[i] > 0 else colors.series[2] for i in order],
        [signed(effects[i]) for i in order],
    )
    low, high = min(0.0, float(effects.min())), max(0.0, float(effects.max()))
    room = 0.16 * max(high - low, 0.1)
    figure.update_xaxes(
        title=style.say(msg("Contribution (log-odds)")),
        range=[low - room if low < 0 else 0, high + room if high > 0 else 0],
        tickvals=None,
        ticktext=None,
        zeroline=True,
        zerolinecolor=colors.muted,
    )
    return figure
