"""The complete sample world of a chosen size: into a folder, or into a project without being held in memory."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from core.i18n import Message, msg
from workbench.flows import evaluation, importing, projects
from workbench.flows.context import Context
from workbench.flows.importing import ImportResult

if TYPE_CHECKING:
    from sample_data.base import NameLanguage

__all__ = ["DEFAULT_SEED", "SIZES", "SizeName", "SizeView", "Written", "load", "write"]

DEFAULT_SEED: Final = 20_240_101
SizeName = Literal["small", "demo", "full"]


@dataclass(frozen=True)
class SizeView:
    """A size as a person chooses it.

    Parameters
    ----------
    name : {"small", "demo", "full"}
        Its name.
    n_enterprises : int
        Firms.
    n_rows : int
        Rows of all tables, rounded: the figure at the default seed.
    what : Message
        What is in it.
    """

    name: SizeName
    n_enterprises: int
    n_rows: int
    what: Message


SIZES: Final = (
    SizeView("small", 1_500, 1_300_000, msg("every table, every credit report in detail")),
    SizeView("demo", 20_000, 14_000_000, msg("every table, details of the credit reports that were decided on")),
    SizeView("full", 40_000, 33_000_000, msg("every table, every credit report in detail")),
)
"""The sizes, the smallest first."""


@dataclass(frozen=True)
class Written:
    """What was written to a folder: rows per table, and how long it took; seed and version give it again."""

    folder: str
    size: str
    seed: int
    world_version: int
    n_rows: dict[str, int]
    seconds: float


def write(
    ctx: Context,
    folder: Path,
    *,
    size: SizeName,
    seed: int = DEFAULT_SEED,
    names: "NameLanguage | None" = None,
    dirty: bool = False,
    n_reports: int = 0,
) -> Written:
    """Write the world as Parquet to a new folder; needs ``data.import``.

    ``folder/tables`` can be imported; the truth lies apart from it in ``folder/oracle.parquet``.

    Parameters
    ----------
    names : {"zh", "en"}, optional
        Language of invented names; that of the context where left out.
    dirty : bool, default=False
        Put faults into some rows, to try the quality checks on.
    n_reports : int, default=0
        Write so many credit reports as XML to ``folder/reports`` in place of rows, to try their import on.

    Raises
    ------
    ConflictError
        The folder is not empty.
    InputError
        Reports and faults are asked for together.
    """
    from sample_data import WORLD_VERSION, write_world

    ctx.require("data.import")
    started = time.monotonic()
    spoken = names or ctx.language
    rows = write_world(folder, size, seed, names=spoken, dirty=dirty, n_reports=n_reports, progress=ctx.progress)
    return Written(str(folder), size, seed, WORLD_VERSION, rows, time.monotonic() - started)


def load(
    ctx: Context,
    project: str,
    *,
    size: SizeName,
    seed: int = DEFAULT_SEED,
    names: "NameLanguage | None" = None,
    dirty: bool = False,
) -> ImportResult:
    """Put the world into a project in the place of its tables; needs ``data.import``.

    Large tables stay in files on the way. With `dirty` the keys of some tables repeat, and no features can be built of
    them.
    """
    import pandas as pd

    from warehouse.staging import Staging
    from warehouse.table_set import TableSet

    ctx.require("data.import")
    started = time.monotonic()
    projects.get(ctx, project)
    work = Staging(projects.folder(ctx, project) / "staging")
    try:
        folder = work.new_path()
        write(ctx.part(0.0, 0.6), folder, size=size, seed=seed, names=names, dirty=dirty)
        evaluation.keep_oracle(ctx, project, pd.read_parquet(folder / "oracle.parquet"))
        table_set = TableSet.load(folder / "tables", in_files=True)
        return importing.keep(ctx.part(0.6, 1.0), project, table_set, (), f"sample_data ({size})", started)
    finally:
        work.close()
