"""One person's unsaved changes to the data model: kept step by step, taken back, put on what others saved meanwhile."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, insert, select

from core.errors import ConflictError
from core.i18n import Message, msg
from workbench.flows import data_models
from workbench.flows.context import Context
from workbench.flows.results import MessageField, from_json, to_json
from workbench.tables import data_model_draft as draft_table

if TYPE_CHECKING:
    from warehouse.data_model import DataModel
    from warehouse.modelling.differences import Difference

__all__ = [
    "Conflict", "Desk", "discard", "edit", "open_desk", "others", "rebase", "redo", "replace_with", "save",
    "take_theirs", "undo",
]  # fmt: skip

_MOST_STEPS: Final = 300


@dataclass(frozen=True)
class Conflict:
    """One thing that two people changed to different ends; mine stands until theirs is taken.

    Parameters
    ----------
    fact : tuple of str
        What it is said of; see `warehouse.modelling.facts.Fact`.
    where : str
        Table, or table and column.
    mine, theirs : Message
        What each made of what was there before.
    """

    fact: tuple[str, ...]
    where: str
    mine: MessageField
    theirs: MessageField


@dataclass(frozen=True)
class Desk:
    """What one person sees of the data model, and has changed.

    Parameters
    ----------
    base : int
        The version it was begun from; 0 for what the import inferred.
    latest : int
        The latest version now.
    base_yaml : str
        The model it was begun from.
    steps : tuple of mapping
        The edits, those taken back included.
    position : int
        How many of them count.
    conflicts : tuple of Conflict
        What others changed too, since the changes were put on their version.
    is_behind : bool
        Whether another version was saved, or other data imported, since the changes were begun.
    """

    project: str
    owner: str
    base: int
    latest: int
    base_yaml: str
    steps: tuple[Mapping[str, Any], ...] = ()
    position: int = 0
    conflicts: tuple[Conflict, ...] = ()
    is_behind: bool = False

    @property
    def base_model(self) -> "DataModel":
        """The model it was begun from."""
        return data_models.parsed(self.base_yaml)

    @property
    def model(self) -> "DataModel":
        """The model with the changes."""
        return _replayed(self.base_yaml, json.dumps(self.steps[: self.position]))

    @property
    def changes(self) -> "tuple[Difference, ...]":
        """What the changes come to, in words."""
        return _differences(self.base_yaml, json.dumps(self.steps[: self.position]))

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self.position > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is a step that was taken back."""
        return self.position < len(self.steps)


def open_desk(ctx: Context, project: str) -> Desk:
    """Return the desk of whoever asks, with what they had changed before; needs ``view``.

    Raises
    ------
    ConflictError
        Nothing was imported yet.
    """
    latest, now = data_models.in_use(ctx, project)
    fresh = Desk(project, ctx.actor.name, latest, latest, now)
    query = select(draft_table).where(_mine(ctx, project))
    with ctx.database.connect() as connection:
        row = connection.execute(query).one_or_none()
    if row is None or not row.steps:
        return fresh
    conflicts = tuple(from_json(Conflict, item) for item in row.conflicts)
    behind = row.base != latest or row.base_yaml != now
    return Desk(
        project, ctx.actor.name, row.base, latest, row.base_yaml, tuple(row.steps), row.position, conflicts, behind
    )


def others(ctx: Context, project: str) -> list[str]:
    """Return the names of others with unsaved changes, who may save before; needs ``view``."""
    ctx.require("view")
    query = select(draft_table.c.owner, draft_table.c.position).where(draft_table.c.project == project)
    with ctx.database.connect() as connection:
        rows = connection.execute(query).all()
    return sorted(row.owner for row in rows if row.position and row.owner != ctx.actor.name)


def edit(ctx: Context, project: str, step: Mapping[str, Any]) -> Desk:
    """Change the model by one step (see `warehouse.modelling.edits.apply_edit`); needs ``project.manage``.

    Steps that were taken back are gone then. A step that changes nothing is not kept.

    Raises
    ------
    ConfigurationError
        The step names what is not there, or contradicts itself; nothing is kept of it.
    ConflictError
        There are too many unsaved steps.
    """
    ctx.require("project.manage")
    desk = open_desk(ctx, project)
    if desk.position >= _MOST_STEPS:
        raise ConflictError(msg("there are {n} unsaved changes", n=desk.position), fix=msg("Save them first."))
    steps = (*desk.steps[: desk.position], dict(step))
    changed = replace(desk, steps=steps, position=len(steps))
    return desk if changed.model == desk.model else _keep(ctx, changed)


def replace_with(ctx: Context, project: str, content: str, *, where: str = "data model") -> Desk:
    """Put a whole model, given as YAML, in place of the one on the desk, as one step; needs ``project.manage``.

    Raises
    ------
    ConfigurationError
        The text is not a data model; names the line.
    """
    return edit(ctx, project, {"do": "replace", "yaml": data_models.read_text(content, where=where).to_yaml()})


def undo(ctx: Context, project: str) -> Desk:
    """Take back the last step; needs ``project.manage``."""
    ctx.require("project.manage")
    desk = open_desk(ctx, project)
    return _keep(ctx, replace(desk, position=max(desk.position - 1, 0)))


