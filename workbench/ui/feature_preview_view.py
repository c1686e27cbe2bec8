"""How many features the choice on the page would propose, and what building them takes."""

from collections import Counter
from html import escape

import streamlit as st

from core.errors import WorkbenchError
from core.i18n import formats
from workbench.flows import feature_choice, feature_preview, features
from workbench.flows.feature_preview import Cost, Preview
from workbench.flows.importing import ImportResult
from workbench.flows.preview_process import PreviewProcess
from workbench.ui.feature_draft import Draft
from workbench.ui.feature_words import group_word
from workbench.ui.pieces import draw, headline
from workbench.ui.session import Here
from workbench.ui.state import recall, remember
from workbench.ui.texts import language, t

__all__ = ["current_preview", "preview_panel"]

_ASK_EVERY_S = 0.7


@st.cache_resource(show_spinner=False, on_release=PreviewProcess.close)
def _previews(_place: Here) -> PreviewProcess:
    return PreviewProcess(_place.ctx.settings)


def current_preview(place: Here, draft: Draft, label: str, data: ImportResult) -> Preview | WorkbenchError | None:
    """Return the preview of the draft; None while it is being worked out in its own process."""
    return _previews(place).ask(place.name, label, draft.choice, data.fingerprint)


def preview_panel(
    place: Here, draft: Draft, label: str, data: ImportResult, answer: Preview | WorkbenchError | None
) -> None:
    """Draw the preview, or what takes a moment, or what is wrong with the choice."""
    if answer is None:
        _waiting(place, draft, label, data)
        return
    if isinstance(answer, WorkbenchError):
        draw(f'<div class="problem" role="alert">{escape(answer.text(language()))}</div>')
        return
    remember("preview_seen", True)
    limit = t(
        "{n} possible; the limit takes the likeliest {limit}",
        n=formats.count(answer.n_proposed),
        limit=formats.count(draft.choice.max_features),
    )
    everything = t("all that is possible with this choice")
    headline(
        t("Features that would be computed"),
        formats.count(answer.n_planned),
        note=limit if answer.n_proposed > answer.n_planned else everything,
    )
    cells = sum(profile.n_rows * len(profile.columns) for profile in data.tables)
    last = features.stored(place.ctx, place.name)
    _cost(feature_preview.estimate(answer, draft.choice, n_table_cells=cells, last=last), answer)
    _bars(answer)


def _cost(cost: Cost, answer: Preview) -> None:
    seconds = max(5, round(cost.seconds / 5) * 5)
    amount = t("{n} min", n=round(seconds / 60)) if seconds >= 90 else t("{n} s", n=seconds)
    told = t(
        "About {time} and {memory} GB of memory for {rows} cases",
        time=amount,
        memory=f"{cost.memory_mb / 1000:.1f}",
        rows=formats.count(answer.n_rows),
    )
    ground = t("from the last build here") if cost.is_measured else t("from rates measured on the sample project")
    draw(f"<div>{escape(told)}</div><div class='caption'>{escape(ground)}</div>")


def _bars(answer: Preview) -> None:
    counts: Counter[str] = Counter()
    for group, names in feature_choice.primitive_groups().items():
        counts[group] = sum(answer.by_primitive.get(name, 0) for name in names)
    most = max(counts.values(), default=0) or 1
    rows = "".join(
        f"<tr><td>{escape(group_word(group))}</td>"
        f"<td class='bar'><span style='width:{100 * n / most:.0f}%'></span></td>"
        f"<td class='number'>{formats.count(n)}</td></tr>"
        for group, n in counts.items()
        if n
    )
    draw(f'<table class="bars"><tbody>{rows}</tbody></table>')


@st.fragment(run_every=_ASK_EVERY_S)
def _waiting(place: Here, draft: Draft, label: str, data: ImportResult) -> None:
    if current_preview(place, draft, label, data) is not None:
        st.rerun()
    first = t("Getting ready to count; the first time takes about 10 seconds.")
    headline(
        t("Features that would be computed"),
        "…",
        note=t("Counting; a second or two.") if recall("preview_seen") else first,
    )
