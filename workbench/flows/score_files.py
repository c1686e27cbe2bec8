"""A file of scores: written batch by batch, whole at the end or not there at all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from core.errors import InputError
from core.i18n import msg
from workbench.flows.folders import writing_file
from workbench.flows.spreadsheet import guarded

if TYPE_CHECKING:
    import pandas as pd

    from automl.reasons import Reason
    from model_registry.scorer import Scorer

__all__ = ["FileFormat", "ScoreFile", "file_format", "score_frame", "writing_scores"]

FileFormat = Literal["parquet", "csv"]
_BYTE_ORDER_MARK = "utf-8-sig"


def file_format(output: Path, chosen: str | None = None) -> FileFormat:
    """Return the form of a file of scores: the chosen one, or that of its ending.

    Raises
    ------
    InputError
        It is neither CSV nor Parquet.
    """
    kind = chosen or output.suffix.lstrip(".").lower()
    for known in get_args(FileFormat):
        if kind == known:
            return known  # type: ignore[no-any-return]  # one of the two
    raise InputError(
        msg("a file of scores is CSV or Parquet, not {kind}", kind=repr(kind)),
        where=str(output.name),
        fix=msg("Let the name end in .csv or .parquet."),
    )


def score_frame(
    scorer: "Scorer",
    values: np.ndarray,
    leading: dict[str, Any],
    *,
    errors: np.ndarray | None = None,
    n_reasons: int = 0,
    language: str = "en",
) -> "pd.DataFrame":
    """Return the answers to rows of values as a table.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features)
        In the order of the scorer's plan.
    leading : dict of str to array
        The first columns: what the rows are called.
    errors : ndarray of str or None, shape (n_rows,), optional
        Why a row is not scored; a column of the table where given.
    n_reasons : int, default=0
        Columns of reasons.
    language : {"en", "zh"}, default="en"
        Their language.
    """
    import pandas as pd

    good = np.ones(len(values), dtype=bool) if errors is None else np.array([error is None for error in errors])
    probability, points = np.full(len(values), np.nan), np.full(len(values), np.nan)
    grade = np.full(len(values), None, dtype=object)
    probability[good], points[good], grade[good] = scorer.score_matrix(values[good])
    return pd.DataFrame(
        {
            **leading,
            "probability": probability,
            "score": points,
            "grade": grade,
            **_reasons(scorer, values, good, n_reasons, language),
            **({} if errors is None else {"error": errors}),
            "version": scorer.version,
            "bundle_hash": scorer.bundle_hash,
        }
    )


def _reasons(scorer: "Scorer", values: np.ndarray, good: np.ndarray, n: int, language: str) -> dict[str, list[str]]:
    if n <= 0:
        return {}
    written: list[list[Reason]] = [[] for _ in values]
    rows = np.flatnonzero(good)
    for row, moved in zip(rows, scorer.contributions(values[rows]) if len(rows) else (), strict=True):
        written[row] = scorer.reason_writer.write(moved, values[row], n, language)
    columns: dict[str, list[str]] = {}
    for i in range(n):
        columns[f"reason_{i + 1}_code"] = [found[i].code if i < len(found) else "" for found in written]
        columns[f"reason_{i + 1}"] = [found[i].text if i < len(found) else "" for found in written]
    return columns


@dataclass
class ScoreFile:
    """A file on its way, and what was written so far.

    Parameters
    ----------
    path : Path
        Where it is written meanwhile.
    form : {"parquet", "csv"}
        What it is.
    """

    path: Path
    form: FileFormat
    n_rows: int = 0
    n_refused: int = 0
    probability_sum: float = 0.0
    grade_counts: Counter[str] = field(default_factory=Counter)
    _writer: Any = None

    def write(self, frame: "pd.DataFrame") -> None:
        """Add rows: what `score_frame` returns."""
        (self._write_parquet if self.form == "parquet" else self._write_csv)(frame)
        scored = frame["probability"].notna()
        self.n_rows += len(frame)
        self.n_refused += len(frame) - int(scored.sum())
        self.probability_sum += float(frame["probability"].sum())
        self.grade_counts.update(frame["grade"][scored].astype(str))

    def close(self) -> None:
        """Write what ends the file."""
        if self._writer is not None:
            self._writer.close()

    @property
    def mean_probability(self) -> float | None:
        """Of the rows that were scored; None where there are none."""
        n_scored = self.n_rows - self.n_refused
        return self.probability_sum / n_scored if n_scored else None

    def _write_parquet(self, frame: "pd.DataFrame") -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(frame, schema=self._schema(frame), preserve_index=False, nthreads=1)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, table.schema)
        self._writer.write_table(table)

    @staticmethod
    def _schema(frame: "pd.DataFrame") -> Any:
        """Return the types of the columns, those of texts too where a batch has none."""
        import pyarrow as pa

        kinds = {"O": pa.string(), "f": pa.float64(), "i": pa.int64(), "M": pa.timestamp("ns")}
        return pa.schema([(name, kinds[kind.kind]) for name, kind in frame.dtypes.items()])

    def _write_csv(self, frame: "pd.DataFrame") -> None:
        safe = frame.copy()
        for name in safe.select_dtypes("object").columns:
            safe[name] = ["" if text is None or text != text else guarded(str(text)) for text in safe[name]]
        is_first = self.n_rows == 0
        safe.to_csv(
            self.path,
            mode="w" if is_first else "a",
            header=is_first,
            index=False,
            encoding=_BYTE_ORDER_MARK if is_first else "utf-8",
        )


@contextmanager
def writing_scores(output: Path, chosen: str | None = None) -> Iterator[ScoreFile]:
    """Yield a file of scores to be filled, which takes its place at the end; an error leaves no trace of it."""
    form = file_format(output, chosen)
    with writing_file(output) as path:
        file = ScoreFile(path, form)
        try:
            yield file
        finally:
            file.close()
