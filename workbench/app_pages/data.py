"""Data: which tables are here, how do they hang together, and can they be trusted?"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import IO

import streamlit as st

from core.errors import WorkbenchError
from core.i18n import formats
from workbench.flows import importing, projects, uploads
from workbench.flows.importing import ColumnProfile, ImportResult, TableProfile
from workbench.ui.column_words import named, role_word, type_word, unit_word
from workbench.ui.database_form import database_form
from workbench.ui.first_rows import first_rows
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import action, empty, findings, panel_title, show_error, table
from workbench.ui.sample_form import sample_choice
from workbench.ui.schedule_parts import schedules_panel
from workbench.ui.session import Here, here
from workbench.ui.start import new_project
from workbench.ui.state import recall, remember
from workbench.ui.tables_picture import TableBox, tables_picture
from workbench.ui.texts import language, t
from workbench.ui.times import ago, day
from workbench.ui.work import ask_for, watch

_FILE_TYPES = ["csv", "tsv", "txt", "asc", "gz", "parquet", "xlsx", "xml", "zip"]


def _sentence(result: ImportResult | None) -> str:
    if result is None:
        return t("No tables yet: import a folder or files, and the links between them are found.")
    return t(
        "{n_tables} tables with {n_rows} rows, known up to {as_of}; imported {age}.",
        n_tables=len(result.tables),
        n_rows=formats.count(sum(profile.n_rows for profile in result.tables)),
        as_of=day(result.as_of),
        age=ago(result.finished_at),
    )


def _import_panel(place: Here) -> None:
    blocked = not place.can("data.import")
    panel_title(t("Import"), t("From files or a database. What is there stays until the new tables are whole."))
    way = st.segmented_control(
        t("From"),
        ["upload", "folder", "database", "sample"],
        default="upload",
        required=True,
        format_func=lambda key: {
            "upload": t("Files"),
            "folder": t("Folder on the server"),
            "database": t("Database"),
            "sample": t("Sample world"),
        }[key],
        label_visibility="collapsed",
    )
    if way == "upload":
        files = st.file_uploader(
            t("Files"), type=_FILE_TYPES, accept_multiple_files=True, label_visibility="collapsed", disabled=blocked
        )
        if st.button(t("Import the files"), type="primary", disabled=blocked or not files):
            _import_files(place, files)
    elif way == "database":
        database_form(place)
    elif way == "sample":
        chosen = sample_choice("again", disabled=blocked)
        if st.button(t("Load the sample world"), type="primary", disabled=blocked):
            ask_for(place, "sample", chosen)
            st.rerun()
    else:
        source = st.text_input(t("Folder or file"), value=recall("source", ""), disabled=blocked)
        if st.button(t("Import the folder"), type="primary", disabled=blocked or not source.strip()):
            remember("source", source)
            ask_for(place, "import", {"source": str(Path(source.strip()).expanduser())})
            st.rerun()
    if not place.can("data.import"):
        st.caption(t("Importing needs the role of risk analyst or operator."))


def _import_files(place: Here, files: Sequence[IO[bytes]]) -> None:
    try:
        folder = uploads.store(place.ctx, place.name, [(file.name, file) for file in files])
    except WorkbenchError as error:
        show_error(error)
        return
    ask_for(place, "import", {"source": str(folder)})
    st.rerun()


def _graph(result: ImportResult) -> None:
    links = [(link.parent, link.child, link.child_column, 1.0) for link in result.relationships]
    tables_picture([TableBox(profile) for profile in result.tables], links, "tables")
    st.page_link(PAGES["data_model"], label=t("Correct keys, links, times and roles"), icon=":material/schema:")


def _tables(result: ImportResult) -> None:
    panel_title(t("Tables"), t("Event time is when it happened; known-at is when it could first have been seen."))
    table(
        (t("Table"), t("Rows"), t("Columns"), t("Key"), t("Event time"), t("Known at"), t("Period")),
        [
            (
                named(profile.name, profile.label),
                formats.count(profile.n_rows),
                str(len(profile.columns)),
                escape(", ".join(profile.primary_key)) or "–",
                escape(profile.event_time or "–"),
                escape(profile.known_at or "–"),
                f"{day(profile.first_event)} – {day(profile.last_event)}" if profile.first_event else "–",
            )
            for profile in result.tables
        ],
        numbers=(1, 2),
    )


def _links(result: ImportResult) -> None:
    panel_title(t("Links"), t("Children that found no parent are counted, never dropped in silence."))
    table(
        (t("Parent"), t("Child"), t("Without parent")),
        [
            (
                escape(f"{link.parent}.{link.parent_column}"),
                escape(f"{link.child}.{link.child_column}"),
                formats.count(link.n_orphans),
            )
            for link in result.relationships
        ],
        numbers=(2,),
    )


def _columns(place: Here, result: ImportResult) -> None:
    by_name = {profile.name: profile for profile in result.tables}
    chosen = st.selectbox(
        t("Look into a table"),
        list(by_name),
        format_func=lambda name: f"{by_name[name].label.get(language(), name)} ({name})",
        key="table_choice",
    )
    profile = by_name[chosen]
    _column_table(profile)
    with st.expander(t("First rows")):
        first_rows(place, profile)


def _column_table(profile: TableProfile) -> None:
    table(
        (t("Column"), t("Type"), t("Role"), t("Unit"), t("Missing"), t("Distinct"), t("Values")),
        [
            (
                named(column.name, column.label),
                escape(type_word(column.type)),
                escape(role_word(column.role)),
                escape(unit_word(column.unit or "–")).replace(" ", "\u00a0"),
                formats.percent(column.missing_rate),
                formats.count(column.n_distinct),
                escape(_values(column)),
            )
            for column in profile.columns
        ],
        numbers=(4, 5),
    )


def _values(column: ColumnProfile) -> str:
    if column.type == "boolean" and column.mean is not None:
        return t("yes: {share}", share=formats.percent(column.mean))
    if column.minimum is not None and column.maximum is not None:
        mean = "" if column.mean is None else t(", mean {mean}", mean=f"{column.mean:,.4g}")
        return t("{low} to {high}", low=column.minimum, high=column.maximum) + mean
    return ", ".join(f"{value} ({formats.count(n)})" for value, n in column.top_values[:4]) or "–"


def _data_model(place: Here, result: ImportResult | None) -> None:
    with st.expander(t("Project file: data model, labels and settings (YAML)")):
        number = None if result is None else result.data_model_version
        st.caption(
            t("What stands here overrides what was inferred. Import again after a change of types or links.")
            if number is None
            else t("The data model is kept in versions, now {n}: correct it on the Tables page.", n=number)
        )
        with st.form("project_file", border=False):
            text = st.text_area(
                "YAML",
                projects.spec_yaml(place.ctx, place.name),
                height=360,
                label_visibility="collapsed",
                key=f"yaml_{place.name}",
            )
            if st.form_submit_button(t("Save the project file"), disabled=not place.can("project.manage")):
                try:
                    projects.write_spec(place.ctx, place.name, text)
                    st.success(t("Saved."))
                except WorkbenchError as error:
                    show_error(error)
        if result is not None:
            st.download_button(
                t("Download the inferred data model"),
                result.data_model_yaml,
                file_name="data_model.yaml",
                on_click="ignore",
            )


def _main() -> None:
    place = here()
    if place.project is None:
        header(place, t("Data"), t("No project yet: start with the sample world, or with tables of your own."))
        new_project(place)
        return
    result = importing.stored(place.ctx, place.name)
    header(place, t("Which tables are here?"), _sentence(result))
    is_busy = watch(place, ("import", "sample", "database"))
    if not is_busy:
        with action(t("Import again"), "import", is_first=result is None):
            _import_panel(place)
    if result is None:
        with st.container(key="panel_empty"):
            empty(t("No tables yet"), t("Their rows, links, times and findings appear here after the import."))
    else:
        with st.container(key="panel_graph"):
            _graph(result)
        with st.container(key="panel_tables"):
            _tables(result)
        if result.relationships:
            with st.container(key="panel_links"):
                _links(result)
        if result.findings:
            with st.container(key="panel_findings"):
                panel_title(t("What the import found"))
                findings(result.findings)
        with st.container(key="panel_columns"):
            _columns(place, result)
    with st.container(key="panel_schedule"):
        schedules_panel(place, ("database", "import"))
    _data_model(place, result)


_main()
