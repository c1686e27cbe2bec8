"""What follows an import: newer data is published where something is published that would be old otherwise."""

from collections.abc import Callable
from dataclasses import replace

from workbench.flows import enterprises, snapshots
from workbench.flows.context import Context
from workbench.flows.importing import ImportResult

__all__ = ["following_import"]


def following_import(ctx: Context, project: str, bring: Callable[[Context], ImportResult]) -> ImportResult:
    """Run the import `bring`, then publish the online snapshot and the view of enterprises where that is due.

    What cannot be published is one more finding of the import.
    """
    result = snapshots.following_import(ctx.part(0.0, 0.9), project, bring)
    finding = enterprises.follow(ctx.part(0.9, 1.0), project)
    return result if finding is None else replace(result, findings=(*result.findings, finding))
