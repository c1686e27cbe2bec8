"""The versions of the data model: who saved and reviewed them, what they say otherwise, files out and in."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from workbench.flows import data_models, model_desk, model_signing
from workbench.flows.data_models import Version
from workbench.ui.model_work import act, problem, widget_value
from workbench.ui.pieces import chip, draw, empty, panel_title, table
from workbench.ui.session import Here, here
from workbench.ui.state import remember
from workbench.ui.texts import html, say, t
from workbench.ui.times import exact

__all__ = ["files_panel", "versions_view"]

_TONES = {data_models.APPROVED: "good", data_models.REFUSED: "bad", data_models.SAVED: "watch"}


def versions_view(place: Here, found: Sequence[Version]) -> None:
    """Draw the list of versions, the differences between two, and the reviewer's decision."""
    if not found:
        with st.container(key="panel_no_model_version"):
            empty(
                t("No version yet"),
                t("The first one is saved with the first correction; until then, inference counts."),
            )
        with st.container(key="panel_model_files"):
            files_panel(place)
        return
    with st.container(key="panel_model_versions"):
        _list(found)
        if model_signing.is_asked_for(place.ctx, place.name):
            st.caption(t("This project trains and deploys only under a version that is approved."))
    left, right = st.columns([0.62, 0.38], gap="small")
    with left, st.container(key="panel_model_difference"):
        new = _difference(place, found)
    with right:
        with st.container(key="panel_model_review"):
            _review(place, new)
        with st.container(key="panel_model_files"):
            files_panel(place)


def _list(found: Sequence[Version]) -> None:
    panel_title(t("Versions"))
    table(
        ("", t("State"), t("Saved by"), t("Why"), t("Reviewed by"), t("Note")),
        [
            (
                str(item.number),
                chip(say(data_models.state_word(item.state)), _TONES.get(item.state, "")),
                f'{escape(item.author)} <span class="caption">{escape(exact(item.created_at))}</span>',
                escape(item.note) or "–",
                f'{escape(item.reviewed_by)} <span class="caption">{escape(exact(item.reviewed_at))}</span>'
                if item.reviewed_by and item.reviewed_at
                else "–",
                escape(item.review_note) or "–",
            )
            for item in found
        ],
    )


def _difference(place: Here, found: Sequence[Version]) -> Version:
    numbers = [item.number for item in found]
    panel_title(t("What changed"))
    left, right = st.columns(2)
    with left:
        new = st.selectbox(t("Version"), [number for number in numbers if number], key="model_new_version")
    with right:
        earlier = [number for number in numbers if number < new] or [new]
        old = st.selectbox(t("Against"), earlier, key=f"model_old_version_{new}", format_func=_old_word)
    changes = data_models.difference(place.ctx, place.name, old, new)
    if not changes:
        draw(f'<div class="caption">{escape(t("They say the same."))}</div>')
    else:
        table(
            (t("Where"), t("What"), t("What follows for features")),
            [
                (f'<span class="mono">{escape(item.where)}</span>', html(item.message), html(item.effect) or "–")
                for item in changes
            ],
        )
    return next(item for item in found if item.number == new)


def _old_word(number: int) -> str:
    return str(number) if number else t("0, inferred by the import")


def _review(place: Here, version: Version) -> None:
    panel_title(t("Review of version {n}", n=version.number))
    draw(chip(say(data_models.state_word(version.state)), _TONES.get(version.state, "")))
    for line in problem():
        draw(f'<div class="problem" role="alert">{escape(line)}</div>')
    if version.state != data_models.SAVED:
        if version.reviewed_by:
            said = t("{who}, {when}", who=version.reviewed_by, when=exact(version.reviewed_at))
            draw(f'<div class="caption">{escape(said)}</div>')
        return
    if not place.can("model.review"):
        st.caption(t("Signing needs the role of model reviewer."))
    elif version.author == place.ctx.actor.name:
        st.caption(t("You saved it: somebody else signs it."))
    else:
        st.text_area(t("Note"), key=f"model_review_note_{version.number}")
        with st.container(horizontal=True):
            st.button(t("Approve"), key="model_approve", type="primary", on_click=_sign, args=(version.number, True))
            st.button(t("Refuse"), key="model_refuse", on_click=_sign, args=(version.number, False))


def _sign(number: int, is_approved: bool) -> None:
    place = here()
    note = str(widget_value(f"model_review_note_{number}") or "")
    decide = data_models.approve if is_approved else data_models.refuse
    act(lambda: decide(place.ctx, place.name, number, note=note))


def files_panel(place: Here) -> None:
    """Offer the data model as a YAML file, and take one."""
    panel_title(t("As a file"), t("YAML, complete and readable; comments are not kept."))
    latest = data_models.current_number(place.ctx, place.name)
    numbers = [latest, *(item.number for item in data_models.versions(place.ctx, place.name) if item.number != latest)]
    number = st.selectbox(t("Version"), numbers, format_func=_old_word, key="model_file_version")
    text = data_models.text(place.ctx, place.name, number, with_header=True)
    st.download_button(
        t("Download"),
        text,
        file_name=f"data_model_{place.name}_{number}.yaml",
        mime="application/yaml",
        key="model_download",
        on_click="ignore",
    )
    if not place.can("project.manage"):
        return
    given = st.file_uploader(t("Load a YAML file into the editor"), type=["yaml", "yml"], key="model_upload")
    if given is not None:
        content, name = given.getvalue(), given.name
        st.button(t("Load into the editor"), key="model_take_file", on_click=_take, args=(content, name))
    if number and number != latest:
        st.button(
            t("Load version {n} into the editor", n=number), key="model_take_version", on_click=_take_version,
            args=(number,),
        )  # fmt: skip


def _take(content: bytes, name: str) -> None:
    place = here()

    def put() -> None:
        model_desk.replace_with(place.ctx, place.name, content.decode("utf-8-sig", "replace"), where=name)

    if act(put):
        remember("model_view", "editor")


def _take_version(number: int) -> None:
    place = here()
    text = data_models.text(place.ctx, place.name, number)
    if act(lambda: model_desk.replace_with(place.ctx, place.name, text)):
        remember("model_view", "editor")
