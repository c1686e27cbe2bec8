"""Files of a scorecard: what is handed on, and a card that is in use taken in as first champion."""

from html import escape
from pathlib import Path

import streamlit as st

from automl.families.titles import family_title
from core.errors import WorkbenchError
from core.i18n import formats
from workbench.flows import exporting, projects, scorecard_exchange, training
from workbench.flows.scorecard import Scale
from workbench.flows.scorecard_exchange import Form, Preview
from workbench.ui.pieces import draw, findings, panel_title, show_error, table, typeset
from workbench.ui.scorecard_pairs import matrix_tables
from workbench.ui.session import Here
from workbench.ui.state import forget, recall, remember
from workbench.ui.texts import capital, language, t
from workbench.ui.work import ask_for

__all__ = ["export_panel", "import_panel", "printed_card", "registered_panel", "which_card"]

_FILE_TYPES = ["csv", "xlsx", "json", "pmml", "xml"]
_DIALECTS = {"duckdb": "DuckDB", "postgresql": "PostgreSQL", "mysql": "MySQL"}


def which_card(place: Here, *, has_desk: bool) -> int | None:
    """Draw the choice among the card on the desk and those of versions, where there is one; None is the desk's."""
    cards = [*([None] if has_desk else []), *scorecard_exchange.versions(place.ctx, place.name)]
    if len(cards) == 1:
        return cards[0]
    return st.selectbox(
        t("Card"), cards, format_func=lambda n: t("The card on the desk") if n is None else f"v{n}", width=280
    )


def registered_panel(place: Here) -> None:
    """Draw the card of a version and the buttons that hand it on, for a project without a card on the desk."""
    if not scorecard_exchange.versions(place.ctx, place.name):
        return
    with st.container(key="panel_registered"):
        version = which_card(place, has_desk=False)
        printed_card(place, version)
        export_panel(place, version)


def printed_card(place: Here, version: int | None) -> None:
    """Draw the points of a card as they are printed, its matrices below; None is the card on the desk."""
    try:
        printed = scorecard_exchange.printed(place.ctx, place.name, version)
        crossed = scorecard_exchange.matrices_of(place.ctx, place.name, version)
    except WorkbenchError as error:  # a version of an earlier release may be the mean of several cards
        show_error(error)
        return
    panel_title(
        t("Points table") if version is None else t("Points table of {version}", version=f"v{version}"),
        t("A score is the base points and the points of one bin of each characteristic, and of one cell of each pair."),
    )
    rows = [(escape(name), _bin(held), *map(escape, rest)) for name, held, *rest in printed.rows]
    table([capital(name) for name in printed.header], rows, numbers=printed.numbers)
    matrix_tables(crossed)


def _bin(held: str) -> str:
    """Return what a bin holds as HTML; an interval stays in one line, names of levels may take several."""
    text = typeset(escape(held))
    return f'<span class="nowrap">{text}</span>' if held.startswith(("(", "[")) else text


def export_panel(place: Here, version: int | None) -> None:
    """Draw the buttons that hand a card on; None is the card on the desk."""
    panel_title(
        t("Export"),
        t("The points are whole units in every form, so each of them gives the score that the service gives."),
    )
    forms: dict[Form, str] = {
        "xlsx": t("Points table, Excel"),
        "csv": t("Points table, CSV"),
        "html": t("Points table, to print"),
        "table": t("Exchange table, CSV"),
        "pmml": "PMML 4.4",
    }
    with st.container(horizontal=True):
        for form, label in forms.items():
            _download(place, form, label, version)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        dialect = st.segmented_control(
            t("SQL for"), list(_DIALECTS), default="duckdb", required=True, format_func=_DIALECTS.__getitem__
        )
        source = st.text_input(t("Table of features"), value="features", width=220)
        with_reasons = st.checkbox(t("With reasons"), help=t("Up to four codes, those that the service gives."))
        _download(
            place, "sql", t("SQL query"), version,
            dialect=str(dialect), table=source or "features", with_reasons=with_reasons,
        )  # fmt: skip

    _onnx(place)