def redo(ctx: Context, project: str) -> Desk:
    """Take the last step again that was taken back; needs ``project.manage``."""
    ctx.require("project.manage")
    desk = open_desk(ctx, project)
    return _keep(ctx, replace(desk, position=min(desk.position + 1, len(desk.steps))))


def discard(ctx: Context, project: str) -> Desk:
    """Forget all unsaved changes; needs ``project.manage``."""
    ctx.require("project.manage")
    with ctx.database.begin() as connection:
        connection.execute(delete(draft_table).where(_mine(ctx, project)))
    return open_desk(ctx, project)


def rebase(ctx: Context, project: str) -> Desk:
    """Put the unsaved changes on the latest version and data; needs ``project.manage``.

    What both changed, to different ends, stays as on the desk and is listed as a conflict. Nothing is lost: the whole
    is one step that can be taken back.
    """
    from warehouse.modelling.facts import as_facts, as_model, put_together

    ctx.require("project.manage")
    desk = open_desk(ctx, project)
    latest, now = data_models.in_use(ctx, project)
    base, mine, theirs = (as_facts(model) for model in (desk.base_model, desk.model, data_models.parsed(now)))
    put, clashes = put_together(base, mine, theirs)
    conflicts = _conflicts(desk, data_models.parsed(now), set(clashes))
    step = {"do": "replace", "yaml": as_model(put).to_yaml()}
    return _keep(ctx, Desk(project, desk.owner, latest, latest, now, (step,), 1, conflicts))


def take_theirs(ctx: Context, project: str, fact: tuple[str, ...]) -> Desk:
    """Settle one conflict the other way: what the latest version says counts; needs ``project.manage``."""
    from warehouse.modelling.facts import as_facts, as_model

    desk = open_desk(ctx, project)
    theirs, mine = as_facts(desk.base_model), as_facts(desk.model)
    settled = {key: said for key, said in mine.items() if key != fact}
    if fact in theirs:
        settled[fact] = theirs[fact]
    after = edit(ctx, project, {"do": "replace", "yaml": as_model(settled).to_yaml()})
    rest = tuple(conflict for conflict in after.conflicts if conflict.fact != fact)
    return _keep(ctx, replace(after, conflicts=rest))


def save(ctx: Context, project: str, *, note: str = "") -> data_models.Version:
    """Save the desk as the next version and clear it; needs ``project.manage``.

    Raises
    ------
    ConflictError
        Another version was saved, or other data imported, meanwhile: `rebase` first. The desk stays as it is.
    ConfigurationError
        The stored tables cannot be used under the model.
    """
    desk = open_desk(ctx, project)
    if desk.is_behind and desk.base == desk.latest:
        raise ConflictError(
            msg("other data was imported since the changes were begun"),
            fix=msg("Put your changes on it, and save again."),
            code="model_changed",
        )
    saved = data_models.save(ctx, project, desk.model, base=desk.base, note=note)
    discard(ctx, project)
    return saved


def _keep(ctx: Context, desk: Desk) -> Desk:
    values = {
        "project": desk.project, "owner": desk.owner, "base": desk.base, "base_yaml": desk.base_yaml,
        "steps": [dict(step) for step in desk.steps], "position": desk.position,
        "conflicts": [to_json(conflict) for conflict in desk.conflicts], "updated_at": datetime.now(UTC),
    }  # fmt: skip
    with ctx.database.begin() as connection:
        connection.execute(delete(draft_table).where(_mine(ctx, desk.project)))
        connection.execute(insert(draft_table).values(values))
    return desk


def _mine(ctx: Context, project: str) -> Any:
    return (draft_table.c.project == project) & (draft_table.c.owner == ctx.actor.name)


def _conflicts(desk: Desk, theirs: "DataModel", clashes: set[tuple[str, ...]]) -> tuple[Conflict, ...]:
    from warehouse.modelling.differences import differences

    of_mine = {item.fact: item for item in differences(desk.base_model, desk.model)}
    of_theirs = {item.fact: item for item in differences(desk.base_model, theirs)}
    return tuple(
        Conflict(fact, (of_mine.get(fact) or of_theirs[fact]).where, _said(of_mine, fact), _said(of_theirs, fact))
        for fact in sorted(clashes)
        if fact in of_mine or fact in of_theirs
    )


def _said(said: "Mapping[tuple[str, ...], Difference]", fact: tuple[str, ...]) -> Message:
    return said[fact].message if fact in said else msg("is gone with its table")


@lru_cache(maxsize=32)
def _replayed(base_yaml: str, steps: str) -> "DataModel":
    from warehouse.modelling.edits import apply_edit
    from warehouse.modelling.facts import completed

    model = data_models.parsed(base_yaml)
    for step in json.loads(steps):
        model = data_models.parsed(step["yaml"]) if step["do"] == "replace" else apply_edit(model, step)
    return completed(model)


@lru_cache(maxsize=32)
def _differences(base_yaml: str, steps: str) -> "tuple[Difference, ...]":
    from warehouse.modelling.differences import differences

    return differences(data_models.parsed(base_yaml), _replayed(base_yaml, steps))
