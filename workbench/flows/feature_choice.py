"""What the analyst chooses about features: changed click by click, checked, and kept in the project's specification."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from core.errors import ConfigurationError
from core.i18n import msg
from features.primitives.vocabulary import AGGREGATIONS, GROUPS, TRANSFORMS
from features.spec import FeatureSpec
from workbench.flows import projects
from workbench.flows.context import Context

__all__ = [
    "changed",
    "chosen",
    "differences",
    "preset_of",
    "primitive_groups",
    "reset",
    "save",
    "with_column",
    "with_counterparties",
    "with_preset",
    "with_primitives",
    "with_table",
    "with_window",
]

_NETWORK = "network"
_GROUPS: dict[str, tuple[str, ...]] = {
    "amount": ("count", "sum", "mean", "median", "min", "max", "first", "last"),
    "course": ("std", "skew", "trend"),
    "time": ("time_since_last", "time_since_first", "avg_time_between", "max_gap", "min_gap"),
    "streak": ("current_streak", "longest_streak", "percent_true", "any", "all"),
    "share": ("largest_share", "herfindahl"),
    "category": ("num_unique", "mode", "second_most_common", "third_most_common", "entropy"),
    "row": tuple(TRANSFORMS),
}


def primitive_groups() -> dict[str, tuple[str, ...]]:
    """Return the primitives as people think of them, each in one group; ``more`` holds those of no other."""
    listed = {name for members in _GROUPS.values() for name in members}
    rest = tuple(name for name in (*AGGREGATIONS, *TRANSFORMS) if name not in listed)
    return {**_GROUPS, "more": rest} if rest else dict(_GROUPS)


def chosen(ctx: Context, project: str) -> FeatureSpec:
    """Return what the project's specification says about features; needs ``view``."""
    return projects.spec(ctx, project).features


def save(ctx: Context, project: str, choice: FeatureSpec) -> FeatureSpec:
    """Keep a choice in the project's specification, with its changes in the audit trail; needs ``feature.build``.

    Nothing is written where nothing changed.

    Raises
    ------
    ConfigurationError
        The choice is not valid, or names a primitive twice.
    """
    ctx.require("feature.build")
    spec = projects.spec(ctx, project)
    checked = changed(choice)
    changes = differences(spec.features, checked)
    if changes:
        projects.write_spec(ctx, project, spec.model_copy(update={"features": checked}))
        ctx.audit("feature.choose", f"project:{project}", {"changes": changes})
    return checked


def reset(ctx: Context, project: str) -> FeatureSpec:
    """Set the choice back to the defaults; the audit trail keeps what it was. Needs ``feature.build``."""
    return save(ctx, project, FeatureSpec())


def changed(choice: FeatureSpec, **changes: Any) -> FeatureSpec:
    """Return the choice with other values, checked.

    Raises
    ------
    ConfigurationError
        Names the field of the first fault.

    Examples
    --------
    >>> changed(FeatureSpec(), max_depth=3).max_depth
    3
    """
    try:
        return FeatureSpec.model_validate(choice.model_dump(exclude_unset=True) | changes)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise ConfigurationError(
            msg("{problem}, got {value}", problem=fault["msg"], value=repr(fault["input"])), where=place
        ) from error


def differences(before: FeatureSpec, after: FeatureSpec) -> dict[str, Any]:
    """Return the fields that differ, each with its value before and after, as JSON values."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return {name: {"before": old[name], "after": new[name]} for name in new if new[name] != old[name]}


def with_window(choice: FeatureSpec, text: str) -> FeatureSpec:
    """Return the choice with one more window, such as ``"45d"``; one that is there already changes nothing.

    Raises
    ------
    ConfigurationError
        The text is no window.
    """
    from features.definitions import parse_window

    window = text.strip().lower()
    if window != "all":
        parse_window(window)
    return choice if window in choice.windows else changed(choice, windows=[*choice.windows, window])


def with_primitives(choice: FeatureSpec, names: Sequence[str]) -> FeatureSpec:
    """Return the choice with these primitives; what the group ``credit`` brought besides stays, written out.

    Where the names amount to a preset, the choice is that preset, with all that it brings.
    """
    listed = [name for name in (*AGGREGATIONS, *TRANSFORMS) if name in names]
    preset = preset_of(choice.model_copy(update={"primitives": listed}))
    if preset is not None:
        return with_preset(choice, preset)
    network = [_NETWORK] if _NETWORK in choice.primitives else []
    deep = choice.model_copy(update={"max_depth": 3})
    ratios, levels = list(choice.chosen_ratios), choice.chosen_levels
    return changed(
        choice, primitives=listed + network, window_ratios=ratios, frequent_levels=levels, stack=list(deep.chosen_stack)
    )


def with_preset(choice: FeatureSpec, name: str) -> FeatureSpec:
    """Return the choice with a group of primitives, and with the window ratios, levels and stacking it brings.

    Whether counterparties are looked at stays as it is.
    """
    network = [_NETWORK] if _NETWORK in choice.primitives else []
    return changed(choice, primitives=[name, *network], window_ratios=None, frequent_levels=None, stack=None)


def with_counterparties(choice: FeatureSpec, *, is_used: bool) -> FeatureSpec:
    """Return the choice with features of counterparties, or without them."""
    names = [name for name in choice.primitives if name != _NETWORK]
    return changed(choice, primitives=[*names, _NETWORK] if is_used else names, counterparties=None)


def with_table(choice: FeatureSpec, table: str, *, is_used: bool) -> FeatureSpec:
    """Return the choice with a table used or left out; its columns that were left out one by one are forgotten."""
    ignore = {name: columns for name, columns in choice.ignore.items() if name != table}
    return changed(choice, ignore=ignore if is_used else {**ignore, table: []})


def with_column(choice: FeatureSpec, table: str, column: str, *, is_used: bool) -> FeatureSpec:
    """Return the choice with a column used or left out; where its whole table is left out nothing changes."""
    columns = choice.ignore.get(table)
    if columns == []:
        return choice
    kept_out = sorted({*(columns or ()), column} - ({column} if is_used else set()))
    ignore = {name: names for name, names in choice.ignore.items() if name != table}
    return changed(choice, ignore={**ignore, table: kept_out} if kept_out else ignore)


def preset_of(choice: FeatureSpec) -> str | None:
    """Return the group of primitives that the choice amounts to, or None where it is one of the analyst's own."""
    names: Mapping[str, tuple[str, ...]] = GROUPS
    return next((name for name, members in names.items() if set(members) == set(choice.chosen)), None)
