"""What leaves the feature step as files: the list of features as CSV for a spreadsheet, the plan as JSON."""

import csv
import io

from workbench.flows import features
from workbench.flows.context import Context
from workbench.flows.features import DroppedFeature, FeatureResult, FeatureRow
from workbench.flows.spreadsheet import BYTE_ORDER_MARK, guarded

__all__ = ["features_csv", "plan_json"]


def features_csv(result: FeatureResult, language: str = "en") -> bytes:
    """Return every computed feature, kept or not and why, one per line; a spreadsheet runs nothing of it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        ["alias", "name", "kept", "table", "column", "primitive", "window", "live_source", "information_value",
         "missing_rate", "reason"]
    )  # fmt: skip
    for row in result.kept:
        figures = ["" if row.information_value is None else f"{row.information_value:.6g}", f"{row.missing_rate:.6g}"]
        writer.writerow([*_named(row, language, "1"), *figures, ""])
    for item in result.dropped:
        writer.writerow([*_named(item, language, "0"), "", "", guarded(item.why(language))])
    return BYTE_ORDER_MARK + out.getvalue().encode()


def plan_json(ctx: Context, project: str) -> str:
    """Return the plan of the kept features as its JSON; needs ``view``."""
    ctx.require("view")
    return features.plan(ctx, project).to_json()


def _named(item: FeatureRow | DroppedFeature, language: str, kept: str) -> list[str]:
    texts = [item.alias, item.name(language), kept, item.table, item.column, item.primitive]
    return [guarded(text) for text in (*texts, item.window or "", item.liveness)]
