"""What a page is shown of the card on the desk: the list, one characteristic, and the changes in words."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from automl.scorecard.bins import BinTable, CharacteristicBins, number_text
from automl.scorecard.card import Characteristic
from automl.scorecard.classing import Edit, woe_shape
from automl.scorecard.directions import Suggestion, data_violations, learn_directions
from automl.scorecard.fitting import FittedScorecard
from automl.scorecard.matrices import matrices
from automl.scorecard.training import TrainingRows
from core.findings import Finding
from core.i18n import LANGUAGES, Message, msg
from workbench.flows.context import Context
from workbench.flows.scorecard import (
    BinRow,
    CardView,
    ChangeRow,
    CharacteristicRow,
    CharacteristicView,
    Scale,
    Suggested,
)
from workbench.flows.scorecard_desk import Desk, read, required, training_rows, weighed
from workbench.flows.steps import Step, require_step

__all__ = ["card", "characteristic", "direction_name"]

_Z = 1.959963984540054


def card(ctx: Context, project: str) -> CardView | None:
    """Return the card on the desk, or None."""
    desk = read(ctx, project)
    if desk is None:
        return None
    is_outdated = desk.feature_fingerprint != require_step(ctx, project, Step.FEATURES).fingerprint
    rows = training_rows(ctx, project)
    if is_outdated:
        return _view(desk, project, None, [], ctx.language)
    made = weighed(desk, rows)
    return _view(desk, project, made, desk.classing.tables(rows.data), ctx.language)


def characteristic(ctx: Context, project: str, alias: str) -> CharacteristicView:
    """Return one characteristic."""
    desk, rows = required(ctx, project), training_rows(ctx, project)
    bins = desk.classing.of(alias)
    table = rows.data.table(bins)
    made = weighed(desk, rows)
    item = next((one for one in made.card.characteristics if one.alias == alias), None)
    known = desk.classing.directions
    learnt = learn_directions([table], known).get(alias)
    direction = known.get(alias)
    column = rows.data.column(alias)
    held = column[np.isfinite(column) & ~bins.is_special(column)]
    return CharacteristicView(
        row=_row(table, desk, made),
        bins=tuple(_bin(table, item, index, made, ctx.language) for index in range(bins.n_bins)),
        missing_like=bins.missing_as,
        specials=bins.specials,
        values=(float(held.min()), float(held.max())) if bins.kind == "number" and len(held) else None,
        suggested=_suggested(learnt, rows),
        reason=direction.reason if direction is not None and direction.direction is not None else None,
        findings=_named(data_violations([table], known), desk, ctx.language),
        levels=bins.levels,
        level_labels={level: bins.level_label(level, ctx.language) for level in bins.levels},
    )


def direction_name(direction: str | None) -> Message:
    """Return how risk runs, in words."""
    names = {
        "rising": msg("the larger, the riskier"),
        "falling": msg("the larger, the safer"),
    }
    return names.get(direction or "", msg("as it likes"))


def _suggested(learnt: Suggestion | None, rows: TrainingRows) -> Suggested | None:
    if learnt is None or learnt.direction is None:
        return None
    return Suggested(
        learnt.direction,
        msg("every step between its bins is larger than chance explains, on {n} training rows", n=len(rows.data.y)),
    )


def _named(found: Iterable[Finding], desk: Desk, language: str) -> tuple[Finding, ...]:
    """Return the findings with readable names in place of aliases."""
    names = {item.alias: item.name(language) for item in desk.classing.bins}
    return tuple(replace(one, where=names.get(one.where or "", one.where)) for one in found)


def _view(desk: Desk, project: str, made: FittedScorecard | None, tables: list[BinTable], language: str) -> CardView:
    """Return what is shown; nothing was made where the features were built anew since."""
    spec = desk.spec
    low, high = made.card.range() if made else (0.0, 0.0)
    tables = sorted(tables, key=lambda table: -table.information_value)
    return CardView(
        project=project,
        label=desk.label,
        started_at=desk.started_at,
        by=desk.by,
        is_outdated=made is None,
        n_changes=desk.n_changes,
        can_undo=_standing(desk) > 0,
        scale=Scale(spec.base_points, spec.base_odds, spec.pdo, spec.decimals),
        base_points=made.card.points(made.card.base_units) if made else 0.0,
        lowest=low,
        highest=high,
        rows=tuple(_row(table, desk, made) for table in tables) if made else (),
        figures=dict(desk.figures),
        effects=desk.effects,
        changes=tuple(changes(desk)),
        findings=_named(made.findings, desk, language) if made else (),
        registered=desk.registered,
        weights=spec.weights,
        compared=dict(desk.compared),
        matrices=matrices(made.card, language) if made else (),
        resting=_resting(desk, made) if made else (),
    )


def _resting(desk: Desk, made: FittedScorecard) -> tuple[tuple[str, str], ...]:
    crossed = {frozenset(pair.aliases) for pair in made.card.pairs}
    return tuple(pair for pair in desk.pairs if frozenset(pair) not in crossed)


def _standing(desk: Desk) -> int:
    return sum(-1 if edit.action == "undo" else 1 for edit in desk.classing.edits)


def _row(table: BinTable, desk: Desk, made: FittedScorecard) -> CharacteristicRow:
    bins = table.bins
    return CharacteristicRow(
        alias=bins.alias,
        titles={language: bins.title(language) for language in LANGUAGES},
        kind=bins.kind,
        n_bins=bins.n_plain,
        information_value=table.information_value,
        shape=woe_shape(table),
        direction=desk.classing.direction(bins.alias),
        is_on=bins.alias in made.card.aliases,
        is_weighed_out=bins.alias in desk.chosen and bins.alias not in made.card.aliases,
        n_edits=sum(edit.alias == bins.alias for edit in desk.classing.edits),
    )


def _bin(
    table: BinTable, item: Characteristic | None, index: int, made: FittedScorecard, language: str
) -> BinRow:  # fmt: skip
    bins, n, n_bad = table.bins, int(table.n[index]), int(table.bad[index])
    rate = _jeffreys(n, n_bad) if n else None
    woe, error = float(table.woe[index]), float(table.woe_error[index])
    kind = bins.bin_kind(index)
    lower, upper = bins.interval(index) if kind == "interval" else (-np.inf, np.inf)
    return BinRow(
        index=index,
        label=bins.label(index, language),
        kind=kind,
        n=n,
        n_bad=n_bad,
        bad_rate=n_bad / n if n else None,
        bad_rate_low=rate[0] if rate else None,
        bad_rate_high=rate[1] if rate else None,
        woe=woe,
        woe_low=woe - _Z * error if np.isfinite(error) else None,
        woe_high=woe + _Z * error if np.isfinite(error) else None,
        points=made.card.points(item.units[index]) if item else None,
        lower=lower if np.isfinite(lower) else None,
        upper=upper if np.isfinite(upper) else None,
        levels=bins.members(index) if kind == "levels" else (),
        weight=made.card.points(item.units[index]) / made.card.points_per_log_odds if item else None,
    )


def _jeffreys(n: int, n_bad: int) -> tuple[float, float]:
    from scipy.stats import beta

    low, high = beta.ppf([0.025, 0.975], n_bad + 0.5, n - n_bad + 0.5)
    return float(low), float(high)


def changes(desk: Desk) -> list[ChangeRow]:
    """Return all changes in the order of time."""
    rows = [_edit_row(edit) for edit in desk.classing.edits] + [_other_row(item, desk) for item in desk.others]
    return sorted(rows, key=lambda row: row.at)


def _edit_row(edit: Edit) -> ChangeRow:
    before, after = edit.effect.information_value
    return ChangeRow(
        edit.at, edit.by, edit.action, edit.alias, dict(edit.after.names), _edit_text(edit), edit.note, (before, after)
    )  # fmt: skip


def _edit_text(edit: Edit) -> Message:
    before, details = edit.before, edit.details
    if edit.action == "merge":
        return msg("merged {bins}", bins=_bin_names(before, details["bins"]))
    if edit.action == "split":
        where = details["where"]
        text = number_text(float(where)) if isinstance(where, int | float) else ", ".join(where)
        return msg("split {bin} at {where}", bin=_bin_names(before, [details["bin"]]), where=text)
    if edit.action == "move":
        pair = {name: number_text(float(details[name])) for name in ("from", "to")}
        return msg("moved the boundary {before} to {after}", before=pair["from"], after=pair["to"])
    if edit.action == "direction":
        old, new = (direction_name(direction) for direction in edit.directions)
        return msg("direction: {before} → {after}", before=old, after=new)
    return _rest_text(edit, details)


def _rest_text(edit: Edit, details: Mapping[str, Any]) -> Message:
    if edit.action == "special":
        codes = ", ".join(f"{special.code} = {', '.join(map(str, special.values))}" for special in edit.after.specials)
        return msg("special codes: {codes}", codes=codes or "–")
    if edit.action == "missing":
        like = details["like"]
        if like is None:
            return msg("missing stands by itself")
        return msg("missing counts with {bin}", bin=_bin_names(edit.before, [like]))
    return msg("took back: {what}", what=_ACTIONS[details["of"]])


_ACTIONS = {
    "merge": msg("merge"),
    "split": msg("split"),
    "move": msg("move of a boundary"),
    "direction": msg("direction"),
    "special": msg("special codes"),
    "missing": msg("bin of missing"),
}


def _bin_names(bins: CharacteristicBins, indices: list[int]) -> str:
    return " + ".join(bins.label(index) for index in indices)


def _other_row(item: Mapping[str, Any], desk: Desk) -> ChangeRow:
    if item["action"] == "scale":
        after = Scale(**item["after"])
        what = msg(
            "scale: {points} points at {odds}:1, {pdo} points double the odds",
            points=number_text(after.base_points), odds=number_text(after.base_odds), pdo=number_text(after.pdo),
        )  # fmt: skip
    elif item["action"] in ("cross", "uncross"):
        other = desk.classing.of(item["other"]).name()
        is_crossed = item["action"] == "cross"
        what = msg("crossed with {other}", other=other) if is_crossed else msg("parted from {other}", other=other)
    else:
        what = msg("put on the card") if item["action"] == "take" else msg("taken off the card")
    names = dict(desk.classing.of(item["alias"]).names) if item["alias"] else {}
    return ChangeRow(
        datetime.fromisoformat(item["at"]), item["by"], item["action"], item["alias"], names, what, item["note"]
    )
