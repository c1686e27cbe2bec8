"""The scorecard as a desk: bins fitted, edited by clicking, weighed live, printed, exported and registered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from automl.scorecard.bins import Special
from automl.scorecard.matrices import Matrix
from core.errors import NotFoundError
from core.i18n import msg
from workbench.flows import features
from workbench.flows.context import Context
from workbench.flows.results import FindingField, MessageField
from workbench.flows.training import Figure, TrainResult

__all__ = [
    "CROSSED",
    "ActionName",
    "BinRow",
    "CardView",
    "Change",
    "ChangeRow",
    "CharacteristicRow",
    "CharacteristicView",
    "Effect",
    "Scale",
    "Suggested",
    "WeightsName",
    "change",
    "characteristic",
    "register",
    "required",
    "start",
    "view",
]

WeightsName = Literal["evidence", "joint", "boosted"]
ActionName = Literal[
    "merge", "split", "move", "direction", "special", "missing", "undo", "take", "leave", "scale", "cross", "uncross"
]
CROSSED = "crossed"
"""Name of the card with crossed characteristics among those that were compared at the start."""


@dataclass(frozen=True)
class Scale:
    """Points that stand for the base odds of good to bad, points that double the odds, and decimals."""

    base_points: float = 600.0
    base_odds: float = 20.0
    pdo: float = 20.0
    decimals: int = 0


@dataclass(frozen=True)
class Change:
    """What a person asks for; each action reads what it needs.

    Parameters
    ----------
    action : str
        ``merge`` (`bins`), ``split`` (`bins` of one, `at` or `levels`), ``move`` (boundary `boundary` to `at`),
        ``direction``, ``special`` (`specials`), ``missing`` (`like`), ``undo``, ``take`` and ``leave`` (on or off the
        card), ``scale``, ``cross`` and ``uncross`` (with `other`: a matrix of points of both, on or off the card).
    alias : str
        The characteristic; not read by ``undo`` and ``scale``.
    """

    action: ActionName
    alias: str = ""
    bins: tuple[int, ...] = ()
    boundary: int = 0
    at: float | None = None
    levels: tuple[str, ...] = ()
    direction: Literal["rising", "falling"] | None = None
    specials: tuple[Special, ...] = ()
    like: int | None = None
    scale: Scale | None = None
    other: str = ""


@dataclass(frozen=True)
class Effect:
    """What the last change did to the card: AUC after minus before, paired over the same rows, with its interval."""

    sample: str
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class CharacteristicRow:
    """One characteristic in the list.

    Parameters
    ----------
    information_value : float
        Over all its bins, on the training rows.
    shape : str
        How the weight of evidence runs; see `automl.scorecard.classing.woe_shape`.
    is_on : bool
        Whether it is on the card.
    is_weighed_out : bool
        Whether it is wanted on the card and left out, because beside the others it contradicts its evidence.
    """

    alias: str
    titles: dict[str, str]
    kind: str
    n_bins: int
    information_value: float
    shape: str
    direction: str | None
    is_on: bool
    is_weighed_out: bool
    n_edits: int


@dataclass(frozen=True)
class ChangeRow:
    """One change, in the order of time: who, when, from what to what, why, and what it did."""

    at: datetime
    by: str
    action: str
    alias: str
    names: dict[str, str]
    what: MessageField
    note: str
    information_value: tuple[float, float] | None = None


@dataclass(frozen=True)
class CardView:
    """The whole card as it stands.

    `figures` maps a sample to the card's AUC there; ``cross_validation`` weighs the bins anew on the other folds, but
    the bins have seen all of them; ``bins_anew``, as of the start, fitted the bins anew too. ``calibration`` rows
    nobody fitted anything on.
    `weights` is how its bins are weighed, and `compared` maps each way that was tried at the start to its AUC;
    ``crossed`` is the best of them with crossed characteristics. `matrices` are those on the card, `resting` the pairs
    that are wanted and have none: one of the two is off the card, or nothing is left to say of both.
    `effects` is what the last change did. `n_changes` tells a page whether somebody else changed it since.
    """

    project: str
    label: str
    started_at: datetime
    by: str
    is_outdated: bool
    n_changes: int
    can_undo: bool
    scale: Scale
    base_points: float
    lowest: float
    highest: float
    rows: tuple[CharacteristicRow, ...]
    figures: dict[str, Figure]
    effects: tuple[Effect, ...]
    changes: tuple[ChangeRow, ...]
    findings: tuple[FindingField, ...]
    registered: tuple[int, ...]
    weights: WeightsName = "evidence"
    compared: dict[str, Figure] = field(default_factory=dict)
    matrices: tuple[Matrix, ...] = ()
    resting: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class BinRow:
    """One bin: what it holds, its counts, its bad rate and weight of evidence with 95 % intervals, its points.

    `weight` is what the points add to the log-odds of good, on the scale of the weight of evidence: above zero safer
    than the average row.
    """

    index: int
    label: str
    kind: str
    n: int
    n_bad: int
    bad_rate: float | None
    bad_rate_low: float | None
    bad_rate_high: float | None
    woe: float
    woe_low: float | None
    woe_high: float | None
    points: float | None
    lower: float | None = None
    upper: float | None = None
    levels: tuple[str, ...] = ()
    weight: float | None = None


@dataclass(frozen=True)
class Suggested:
    """A direction somebody or something says the risk runs in, with the reason."""

    direction: str
    reason: MessageField


@dataclass(frozen=True)
class CharacteristicView:
    """One characteristic's bins, for the picture, the table and the tools."""

    row: CharacteristicRow
    bins: tuple[BinRow, ...]
    missing_like: int | None
    specials: tuple[Special, ...]
    values: tuple[float, float] | None
    suggested: Suggested | None
    reason: MessageField | None
    findings: tuple[FindingField, ...]
    levels: tuple[str, ...] = field(default=())
    level_labels: Mapping[str, str] = field(default_factory=dict)


