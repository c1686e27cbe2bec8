"""How many features a choice would propose, and what building them takes, said before anything is built."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.flows import importing, projects
from workbench.flows.context import Context
from workbench.flows.feature_choice import primitive_groups
from workbench.flows.steps import Step, require_step

if TYPE_CHECKING:
    from automl.label import Labels
    from features.definitions import FeatureDefinition
    from features.spec import FeatureSpec
    from warehouse.table_set import TableSet
    from workbench.flows.features import FeatureResult

__all__ = ["Cost", "Ground", "Preview", "estimate", "ground", "preview"]

# Seconds of processor time, measured with the sample project (35,843 rows, 22.6 million table cells) for 150, 300 and
# 600 features with 30 and 60 kept, and 120 features of each group alone; the last build's own times replace them.
_S_PER_VALUE = {
    "amount": 1.3e-7, "course": 6.7e-7, "time": 1.2e-7, "streak": 1.2e-7, "share": 2.5e-7, "category": 2.3e-7,
    "row": 1.6e-8,
}  # fmt: skip
_S_PER_SELECTED_VALUE = 1.3e-7
_S_PER_FEATURE = {"selection": 0.012, "proof": 0.085}
_S_PER_TABLE_CELL = {"tables": 6.6e-8, "computing": 3.5e-8, "proof": 9e-8}
_S_FIXED = {"labels": 0.1, "proposal": 3.0}
_BYTES_PER_CELL = 10.0
_BASE_MB = 450.0
_BYTES_PER_TABLE_CELL = 30.0


@dataclass(frozen=True)
class Preview:
    """What a choice would propose; the counts by table, primitive and window are of the features within its limit.

    Parameters
    ----------
    n_proposed, n_planned : int
        Features that can be made, and those of them within ``max_features``, which would be computed.
    by_table, by_primitive, by_window : dict of str to int
        The planned features; a window of "" stands for none.
    n_rows : int
        Rows that would be computed.
    names : dict of str to tuple of (dict of str to str)
        Per table, the readable names of the first features planned from it.
    """

    n_proposed: int
    n_planned: int
    by_table: dict[str, int]
    by_primitive: dict[str, int]
    by_window: dict[str, int]
    n_rows: int
    names: dict[str, tuple[dict[str, str], ...]]


@dataclass(frozen=True)
class Cost:
    """About how long a build takes and how much memory at most; `is_measured` where a build here was timed before."""

    seconds: float
    memory_mb: float
    is_measured: bool


@dataclass(frozen=True)
class Ground:
    """What a preview stands on: the tables, and the rows that training would see."""

    fingerprint: str
    table_set: "TableSet"
    training: "Labels"
    n_rows: int


_NAMES_SHOWN = 8


def ground(ctx: Context, project: str, label: str | None = None) -> Ground:
    """Read the tables and find the training rows, as the build does; needs ``view``.

    Raises
    ------
    ConflictError
        If nothing was imported yet.
    InputError
        If the label cannot be learned from.
    """
    from automl.label import build_labels
    from automl.split import make_split

    ctx.require("view")
    spec = projects.spec(ctx, project)
    table_set = importing.tables(ctx, project)
    labels = build_labels(table_set, spec.label(label))
    split = make_split(labels, spec.training)
    return Ground(ground_key(ctx, project, label), table_set, labels.take(split.train), len(labels))


def ground_key(ctx: Context, project: str, label: str | None = None) -> str:
    """Return what tells one `Ground` from another without reading any table."""
    spec = projects.spec(ctx, project)
    data = require_step(ctx, project, Step.DATA).fingerprint
    return f"{data} {spec.label(label).model_dump_json()} {spec.training.model_dump_json()}"


def preview(base: Ground, choice: "FeatureSpec") -> Preview:
    """Return what `choice` would propose: the very definitions that a build would make.

    Raises
    ------
    ConfigurationError
        Nothing can be proposed, or the choice names what is not there.
    """
    from workbench.flows.feature_building import propose_all

    definitions = propose_all(base.table_set, base.training, choice)
    planned = definitions[: choice.max_features]
    root = base.training.spec.root_table
    tables = [item.path[-1].table if item.path else root for item in planned]
    return Preview(
        n_proposed=len(definitions),
        n_planned=len(planned),
        by_table=dict(Counter(tables)),
        by_primitive=dict(Counter(item.primitive for item in planned)),
        by_window=dict(Counter(item.window or "" for item in planned)),
        n_rows=base.n_rows,
        names=_names(planned, tables),
    )


def estimate(found: Preview, choice: "FeatureSpec", *, n_table_cells: int, last: "FeatureResult | None" = None) -> Cost:
    """Return what a build would take.

    Parameters
    ----------
    found : Preview
        What would be computed.
    choice : FeatureSpec
        How many of it would be kept.
    n_table_cells : int
        Rows times columns of all tables.
    last : FeatureResult, optional
        The last build here: its stages are scaled by rows and features. Without one, rates measured on the sample
        project are used.
    """
    n_kept = min(choice.select_top, found.n_planned)
    values = found.n_rows * found.n_planned
    memory = _BASE_MB + (_BYTES_PER_CELL * values + _BYTES_PER_TABLE_CELL * n_table_cells) / 1e6
    times = {stage.stage: stage.seconds for stage in last.stages} if last else {}
    if not times or last is None:
        seconds = _by_rates(found, n_table_cells, n_kept, min(2 * choice.select_top, found.n_planned))
        return Cost(seconds, memory, is_measured=False)
    grown = values / max(last.label.n_rows * last.n_computed, 1)
    n_kept = min(choice.select_top, round(last.n_kept * found.n_planned / max(last.n_computed, 1)))
    growth = {"computing": grown, "selection": grown, "proof": n_kept / max(last.n_kept, 1)}
    return Cost(sum(s * growth.get(stage, 1.0) for stage, s in times.items()), memory, is_measured=True)


def _by_rates(found: Preview, n_table_cells: int, n_kept: int, n_binned: int) -> float:
    """Return the seconds by the rates above; of primitives of no group by that of the dearest."""
    group_of = {name: group for group, names in primitive_groups().items() for name in names}
    dearest = max(_S_PER_VALUE.values())
    seconds = sum(_S_FIXED.values()) + sum(_S_PER_TABLE_CELL.values()) * n_table_cells
    seconds += _S_PER_SELECTED_VALUE * found.n_rows * found.n_planned
    seconds += _S_PER_FEATURE["selection"] * n_binned + _S_PER_FEATURE["proof"] * n_kept
    for primitive, n_features in found.by_primitive.items():
        seconds += _S_PER_VALUE.get(group_of.get(primitive, ""), dearest) * found.n_rows * n_features
    return seconds


def _names(planned: "Sequence[FeatureDefinition]", tables: list[str]) -> dict[str, tuple[dict[str, str], ...]]:
    names: dict[str, list[dict[str, str]]] = {}
    for item, table in zip(planned, tables, strict=True):
        shown = names.setdefault(table, [])
        if len(shown) < _NAMES_SHOWN:
            shown.append(dict(item.names))
    return {table: tuple(shown) for table, shown in names.items()}
