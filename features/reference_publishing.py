"""Making reference data of whole tables, to be frozen into a bundle or published beside the online snapshot."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from core.errors import InputError
from core.i18n import msg
from core.progress import Progress
from features.peer_reference import peer_reference
from features.plan import FeaturePlan, ReferenceSettings, TableSchema
from features.reference import ReferenceSnapshot, latest_month, reference_fingerprint

if TYPE_CHECKING:
    from features.streaming_source import Source
    from warehouse.table_set import TableSet

__all__ = ["make_snapshot", "publish_reference"]

_BATCH_ROWS: Final = 50_000


def make_snapshot(
    tables: "TableSet | Source",
    plan: FeaturePlan,
    *,
    as_of: np.datetime64 | None = None,
    n_months: int | None = None,
    engine: Literal["stream", "dask"] | None = None,
    progress: Progress | None = None,
) -> ReferenceSnapshot | None:
    """Return the reference data of `plan` as of a day.

    Parameters
    ----------
    tables : TableSet, path or mapping of str to path or to list of paths
        The whole tables, as in `features.matrix.build_matrix`.
    plan : FeaturePlan
        Of the model that will use it.
    as_of : datetime64, optional
        The day up to which the data is complete; by default that of the table set. Later records are in no month.
    n_months : int, optional
        How many months it reaches back; by default as many as the plan's settings say.
    engine : {"stream", "dask"}, optional
        As in `features.peer_reference.peer_reference`.
    progress : Progress, optional
        Told month by month.

    Returns
    -------
    ReferenceSnapshot or None
        None where the plan has no reference features.

    Raises
    ------
    InputError
        The day is not known.
    """
    if not plan.needs_reference:
        return None
    moment = as_of if as_of is not None else _as_of(tables)
    if moment is None or np.isnat(moment):
        raise InputError(msg("say up to which day the data is complete"))
    day = moment.astype("datetime64[D]")
    last = latest_month(day)
    span = n_months or (plan.reference or ReferenceSettings()).n_months
    months = np.arange(last - span + 1, last + 1).astype("datetime64[M]")
    reference = peer_reference(tables, plan, months, engine=engine, progress=progress)
    return ReferenceSnapshot(
        fingerprint=reference_fingerprint(plan),
        as_of=day,
        peers={} if reference is None else reference.tables,
        tables={name: _json_rows(tables, name, plan.tables[name]) for name in plan.keyless_tables},
    )


def publish_reference(tables: "TableSet | Source", path: Path, plan: FeaturePlan, **how: Any) -> str | None:
    """Write the reference data of `plan` to the file `path`, whole or not at all; the model is not changed by it.

    Parameters
    ----------
    tables, plan
        As in `make_snapshot`, which takes the other parameters.
    path : path
        What is there is replaced in one step.

    Returns
    -------
    str or None
        The day up to which the data reaches; None where the plan has no reference features, and nothing is written.
    """
    snapshot = make_snapshot(tables, plan, **how)
    if snapshot is None:
        return None
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(snapshot.to_json(plan))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return snapshot.date


def _as_of(tables: "TableSet | Source") -> np.datetime64 | None:
    return None if isinstance(tables, Path | str | Mapping) else tables.as_of.to_datetime64()


def _json_rows(tables: "TableSet | Source", name: str, schema: TableSchema) -> list[dict[str, Any]]:
    from features.preparation import json_rows

    if not isinstance(tables, Path | str | Mapping):
        return json_rows(tables.frame(name)[list(schema.columns)])
    from features.streaming_source import StoredTables, read_chunk

    stored = StoredTables.open(tables, [name])
    chunks = stored.chunks(name, _BATCH_ROWS)
    batches = [batch for chunk in chunks for batch in read_chunk(chunk, schema, list(schema.columns), _BATCH_ROWS)]
    return [row for batch in batches for row in json_rows(batch.to_pandas())]
