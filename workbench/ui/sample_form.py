"""Which sample world, by clicking: the fourteen tables of the sample project, or a complete world of a chosen size."""

from typing import Any

import streamlit as st

from core.i18n import formats
from workbench.flows import sample_world
from workbench.ui.texts import language, say, t

__all__ = ["sample_choice"]

_PROJECT = "project"


def sample_choice(key: str, *, disabled: bool = False) -> dict[str, Any]:
    """Draw the choice and return the arguments of the ``sample`` job.

    Parameters
    ----------
    key : str
        Tells two choices on one page apart.
    disabled : bool, default=False
        Whether the person may only look.
    """
    sizes = {size.name: size for size in sample_world.SIZES}
    chosen = st.radio(
        t("Size"),
        [_PROJECT, *sizes],
        format_func=lambda name: _title(sizes.get(name)),
        captions=[t("20,000 enterprises; what the examples rest on"), *(_contents(size) for size in sizes.values())],
        disabled=disabled,
        key=f"{key}_size",
    )
    if chosen == _PROJECT:
        return {}
    faults = st.checkbox(
        t("With faults: doubled rows, wrong units, swapped dates, to try the quality page on; no features then"),
        disabled=disabled,
        key=f"{key}_faults",
    )
    return {"size": chosen, "names": language(), "dirty": faults}


def _title(size: sample_world.SizeView | None) -> str:
    if size is None:
        return t("14 tables")
    words = {"small": t("All 53 tables, small"), "demo": t("All 53 tables, demo"), "full": t("All 53 tables, full")}
    return words[size.name]


def _contents(size: sample_world.SizeView) -> str:
    return t(
        "{n} enterprises, about {rows} rows: {what}",
        n=formats.count(size.n_enterprises),
        rows=formats.count(size.n_rows),
        what=say(size.what),
    )
