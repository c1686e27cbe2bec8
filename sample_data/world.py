"""The whole sample world: its tables with keys and two times, and apart from them the truth behind the loans."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import InputError
from core.i18n import msg
from core.progress import Progress, SilentProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from sample_data.base import Base, NameLanguage
    from sample_data.complete import Size
    from warehouse.data_model import DataModel
    from warehouse.table_set import TableSet

__all__ = ["DEMO_PROJECT", "WORLD_VERSION", "World", "complete_data_model", "generate_world", "write_world"]

DEMO_PROJECT: Final = Path(__file__).parent / "project.yaml"
"""The sample project: data model with labels in both languages, two labels, feature and training settings."""

WORLD_VERSION: Final = 2
"""Of the process that draws the world: the same seed and version give the same bytes.

2: losses of every year at the rates of the specification.
"""

_ADDITIONS: Final = Path(__file__).parent / "complete.yaml"
_FEWEST = 50
_ORACLE_FILE: Final = "oracle.parquet"
_TABLES_FOLDER: Final = "tables"
_REPORTS_FOLDER: Final = "reports"


@dataclass(frozen=True)
class World:
    """A generated world.

    Parameters
    ----------
    table_set : TableSet
        What a guarantee institution would have on the as-of day, 2024-12-31.
    oracle : DataFrame of shape (n_applications, 7)
        What nobody has: per ``app_id`` the true probability of each label (``p12``, ``p12_subrogation``), the hidden
        ``quality`` and ``owner`` (standard normal scale), ``growth`` of sales, and the ``outcome`` drawn, also of
        applications that were never signed. Not for training: it shows what AUC could be attained at best.
    """

    table_set: "TableSet"
    oracle: "pd.DataFrame"


def generate_world(
    n_enterprises: int = 20_000,
    seed: int = 20_240_101,
    *,
    size: "Size | str | None" = None,
    names: "NameLanguage" = "zh",
    dirty: bool = False,
    progress: Progress | None = None,
) -> World:
    """Generate a world of firms from 2017 to 2024, with applications since 2019.

    Without `size` it has the fourteen tables of the sample project; twenty thousand firms give some 24,000 contracts
    and 1,000 bads of the first label, in about ten seconds. With `size` it has all tables: the fourteen as they are
    without the others, but for added columns. The same arguments give the same world, bit for bit.

    Parameters
    ----------
    n_enterprises : int, default=20_000
        At least 50; not used where `size` is given.
    seed : int, default=20_240_101
        Not negative.
    size : Size or {"small", "demo", "full"}, optional
        Size of a complete world (see `sample_data.complete.SIZES`). All of it is held in memory: for ``"full"``, use
        `write_world`.
    names : {"zh", "en"}, default="zh"
        Language of the names of firms, persons and guarantors; all else is the same.
    dirty : bool, default=False
        Put faults into a complete world: 0.3% of the rows of many tables twice, 0.2% of the statements and tax returns
        in CNY for 10,000 CNY, 0.1% of dates swapped, 0.5% of the credit codes in lower case. Keys are then not unique.
    progress : Progress, optional
        Told the stages.

    Raises
    ------
    InputError
        Too few firms, a negative seed, an unknown size, or faults asked for without a size.

    Examples
    --------
    >>> world = generate_world(50, seed=1)
    >>> world.table_set.as_of.date().isoformat()
    '2024-12-31'
    """
    from sample_data import complete, core_tables
    from warehouse.table_set import TableSet

    chosen = None if size is None else complete.size_of(size)
    n_enterprises = n_enterprises if chosen is None else chosen.n_enterprises
    progress = progress or SilentProgress()
    if chosen is None and dirty:
        raise InputError(msg("faults are put only into a complete world: give a size"), where="dirty=True")
    base = _drawn(n_enterprises, seed, names, progress)
    progress.report(0.2, msg("writing the sample tables"))
    if chosen is None:
        frames = core_tables.core_frames(base)
        progress.report(0.8, msg("checking the sample tables against their data model"))
        table_set = TableSet.from_frames(frames, _project_model())
    else:
        table_set = _joined(complete.complete_parts(base, chosen, dirty=dirty), complete_data_model(), progress)
    progress.report(1.0, msg("the sample world is ready"))
    return World(table_set, _oracle(base))


def write_world(
    folder: Path,
    size: "Size | str" = "full",
    seed: int = 20_240_101,
    *,
    names: "NameLanguage" = "zh",
    dirty: bool = False,
    n_reports: int = 0,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Generate a complete world straight into Parquet files, a part of a table at a time.

    The same world as `generate_world` gives, in memory that does not grow with the credit reports. ``folder/tables``
    holds one file per table and ``data_model.yaml``, ready to be imported or loaded as a `TableSet`; the truth is
    apart from them, in ``folder/oracle.parquet``.

    Parameters
    ----------
    n_reports : int, default=0
        How many of the newest credit reports on enterprises are written as XML to ``folder/reports`` in place of rows
        of the tables; imported after the tables they are the same rows.

    Returns
    -------
    dict of str to int
        Number of rows per table.

    Raises
    ------
    InputError
        Too few firms, a negative seed, an unknown size, fewer than no reports, or reports together with faults.
    ConflictError
        The folder is not empty.
    """
    from sample_data import complete
    from sample_data.held_reports import HeldReports
    from sample_data.writing import write_parts
    from warehouse.table_set import new_folder, require_free

    chosen, folder = complete.size_of(size), Path(folder)
    progress = progress or SilentProgress()
    require_free(folder)
    if n_reports < 0 or (n_reports and dirty):
        raise InputError(
            msg("reports are written as XML from a world without faults only, and not fewer than none"),
            where=f"n_reports={n_reports!r}, dirty={dirty!r}",
        )
    base = _drawn(chosen.n_enterprises, seed, names, progress)
    oracle = _oracle(base)
    parts = complete.complete_parts(base, chosen, dirty=dirty)
    held = HeldReports(n_reports)
    with new_folder(folder) as target:
        rows = write_parts(
            held.pass_on(parts) if n_reports else parts, complete_data_model(), target / _TABLES_FOLDER, progress
        )
        if n_reports:
            held.write(target / _REPORTS_FOLDER)
        oracle.to_parquet(target / _ORACLE_FILE, index=False)
    progress.report(1.0, msg("the sample world is ready"))
    return rows


