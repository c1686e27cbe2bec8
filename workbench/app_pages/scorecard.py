"""Scorecard: how many points is each answer worth, and what does a change of its bins do?"""

import streamlit as st

from core.i18n import formats
from workbench.flows import features, scorecard, scorecard_exchange
from workbench.flows.scorecard import CardView
from workbench.ui.empty_project import project_or_stop
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import empty, panel_title
from workbench.ui.reject_panel import reject_panel
from workbench.ui.scorecard_editor import editor
from workbench.ui.scorecard_files import (
    export_panel,
    import_panel,
    printed_card,
    registered_panel,
    which_card,
)
from workbench.ui.scorecard_pairs import pairs_panel
from workbench.ui.scorecard_parts import (
    changes_table,
    characteristic_list,
    findings_panel,
    register_action,
    scale_form,
    start_button,
    summary,
    weights_note,
)
from workbench.ui.session import Here
from workbench.ui.state import recall, remember
from workbench.ui.texts import t
from workbench.ui.times import ago
from workbench.ui.work import watch


def _sentence(view: CardView | None, versions: list[int]) -> str:
    if view is None and versions:
        return t("No scorecard to shape by hand yet; the points of version {n} stand below.", n=versions[0])
    if view is None:
        return t("No scorecard yet: bins are fitted once, then shaped by hand, and every change is kept.")
    return t(
        "{n} characteristics on the card, {low} to {high} points; changes by hand: {changes}; started {age} by {who}.",
        n=sum(row.is_on for row in view.rows),
        low=formats.count(round(view.lowest)),
        high=formats.count(round(view.highest)),
        changes=view.n_changes,
        age=ago(view.started_at),
        who=view.by,
    )


def _begin(place: Here) -> None:
    with st.container(key="panel_begin"):
        way = st.segmented_control(
            t("Begin with"),
            ["fit", "import"],
            default="fit",
            required=True,
            format_func=lambda key: t("A new card") if key == "fit" else t("A card that is in use"),
        )
        if way == "fit":
            panel_title(
                t("Fit bins"),
                t("Each feature is cut into bins and each bin weighed; directions of the business are kept."),
            )
            start_button(place, t("Start a scorecard"))
        else:
            import_panel(place)


def _desk(place: Here, view: CardView) -> None:
    summary(view)
    weights_note(view)
    left, right = st.columns([0.32, 0.68], gap="small")
    with left, st.container(key="panel_list"):
        alias = characteristic_list(view)
    with right, st.container(key="panel_editor"):
        editor(place, view, alias)
    findings_panel(view)
    with st.container(key="panel_card"):
        _below(place, view)


def _below(place: Here, view: CardView) -> None:
    names = {
        "points": t("Points table"),
        "pairs": t("Crossed"),
        "changes": t("Changes"),
        "scale": t("Scale"),
        "rejects": t("Rejects"),
        "export": t("Export"),
        "import": t("Import"),
        "again": t("Start again"),
    }
    part = st.segmented_control(
        t("View"),
        list(names),
        default=recall("scorecard_part", "points"),
        required=True,
        format_func=lambda key: names[key],
        label_visibility="collapsed",
        key="scorecard_part",
    )
    remember("scorecard_part", part)  # the work of a part, while it runs, takes this choice off the page
    if part == "points":
        printed_card(place, which_card(place, has_desk=True))
    elif part == "pairs":
        pairs_panel(place, view)
    elif part == "changes":
        changes_table(view)
    elif part == "scale":
        scale_form(place, view)
    elif part == "export":
        export_panel(place, which_card(place, has_desk=True))
    elif part == "rejects":
        reject_panel(place)
    elif part == "import":
        import_panel(place)
    else:
        panel_title(t("Start again"), t("New bins take the place of this card and of all changes made to it."))
        start_button(place, t("Fit the bins anew"))


def _main() -> None:
    place = project_or_stop(t("Scorecard"))
    has_features = features.stored(place.ctx, place.name) is not None
    view = scorecard.view(place.ctx, place.name) if has_features else None
    header(
        place,
        t("How many points is each answer worth?"),
        _sentence(view, scorecard_exchange.versions(place.ctx, place.name)),
    )
    is_busy = watch(place, ("scorecard", "rejects"))
    if not has_features:
        with st.container(key="panel_no_features"):
            empty(t("No features yet"), t("A scorecard is made of the project's features."))
        st.page_link(PAGES["features"], label=t("Build features"), icon=":material/arrow_forward:")
        return
    if is_busy:
        return
    if view is None or view.is_outdated:
        if view is not None:
            st.warning(t("The features were built anew since this scorecard was started; its bins no longer fit them."))
        _begin(place)
        registered_panel(place)
        return
    register_action(place, view)
    _desk(place, view)


_main()
