"""Economics: where should the cutoff lie?"""

import streamlit as st

from core.errors import WorkbenchError
from core.i18n import formats
from workbench.flows import economics, training
from workbench.flows.economics import EconomicsResult
from workbench.ui.economics_parts import (
    assumption_form,
    assumptions_panel,
    chosen_step,
    curves_panel,
    limits_panel,
    models_panel,
    step_figures,
    swaps_panel,
)
from workbench.ui.empty_project import project_or_stop
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import empty, findings, show_error
from workbench.ui.session import Here
from workbench.ui.state import recall
from workbench.ui.texts import language, t
from workbench.ui.versions import choose_version


@st.cache_data(ttl=600, max_entries=10, show_spinner=False)
def _weighed(_place: Here, project: str, bundle: tuple[int, str], by_hand: dict[str, float | None]) -> EconomicsResult:
    return economics.run(_place.ctx, project, bundle[0], by_hand=by_hand)


def _sentence(result: EconomicsResult | None) -> str:
    if result is None:
        return t("Nothing to weigh yet: a model, contracts and subrogations are needed first.")
    curves = result.trade_off
    best = t(
        "Approving {rate} of the applicants brings most ({net} from {first} to {last}; the best lies between {low} and "
        "{high}).",
        rate=formats.percent(curves.approval_rate[curves.best], 0),
        net=formats.money_cny(curves.curves["net"].value[curves.best] * result.cny_per_unit, language()),
        first=result.first,
        last=result.last,
        low=formats.percent(curves.best_low, 0),
        high=formats.percent(curves.best_high, 0),
    )
    if result.policy_rate is None:
        return best
    return best + " " + t("The present policy approves {rate}.", rate=formats.percent(result.policy_rate, 0))


def _result(place: Here, number: int) -> EconomicsResult | None:
    state = place.ctx.registry.version(place.name, number)
    by_hand = dict(recall(f"by_hand_{place.name}", {}))
    try:
        with st.spinner(t("Weighing every approval rate")):
            return _weighed(place, place.name, (number, state.bundle_hash), by_hand)
    except WorkbenchError as error:
        show_error(error)
        return None


def _show(place: Here, result: EconomicsResult) -> None:
    step = chosen_step(result)
    with st.container(key="panel_step"):
        step_figures(result, step)
    with st.container(key="panel_net"):
        curves_panel(result, step)
    with st.container(key="panel_limits"):
        limits_panel(result)
    with st.container(key="panel_swaps"):
        swaps_panel(result, step)
    with st.container(key="panel_assumptions"):
        assumptions_panel(result)
    if result.findings:
        with st.container(key="panel_findings"):
            findings(result.findings)
    with st.container(key="panel_models"):
        models_panel(place, result, step)


def _main() -> None:
    place = project_or_stop(t("Economics"))
    rows = training.versions(place.ctx, place.name)
    if not rows or not economics.is_described(place.ctx, place.name):
        header(place, t("Where should the cutoff lie?"), _sentence(None))
        with st.container(key="panel_nothing"):
            empty(
                t("No economics yet"),
                t("Expected loss, fees, limits and swap sets at every cutoff. The project file says under economics "
                  "where contracts and subrogations stand."),
            )  # fmt: skip
        if not rows:
            st.page_link(PAGES["train"], label=t("Train a model"), icon=":material/arrow_forward:")
        return
    top = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = choose_version(rows, "economics_version")
        assumption_form(place)
    result = _result(place, chosen.number)
    with top:
        header(place, t("Where should the cutoff lie?"), _sentence(result))
    if result is not None:
        _show(place, result)


_main()
