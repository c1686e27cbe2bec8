"""Catalogue: what is there to know of an enterprise, what does each field mean, and what has it become?"""

from collections.abc import Sequence
from html import escape

import streamlit as st

from core.i18n import formats, msg
from reporting import figures
from reporting.figures import LineageNode
from workbench.flows import catalogue, importing
from workbench.flows.catalogue import Field, Lineage
from workbench.flows.importing import ImportResult
from workbench.ui.charts import chart
from workbench.ui.column_words import role_word, type_word, unit_word
from workbench.ui.empty_project import project_or_stop
from workbench.ui.enterprises_panel import enterprises_panel
from workbench.ui.first_rows import first_rows
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import chip, empty, panel_title, table
from workbench.ui.session import Here, theme
from workbench.ui.texts import language, say, t

_MOST = 40


def _sentence(found: Sequence[Field]) -> str:
    if not found:
        return t("Nothing is catalogued yet: fields appear with the first import.")
    return t(
        "{n_fields} fields of {n_tables} tables; {n_matched} of the data standard, {n_used} read by kept features, "
        "{n_personal} personal.",
        n_fields=formats.count(len(found)),
        n_tables=len({field.table for field in found}),
        n_matched=formats.count(sum(field.standard_field is not None for field in found)),
        n_used=formats.count(sum(field.n_features > 0 for field in found)),
        n_personal=sum(field.is_personal for field in found),
    )


def _label(labels: dict[str, str], otherwise: str) -> str:
    return labels.get(language()) or labels.get("en") or otherwise


def _list(found: Sequence[Field]) -> None:
    table(
        (t("Field"), t("Table"), t("Type"), t("Role"), t("Unit"), t("Missing"), t("Data standard"), t("Features")),
        [
            (
                f"{escape(_label(field.label, field.column))} "
                f'<span class="mono muted">{escape(field.column)}</span>'
                + (" " + chip(t("personal"), "watch") if field.is_personal else ""),
                escape(_label(field.table_label, field.table)),
                escape(type_word(field.type)),
                escape(role_word(field.role)).replace(" ", "\u00a0"),
                escape(unit_word(field.unit or "–").replace(" ", "\u00a0")),
                formats.percent(field.missing_rate),
                _standard(field),
                str(field.n_features) if field.n_features else "–",
            )
            for field in found[:_MOST]
        ],
        numbers=(5, 7),
    )
    if len(found) > _MOST:
        st.caption(t("{n} more: search for a part of a name.", n=len(found) - _MOST))


def _standard(field: Field) -> str:
    if field.standard_field is None:
        return "–"
    source = escape(say(field.source), quote=True) if field.source is not None else ""
    return f'<span class="mono" title="{source}">{escape(field.standard_field)}</span>'


def _one(place: Here, found: Sequence[Field], data: ImportResult) -> None:
    names = {f"{field.table}.{field.column}": field for field in found}
    most_used = max(names, key=lambda name: names[name].n_features * (names[name].role == "feature"))
    chosen = st.selectbox(
        t("Field"),
        list(names),
        index=list(names).index(most_used),
        format_func=lambda name: f"{_label(names[name].label, names[name].column)} ({name})",
        key="lineage_field",
    )
    field = names[chosen]
    known = catalogue.lineage(place.ctx, place.name, field.table, field.column)
    _picture(field, known)
    if known.features:
        with st.expander(t("The {n} features in words", n=len(known.features))):
            table(
                (t("Feature"), t("Alias")),
                [
                    (escape(_label(item.names, item.alias)), f'<span class="mono muted">{escape(item.alias)}</span>')
                    for item in known.features
                ],
            )
    with st.expander(t("First rows of {table}", table=_label(field.table_label, field.table))):
        first_rows(place, data.table(field.table), first=field.column)


def _picture(field: Field, known: Lineage) -> None:
    names = {item.alias: _label(item.names, item.alias) for item in known.features}
    names |= {item.alias: _label(item.names, item.alias) for version in known.versions for item in version.features}
    slots = {slot: version.number for version in known.versions for slot in version.slots}
    root = LineageNode("field", _label(field.label, field.column), field.table)
    versions = [
        LineageNode(f"v{version.number}", f"v{version.number}", t("{n} features", n=len(version.features)))
        for version in known.versions
    ]
    links = [("field", f"f:{alias}") for alias in names]
    links += [(f"f:{item.alias}", f"v{version.number}") for version in known.versions for item in version.features]
    links += [(f"v{number}", f"s:{slot}") for slot, number in slots.items()]
    chart(
        figures.lineage_graph(
            [
                [root],
                [LineageNode(f"f:{alias}", name) for alias, name in names.items()],
                versions,
                [LineageNode(f"s:{slot}", _slot(slot)) for slot in slots],
            ],
            links,
            headings=[msg("Field"), msg("Features"), msg("Versions"), msg("At work")],
            title=msg(
                "{field}: features {n}, versions {versions}, at work {slots}",
                field=_label(field.label, field.column), n=len(names), versions=len(versions), slots=len(slots),
            ),
            language=language(),
            theme=theme(),
        ),
        "lineage",
    )  # fmt: skip


def _slot(name: str) -> str:
    return {"champion": t("Champion"), "live-challenger": t("Live challenger"), "challenger": t("Challenger")}.get(
        name, name
    )


def _main() -> None:
    place = project_or_stop(t("Catalogue"))
    data = importing.stored(place.ctx, place.name)
    known = catalogue.fields(place.ctx, place.name) if data is not None else ()
    header(place, t("What is known, and what has it become?"), _sentence(known))
    if data is None or not known:
        with st.container(key="panel_no_data"):
            empty(t("No tables yet"), t("Fields, their meaning and their lineage appear here after the import."))
        st.page_link(PAGES["data"], label=t("Import tables"), icon=":material/arrow_forward:")
        return
    with st.container(key="panel_lineage"):
        panel_title(
            t("Find a field"), t("Names in both languages, columns and fields of the data standard are searched.")
        )
        text = st.text_input(
            t("Search"), placeholder=t("for example: overdue, 逾期, contract.amount"), label_visibility="collapsed",
            key="catalogue_search",
        )  # fmt: skip
        found = catalogue.search(known, text or "")
        if found:
            _one(place, found, data)
        else:
            empty(t("Nothing found"), t("Try a part of a name, in either language."))
    if found:
        with st.container(key="panel_fields"):
            panel_title(t("Fields"), t("{n} found", n=formats.count(len(found))) if text else "")
            _list(found)
    with st.container(key="panel_enterprises"):
        enterprises_panel(place)


_main()
