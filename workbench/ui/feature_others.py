"""Switches for what other firms tell: link tables, counterparties, and peers of the same industry and region."""

import streamlit as st

from features.definitions import PEER_STATISTICS
from features.spec import FeatureSpec
from workbench.flows import feature_choice
from workbench.flows.feature_graph import TableGraph
from workbench.ui.feature_draft import Draft, edit, widget_value
from workbench.ui.texts import language, t

__all__ = ["other_firms"]

_MOST_CATEGORIES = 200


def other_firms(graph: TableGraph, draft: Draft) -> None:
    """Draw the switches."""
    choice = draft.choice
    key = draft.key("links")
    st.toggle(
        t("What link tables lead to"),
        value=choice.links,
        key=key,
        help=t("Such as the clients of an account, by their attributes."),
        on_change=_set_links,
        args=(key,),
    )
    key = draft.key("counterparties")
    st.toggle(
        t("Counterparties"),
        value=bool(choice.chosen_counterparties),
        key=key,
        help=t("Cases, subrogations and overdue sums of the firms guaranteed. A live score then needs the snapshot."),
        on_change=_set_counterparties,
        args=(key,),
    )
    _peers(graph, draft)


def _peers(graph: TableGraph, draft: Draft) -> None:
    options = _shared(graph)
    if not options:
        return
    peers = draft.choice.peers
    by, statistics = draft.key("peers_by"), draft.key("peers_statistics")
    st.multiselect(
        t("Compare with firms of the same"),
        list(options),
        default=[name for name in (peers.by if peers else ()) if name in options],
        format_func=lambda name: options[name],
        max_selections=4,
        placeholder=t("no comparison with peers"),
        help=t("Peers as known before the month of the cutoff; where they are too few, the last is dropped first."),
        key=by,
        on_change=_set_peers,
        args=(by, statistics),
    )
    if peers is not None:
        st.pills(
            t("What is told of each comparison"),
            PEER_STATISTICS,
            selection_mode="multi",
            wrap=True,
            default=list(peers.statistics),
            format_func=_statistic_word,
            key=statistics,
            on_change=_set_peers,
            args=(by, statistics),
        )


def _shared(graph: TableGraph) -> dict[str, str]:
    """Return the categories that firms may share, those of the parents of the cases, with their titles."""
    places = [node for node in graph.nodes if node.place == "parent" and node.is_used]
    return {
        f"{node.name}.{column.name}": column.label.get(language(), "") or f"{node.name}.{column.name}"
        for node in places
        for column in node.profile.columns
        if column.type == "category" and column.role == "feature" and column.n_distinct <= _MOST_CATEGORIES
    }


def _statistic_word(name: str) -> str:
    words = {
        "difference_from_mean": t("Difference from the mean"),
        "difference_from_median": t("Difference from the median"),
        "ratio_to_median": t("Ratio to the median"),
        "z_score": t("Standard deviations from the mean"),
        "percentile": t("Percentile"),
        "n_peers": t("Number of peers"),
    }
    return words.get(name, name)


def _set_links(key: str) -> None:
    edit(lambda choice: feature_choice.changed(choice, links=bool(widget_value(key))))


def _set_counterparties(key: str) -> None:
    edit(lambda choice: feature_choice.with_counterparties(choice, is_used=bool(widget_value(key))))


def _set_peers(by: str, statistics: str) -> None:
    def change(choice: FeatureSpec) -> FeatureSpec:
        chosen = list(widget_value(by) or ())
        if not chosen:
            return feature_choice.changed(choice, peers=None)
        given = choice.peers.model_dump(exclude_unset=True) if choice.peers else {}
        told = widget_value(statistics)
        given |= {"statistics": list(told)} if told else {}
        return feature_choice.changed(choice, peers={**given, "by": chosen})

    edit(change)
