"""Features that a person keeps whatever selection finds, or leaves out: kept in the project's specification, undone."""

from collections.abc import Iterable

from features.spec import FeatureSpec
from workbench.flows import feature_choice
from workbench.flows.context import Context

__all__ = ["drop", "keep", "undo"]


def keep(ctx: Context, project: str, aliases: Iterable[str]) -> FeatureSpec:
    """Keep features through selection, from the next build on; needs ``feature.build``."""
    return _save(ctx, project, keep=aliases)


def drop(ctx: Context, project: str, aliases: Iterable[str]) -> FeatureSpec:
    """Leave features out, from the next build on; needs ``feature.build``."""
    return _save(ctx, project, drop=aliases)


def undo(ctx: Context, project: str, aliases: Iterable[str]) -> FeatureSpec:
    """Leave it to selection again whether features are kept; needs ``feature.build``."""
    return _save(ctx, project, free=aliases)


def _save(
    ctx: Context,
    project: str,
    *,
    keep: Iterable[str] = (),
    drop: Iterable[str] = (),
    free: Iterable[str] = (),
) -> FeatureSpec:
    choice = feature_choice.chosen(ctx, project)
    to_keep, to_drop = list(dict.fromkeys(keep)), list(dict.fromkeys(drop))
    moved = {*to_keep, *to_drop, *free}
    lists = {
        "keep": [*(alias for alias in choice.keep if alias not in moved), *to_keep],
        "drop": [*(alias for alias in choice.drop if alias not in moved), *to_drop],
    }
    return feature_choice.save(ctx, project, feature_choice.changed(choice, **lists))
