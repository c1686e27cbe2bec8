"""Importing from a database by clicking: where it is, which of its tables, all rows or only the new ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from pydantic import ValidationError

from core.errors import InputError, WorkbenchError
from core.i18n import formats, msg
from warehouse.sql_source import DatabaseSource
from workbench.flows import databases
from workbench.flows.databases import FILE_KINDS, KINDS, TableView
from workbench.ui.pieces import draw, show_error
from workbench.ui.session import Here
from workbench.ui.state import forget, recall, remember
from workbench.ui.texts import t
from workbench.ui.work import ask_for

__all__ = ["database_form"]

_PORTS = {"postgresql": 5432, "mysql": 3306}


def database_form(place: Here) -> None:
    """Draw the project's database with its two imports, or the form that connects one."""
    known = databases.source(place.ctx, place.name)
    if known is None or recall("database_change"):
        _connect(place)
        return
    names = ", ".join(table.name for table in known.tables) or t("all tables")
    draw(f'<div class="mono">{known.label}</div><div class="caption">{names}</div>')
    grows = [table.name for table in known.tables if table.incremental_by]
    blocked = not place.can("data.import")
    with st.container(horizontal=True):
        if st.button(t("Import all rows"), type="primary", disabled=blocked):
            _ask(place, only_new=False)
        if st.button(t("Import new rows only"), disabled=blocked or not grows):
            _ask(place, only_new=True)
        st.button(t("Another database"), type="tertiary", on_click=remember, args=("database_change", True))
    if not grows:
        st.caption(t("New rows alone can be read of tables for which a growing column was named."))


def _ask(place: Here, *, only_new: bool) -> None:
    ask_for(place, "database", {"only_new": only_new})
    st.rerun()


def _connect(place: Here) -> None:
    kind = st.selectbox(t("Database"), list(KINDS), format_func=lambda key: KINDS[key], key="database_kind")
    with st.form("database_address", border=False):
        given = _file_fields() if kind in FILE_KINDS else _server_fields(kind)
        schema = st.text_input(t("Schema (left out: the database's own)"), key="database_schema")
        if st.form_submit_button(t("Look for tables"), disabled=not place.can("project.manage")):
            _look(place, kind, schema, given)
    found: list[TableView] | None = recall("database_tables")
    if found is not None:
        _choose(place, found)


def _file_fields() -> dict[str, Any]:
    return {"database": st.text_input(t("File on the server"), key="database_file").strip()}


def _server_fields(kind: str) -> dict[str, Any]:
    left, right = st.columns([0.7, 0.3])
    host = left.text_input(t("Host"), key="database_host").strip()
    port = right.number_input(t("Port"), 1, 65_535, _PORTS[kind], key=f"database_port_{kind}")
    left, middle, right = st.columns(3)
    name = left.text_input(t("Name of the database"), key="database_name").strip()
    user = middle.text_input(t("User"), key="database_user").strip()
    password = right.text_input(
        t("Password"),
        type="password",
        key="database_password",
        help=t("Kept in a file that only this server's user reads; never in the project file, a log or a message."),
    )
    return {"database": name, "host": host, "port": int(port), "user": user, "password": password}


def _look(place: Here, kind: str, schema: str, given: dict[str, Any]) -> None:
    """Connect and keep what tables there are; the password is put away first, and is in nothing else."""
    password = given.pop("password", "")
    try:
        where = {"url": databases.address(kind, **given), "db_schema": schema.strip() or None}
        if password:
            where["password_file"] = str(databases.keep_password(place.ctx, place.name, password))
        with st.spinner(t("Connecting to the database")):
            found = databases.tables(place.ctx, DatabaseSource.model_validate(where))
    except (WorkbenchError, ValidationError) as error:
        show_error(error if isinstance(error, WorkbenchError) else t("This address cannot be: check host and name."))
        return
    remember("database_tables", found)
    remember("database_where", where)


def _choose(place: Here, found: list[TableView]) -> None:
    if not found:
        st.caption(t("No table can be seen there."))
        return
    chosen = st.data_editor(
        [
            {
                "use": True,
                "table": item.name,
                "rows": "–" if item.n_rows is None else formats.count(item.n_rows),
                "key": ", ".join(item.primary_key) or "–",
            }
            for item in found
        ],
        hide_index=True,
        disabled=["table", "rows", "key"],
        column_config={
            "use": st.column_config.CheckboxColumn(t("Import")),
            "table": t("Table"),
            "rows": t("Rows"),
            "key": t("Key"),
        },
        key="database_choice",
    )
    growing = st.multiselect(
        t("Growing columns"),
        [_growing(item.name, column) for item in found for column in item.growing],
        key="database_growing",
        help=t(
            "A growing column, such as the time of loading or a running number, lets later imports read new rows only; "
            "with a number of days or steps to read again also those that came late."
        ),
    )
    reread = {choice: _reread(choice) for choice in growing}
    if st.button(t("Import these tables"), type="primary", disabled=not place.can("data.import")):
        _import(place, [row for row in chosen if row["use"]], reread)


def _reread(choice: str) -> float:
    """Ask how far back from the last value of a growing column rows are read again."""
    return float(
        st.number_input(
            t("Read again: {column}", column=choice),
            min_value=0.0,
            step=1.0,
            help=t("How far back from the last value, for rows that come late: days of a time, steps of a number."),
            key=f"database_reread_{choice}",
        )
    )


def _growing(table: str, column: str) -> str:
    """Return a column as the list offers it: one list serves the rows of all tables."""
    return f"{table} · {column}"


def _chosen_column(table: str, growing: Sequence[str]) -> str | None:
    """Return the growing column that was chosen of a table; refuse two."""
    own = _growing(table, "")
    chosen = [choice.removeprefix(own) for choice in growing if choice.startswith(own)]
    if len(chosen) > 1:
        raise InputError(
            msg("one column grows with every new row, here are {n}: {names}", n=len(chosen), names=", ".join(chosen)),
            where=table,
        )
    return chosen[0] if chosen else None


def _import(place: Here, rows: list[dict[str, Any]], reread: Mapping[str, float]) -> None:
    if not rows:
        show_error(t("Choose at least one table."))
        return
    where = recall("database_where")
    schema = f"{where['db_schema']}." if where["db_schema"] else ""
    try:
        wanted = [_wanted(row, schema, reread) for row in rows]
        databases.remember(place.ctx, place.name, DatabaseSource.model_validate(where | {"tables": wanted}))
    except WorkbenchError as error:
        show_error(error)
        return
    except ValidationError:
        show_error(t("A table's name must begin with a letter; name such tables in the project file."))
        return
    for kept in ("database_tables", "database_where", "database_change"):
        forget(kept)
    _ask(place, only_new=False)


def _wanted(row: dict[str, Any], schema: str, reread: Mapping[str, float]) -> dict[str, Any]:
    column = _chosen_column(row["table"], list(reread))
    wanted = {
        "name": row["table"],
        "table": f"{schema}{row['table']}",
        "incremental_by": column,
        "reread": reread[_growing(row["table"], column)] if column else None,
    }
    return {name: value for name, value in wanted.items() if value}