def _onnx(place: Here) -> None:
    """Draw the choice of a version to be written as ONNX, of the families that are sums of trees or tables."""
    rows = [row for row in training.versions(place.ctx, place.name) if row.family in exporting.ONNX_FAMILIES]
    if not rows:
        return
    panel_title(
        t("ONNX"), t("From features to log-odds, probability and points; of trees, the baseline and scorecards.")
    )
    names = {row.number: f"v{row.number} · {family_title(row.family).text(language())}" for row in rows}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = int(st.selectbox(t("Version"), list(names), format_func=lambda n: names[n], width=280))
        st.download_button(
            t("Write ONNX"),
            lambda: exporting.onnx(place.ctx, place.name, chosen).content,
            file_name=f"{place.name}-v{chosen}.onnx",
            on_click="ignore",
            key="export_onnx",
        )


def _download(place: Here, form: Form, label: str, version: int | None, **more: str | bool) -> None:
    """Draw one button; the file is made when it is pressed."""
    ctx = place.ctx
    stem = f"{place.name}-scorecard" + (f"-v{version}" if version else "")
    endings = {"xlsx": ".xlsx", "csv": ".csv", "html": ".html", "table": "-table.csv", "pmml": ".pmml", "sql": ".sql"}

    def content() -> bytes:
        return scorecard_exchange.export(ctx, place.name, form, version=version, **more).content  # type: ignore[arg-type]

    st.download_button(label, content, file_name=stem + endings[form], on_click="ignore", key=f"export_{form}")


def import_panel(place: Here) -> None:
    """Draw the form that takes in a card: the file, what its points stand for, and which features it reads."""
    panel_title(
        t("A card that is in use"),
        t("A points table (CSV, Excel, JSON) or PMML. Its points stay as they are; it is judged on this project's "
          "cases and registered as a draft version, to be reviewed and deployed like any model."),
    )  # fmt: skip
    file = st.file_uploader(t("File"), type=_FILE_TYPES, label_visibility="collapsed", key="scorecard_file")
    if file is None:
        forget("scorecard_upload")
        return
    scale = _scale()
    path = _stored(place, file.name, file.getvalue())
    try:
        shown = scorecard_exchange.preview(place.ctx, place.name, path, scale=scale)
    except WorkbenchError as error:
        show_error(error)
        return
    read = t(
        "{name}: {n} characteristics, {low} to {high} points",
        name=shown.name,
        n=shown.n_characteristics,
        low=formats.count(round(shown.lowest)),
        high=formats.count(round(shown.highest)),
    )
    draw(f"<div>{escape(read)}</div>")
    findings(shown.findings)
    names = _names(shown)
    if st.button(t("Judge it and register it"), type="primary", disabled=not all(names.values())):
        ask_for(
            place, "scorecard",
            {"action": "import", "path": str(path), "names": names, "scale": vars(scale) if scale else None},
        )  # fmt: skip
        st.rerun()


def _scale() -> Scale | None:
    if not st.checkbox(t("The file does not say what its points stand for")):
        return None
    first, second, third = st.columns(3)
    points = first.number_input(t("Base points"), value=600.0, format="%g", key="import_points")
    odds = second.number_input(t("Goods to one bad there"), value=20.0, min_value=0.01, format="%g", key="import_odds")
    pdo = third.number_input(
        t("Points that double the odds"), value=20.0, min_value=0.01, format="%g", key="import_pdo"
    )
    return Scale(float(points), float(odds), float(pdo))


def _stored(place: Here, name: str, content: bytes) -> Path:
    """Keep an upload once, so that the worker finds it."""
    held = recall("scorecard_upload")
    mark = (name, len(content), hash(content))
    if held is None or held[0] != mark:
        folder = projects.folder(place.ctx, place.name) / "scorecard" / "imports"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / Path(name).name
        path.write_bytes(content)
        held = (mark, str(path))
        remember("scorecard_upload", held)
    return Path(held[1])


def _names(shown: Preview) -> dict[str, str]:
    """Draw a choice for each characteristic whose feature is not known by its name."""
    open_ones = [alias for alias, feature in shown.features.items() if feature is None]
    names = {alias: feature or "" for alias, feature in shown.features.items()}
    if open_ones:
        st.caption(t("These characteristics bear no feature's name: say which feature each of them is."))
    for alias in open_ones:
        names[alias] = st.selectbox(alias, shown.choices[alias], index=None, key=f"feature_of_{alias}") or ""
    return names