def start(ctx: Context, project: str, weights: WeightsName | None = None) -> CardView:
    """Fit bins anew on the training rows and lay them on the desk, in place of what lies there; needs ``model.train``.

    Parameters
    ----------
    weights : {"evidence", "joint", "boosted"}, optional
        How bins are weighed; left out, what cross-validation finds best.

    Raises
    ------
    ConflictError
        If there are no features yet.
    """
    from workbench.flows import scorecard_desk

    ctx.require("model.train")
    features.step_folder(ctx, project)
    scorecard_desk.begin(ctx, project, weights)
    return required(ctx, project)


def view(ctx: Context, project: str) -> CardView | None:
    """Return the card on the desk, or None; needs ``view``."""
    from workbench.flows import scorecard_views

    ctx.require("view")
    return scorecard_views.card(ctx, project)


def characteristic(ctx: Context, project: str, alias: str) -> CharacteristicView:
    """Return one characteristic of the card on the desk; needs ``view``."""
    from workbench.flows import scorecard_views

    ctx.require("view")
    return scorecard_views.characteristic(ctx, project, alias)


def change(ctx: Context, project: str, wanted: Change, *, note: str = "", seen: int | None = None) -> CardView:
    """Change the card on the desk; needs ``model.train``.

    The change, who made it and why go into the audit trail.

    Parameters
    ----------
    wanted : Change
        What to do.
    note : str
        Why.
    seen : int, optional
        `CardView.n_changes` of the card that was looked at; a card that has moved on since is a conflict.

    Raises
    ------
    ConflictError
        If somebody else changed the card meanwhile.
    InputError
        If the change is not possible; the message says what is.
    """
    from workbench.flows import scorecard_desk

    ctx.require("model.train")
    scorecard_desk.apply(ctx, project, wanted, note=note, seen=seen)
    return required(ctx, project)


def register(ctx: Context, project: str) -> TrainResult:
    """Judge the card on every sample and register it as a draft version; needs ``model.train``."""
    from workbench.flows import scorecard_release

    ctx.require("model.train")
    return scorecard_release.register(ctx, project)


def required(ctx: Context, project: str) -> CardView:
    """Return the card on the desk; raises `NotFoundError` where none lies there."""
    shown = view(ctx, project)
    if shown is None:
        raise NotFoundError(
            msg("project {project} has no scorecard on the desk", project=project), fix=msg("Start one first.")
        )
    return shown
