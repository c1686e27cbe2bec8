"""What each approval rate costs and brings, as charts."""

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import Message, MessageLike, msg
from core.i18n.formats import money_cny, percent
from reporting.figures.canvas import Style, band, empty, hover, note, numbers, side_by_side, start, swatches, threshold
from reporting.tokens import translucent

__all__ = ["limit_by_approval", "net_by_approval"]

Floats = npt.NDArray[np.float64]
Triple = tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]
_NARROW_TITLE = 36  # three of these stand side by side
_MONEY_UNIT = {"en": 1e6, "zh": 1e4}


def net_by_approval(
    approval_rate: npt.ArrayLike,
    fee_cny: npt.ArrayLike,
    loss_cny: npt.ArrayLike,
    net_cny: Triple,
    *,
    best: int,
    best_interval: tuple[float, float],
    chosen: int | None = None,
    policy_rate: float | None = None,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw fee income, expected loss and what is left of it against the share of applicants approved.

    Parameters
    ----------
    approval_rate : array-like of shape (n_steps,)
        Rising, 0 to 1; the safest applicants are approved first.
    fee_cny, loss_cny : array-like of shape (n_steps,)
        In yuan.
    net_cny : (value, low, high), each array-like of shape (n_steps,)
        Fee less loss in yuan, with its interval.
    best : int
        Step of the highest net income.
    best_interval : (low, high)
        Interval of the approval rate that brings most.
    chosen : int, optional
        Step that is looked at.
    policy_rate : float, optional
        Share that the present policy approves.
    sample, title
        As in `roc_with_ks`.
    """
    style = Style.of(language, theme)
    x = numbers(approval_rate)
    if len(x) < 2:
        return empty(style, msg("The curve appears once applicants have been weighed."))
    unit = _MONEY_UNIT.get(language, 1e6)
    fee, loss, net, low, high = (numbers(values) / unit for values in (fee_cny, loss_cny, *net_cny))
    colors = style.colors
    finding = msg(
        "Approving {rate} of the applicants brings most: {net} (the best lies between {low} and {high})",
        rate=percent(x[best], 0), net=_unbroken(net[best] * unit, language), low=percent(best_interval[0], 0),
        high=percent(best_interval[1], 0),
    )  # fmt: skip
    keys: list[tuple[MessageLike, str, str]] = [
        (msg("fee income"), colors.series[2], "━"),
        (msg("expected loss borne"), colors.bad_class, "━"),
        (msg("net, with its 95% interval"), colors.current, "━"),
    ]
    label = style.say(msg("CNY million"))
    figure = start(
        style, title or finding, side_by_side(style.join([sample]), swatches(keys, style)), height=400, y_label=label
    )
    figure.add_vrect(
        x0=best_interval[0], x1=best_interval[1], fillcolor=translucent(colors.current, 0.07), line_width=0,
        layer="below",
    )  # fmt: skip
    figure.add_traces(band(list(x), low, high, colors.current))
    for name, values, color in (
        (msg("fee income"), fee, colors.series[2]),
        (msg("expected loss borne"), loss, colors.bad_class),
        (msg("net"), net, colors.current),
    ):
        sentences = [
            style.say(msg("Approving {rate}: {name} {amount}", rate=percent(a, 0), name=name,
                          amount=money_cny(b * unit, language)))
            for a, b in zip(x, values, strict=True)
        ]  # fmt: skip
        figure.add_scatter(
            x=x, y=values, mode="lines", name=style.say(name), line={"color": color, "width": 2.5}, **hover(sentences)
        )
    figure.add_scatter(
        x=[x[best]], y=[net[best]], mode="markers", hoverinfo="skip", marker={"size": 10, "color": colors.current}
    )
    note(figure, style.say(msg("brings most")), x[best], net[best], colors.ink, yanchor="top", yshift=-8,
         xanchor="center")  # fmt: skip
    figure.update_yaxes(tickformat=",~f")
    if policy_rate is not None:
        label = style.say(msg("present policy {rate}", rate=percent(policy_rate, 0)))
        threshold(figure, policy_rate, label, colors.muted, axis="x")
    if chosen is not None and chosen != best:
        line = {"color": colors.ink, "width": 1.5}
        figure.add_shape(type="line", x0=x[chosen], x1=x[chosen], y0=0, y1=1, yref="y domain", line=line)
    _approval_axis(figure, style)
    return figure


def limit_by_approval(
    approval_rate: npt.ArrayLike,
    values: Triple,
    limit: float | npt.ArrayLike,
    *,
    name: Message,
    limit_name: Message,
    is_ratio: bool = True,
    is_floor: bool = False,
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw a figure that must keep to a limit against the share of applicants approved.

    Parameters
    ----------
    approval_rate : array-like of shape (n_steps,)
        Rising, 0 to 1.
    values : (value, low, high), each array-like of shape (n_steps,)
        The figure with its interval.
    limit : float or array-like of shape (n_steps,)
        What it must keep to at each step.
    name, limit_name : Message
        What they are called.
    is_ratio : bool, default=True
        Whether it is written as a percentage.
    is_floor : bool, default=False
        Whether it must stay above.
    title
        As in `roc_with_ks`.
    """
    style = Style.of(language, theme)
    x = numbers(approval_rate)
    if len(x) < 2:
        return empty(style, msg("The curve appears once applicants have been weighed."))
    y, low, high = map(numbers, values)
    bound = np.broadcast_to(numbers(limit), x.shape)
    colors = style.colors

    def text(value: float) -> str:
        return percent(value) if is_ratio else f"{value:.1f}"

    figure = start(style, title or _limit_finding(x, y, bound, name, is_floor=is_floor), height=300,
                   y_label=style.say(name), title_width=_NARROW_TITLE)  # fmt: skip
    figure.add_traces(band(list(x), low, high, colors.current))
    sentences = [
        style.say(msg("Approving {rate}: {name} {value}", rate=percent(a, 0), name=name, value=text(b)))
        for a, b in zip(x, y, strict=True)
    ]
    figure.add_scatter(
        x=x, y=y, mode="lines", name=style.say(name), line={"color": colors.current, "width": 2.5}, **hover(sentences)
    )
    figure.add_scatter(
        x=x,
        y=bound,
        mode="lines",
        hoverinfo="skip",
        line={"color": colors.bad, "width": 1, "dash": "dash", "shape": "hv"},
    )
    label = f"{style.say(limit_name)} {text(float(bound[-1]))}"
    note(figure, label, x[-1], bound[-1], colors.bad, xanchor="right", yanchor="bottom", yshift=2)
    top = float(max(np.nanmax(high), bound.max())) * 1.12
    figure.update_yaxes(range=[0, top], tickformat=".3~p" if is_ratio else None)
    _approval_axis(figure, style, 0.25)
    return figure


def _limit_finding(x: Floats, y: Floats, bound: Floats, name: Message, *, is_floor: bool) -> Message:
    kept = y >= bound if is_floor else y <= bound
    if kept.all():
        return msg("{name}: always within its limit", name=name)
    if not kept.any():
        return msg("{name}: never within its limit", name=name)
    if is_floor:
        return msg("{name}: kept from {rate} approved on", name=name, rate=percent(float(x[kept].min()), 0))
    return msg("{name}: kept up to {rate} approved", name=name, rate=percent(float(x[kept].max()), 0))


def _unbroken(amount: float, language: str) -> str:
    """Return an amount that no line breaks inside."""
    return money_cny(amount, language).replace(" ", "\u00a0")


def _approval_axis(figure: go.Figure, style: Style, step: float = 0.1) -> None:
    figure.update_xaxes(
        title=style.say(msg("Applicants approved, safest first (share)")), range=[0, 1.01], tickformat=".0%", dtick=step
    )
