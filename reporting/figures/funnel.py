"""How many features came in, which rule took how many away, and how many were kept."""

from collections.abc import Sequence

import plotly.graph_objects as go

from core.i18n import MessageLike, msg
from core.i18n.formats import count, percent
from reporting.figures.canvas import Style, empty, hover, start
from reporting.figures.wording import safe
from reporting.tokens import CAPTION_SIZE, translucent

__all__ = ["feature_funnel"]


def feature_funnel(
    n_computed: int,
    drops: Sequence[tuple[str, int]],
    *,
    n_proposed: int | None = None,
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw the way from the features computed to those kept as bars that hang one under the other.

    Parameters
    ----------
    n_computed : int
        Features whose values were computed.
    drops : sequence of (str, int)
        What each rule of selection took away, in the order of the rules, in the reader's words.
    n_proposed : int, optional
        Features that could be made with the choice.
    title : str or Message, optional
        In place of the composed finding.
    """
    style = Style.of(language, theme)
    if n_computed <= 0:
        return empty(style, msg("Features appear here once they have been built."))
    taken = [(label, n) for label, n in drops if n]
    n_kept = n_computed - sum(n for _, n in taken)
    finding = title or msg("{kept} of {computed} computed features kept", kept=n_kept, computed=count(n_computed))
    quiet = msg("{n} could be made with this choice", n=count(n_proposed)) if n_proposed else ""
    figure = start(style, finding, style.say(quiet) if quiet else "", height=96 + 28 * (len(taken) + 2))
    labels = [style.say(msg("Computed")), *(safe(label) for label, _ in taken), style.say(msg("Kept"))]
    lengths = [n_computed, *(n for _, n in taken), n_kept]
    ends, left = [n_computed], n_computed
    for _, n in taken:
        ends.append(left)
        left -= n
    ends.append(n_kept)
    shades = [translucent(style.colors.reference, 0.5)] * (len(taken) + 1) + [style.colors.brand]
    shades[0] = style.colors.reference
    figure.add_bar(
        y=labels,
        x=lengths,
        base=[end - length for end, length in zip(ends, lengths, strict=True)],
        orientation="h",
        marker={"color": shades},
        text=[count(n) for n in lengths],
        textposition="outside",
        textfont={"size": CAPTION_SIZE, "color": style.colors.muted},
        cliponaxis=False,
        name="features",
        **hover([f"{label}: {count(n)} ({percent(n / n_computed)})" for label, n in zip(labels, lengths, strict=True)]),
    )
    figure.update_xaxes(title={"text": style.say(msg("features"))}, range=[0, n_computed * 1.1])
    figure.update_yaxes(autorange="reversed", type="category", tickvals=labels, ticktext=labels, showgrid=False)
    figure.update_layout(bargap=0.32)
    return figure