@cache  # read-only, and half a second to parse
def complete_data_model() -> "DataModel":
    """Return the data model of a complete world: that of the sample project, widened by the other tables."""
    from warehouse.data_model import DataModel

    project, additions = _project_model(), DataModel.from_yaml(_ADDITIONS)
    tables = dict(project.tables)
    for name, table in additions.tables.items():
        known = tables.get(name)
        columns = {} if known is None else known.columns
        tables[name] = (known or table).model_copy(update={"columns": {**columns, **table.columns}})
    model = DataModel(
        tables=tables, relationships=[*project.relationships, *additions.relationships], as_of=project.as_of
    )
    model.check()
    return model


def _drawn(n: int, seed: int, names: "NameLanguage", progress: Progress) -> "Base":
    from sample_data.base import draw_base

    if n < _FEWEST or seed < 0:
        raise InputError(
            msg("a sample world needs at least {least} enterprises and a seed of 0 or more", least=_FEWEST),
            where=f"n_enterprises={n!r}, seed={seed!r}",
        )
    return draw_base(n, seed, names, progress)


def _joined(parts: "Iterator[tuple[str, pd.DataFrame]]", model: "DataModel", progress: Progress) -> "TableSet":
    """Put the parts together, table by table, each freed as soon as it is copied."""
    import pandas as pd

    from sample_data.writing import conformed
    from warehouse.table_set import Table, TableSet

    collected: dict[str, list[pd.DataFrame]] = {}
    for name, frame in parts:
        collected.setdefault(name, []).append(conformed(frame, model.table(name)))
    progress.report(0.8, msg("checking the sample tables against their data model"))
    tables = {
        name: Table(spec, pd.concat(collected.pop(name), ignore_index=True)) for name, spec in model.tables.items()
    }
    return TableSet(tables, model)


def _oracle(base: "Base") -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    facts = base.facts
    outcomes = np.array(["good", "overdue_cured", "subrogated", "subrogated_after_12m"], dtype=object)
    return pd.DataFrame(
        {
            "app_id": base.app_id,
            "p12": facts["p12"],
            "p12_subrogation": facts["p12_subrogation"],
            "quality": facts["quality"],
            "owner": base.firms.owner[facts["firm"]],
            "growth": facts["growth"],
            "outcome": outcomes[facts["kind"]],
        }
    )


@cache
def _project_model() -> "DataModel":
    """Return the data model of the sample project, which the frames must fit."""
    import yaml

    from warehouse.data_model import DataModel

    project = yaml.safe_load(DEMO_PROJECT.read_text(encoding="utf-8"))
    return DataModel.model_validate(project["data"])
