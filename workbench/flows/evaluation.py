"""A version judged on rows it did not see: by segment and month, against another, and against what is attainable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from automl.comparison import ScoreComparison, compare_scores
from automl.predictions import Predictions
from automl.slices import MISSING_LEVEL, OTHER_LEVEL, Slice, slices_by_month, slices_by_segment
from core.errors import ConflictError, InputError
from core.findings import NotApplicable
from core.i18n import msg
from workbench.flows import projects, training
from workbench.flows.context import Context
from workbench.flows.folders import writing_file
from workbench.flows.segments import ENTITY, SegmentColumn, segment_columns, segment_level_names, segment_levels
from workbench.flows.stored_columns import stored_columns

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Attainable", "attainable", "by_month", "by_segment", "columns", "common_rows", "compare", "keep_oracle",
    "keep_predictions", "level_text", "levels_of", "predictions", "version_numbers",
]  # fmt: skip

_FOLDER = "predictions"
_ORACLE_FOLDER = "oracle"
_DRAWS = 300
_LEAST = 10


@dataclass(frozen=True)
class Attainable:
    """What a model that knew the true probabilities would have reached on the same rows.

    Parameters
    ----------
    comparison : ScoreComparison
        The model against the truth; differences are the model's figure minus the truth's, at most 0 for the AUC but
        for chance.
    """

    comparison: ScoreComparison

    @property
    def attained(self) -> float:
        """AUC of the model."""
        return self.comparison.differences[0].first

    @property
    def attainable(self) -> float:
        """AUC of the true probabilities."""
        return self.comparison.differences[0].second

    @property
    def share(self) -> float:
        """Share of the attainable Gini that the model reaches."""
        return (2 * self.attained - 1) / (2 * self.attainable - 1)


def keep_predictions(ctx: Context, project: str, bundle_hash: str, found: Predictions) -> None:
    """Keep what a trained model said of every row, under the hash of its bundle."""
    with writing_file(_path(ctx, project, bundle_hash)) as path:
        found.save(path)


def predictions(ctx: Context, project: str, version: int | None = None) -> Predictions:
    """Return what a version (the latest where left out) said of every row it was made and judged on; needs ``view``.

    Raises
    ------
    ConflictError
        If the version was not trained here: its rows were not kept.
    """
    ctx.require("view")
    number = version if version is not None else training.latest_version(ctx, project)
    path = _path(ctx, project, ctx.registry.version(project, number).bundle_hash)
    if not path.exists():
        raise ConflictError(
            msg("the predictions of version {n} were not kept", n=number),
            fix=msg("Train again: every training keeps them from now on."),
            code="predictions_missing",
        )
    return Predictions.load(path)


def columns(ctx: Context, project: str) -> tuple[SegmentColumn, ...]:
    """Return the columns that the project's rows can be split by; the project file may name them under ``segments``."""
    spec = projects.spec(ctx, project)
    return segment_columns(stored_columns(ctx, project), spec.label(), spec.segments)


def levels_of(ctx: Context, project: str, column: str, rows: Predictions) -> np.ndarray:
    """Return the level of each row in `column` (``table.column``, or ``entity`` for new and returning)."""
    if column == ENTITY:
        return np.where(rows.is_new, "new", "returning").astype(object)
    return segment_levels(stored_columns(ctx, project), projects.spec(ctx, project).label(), column, rows.keys)


def level_text(ctx: Context, project: str, column: str) -> Callable[[str], str]:
    """Return what says a level of `column` as a person reads it, in the language of `ctx`."""
    words = {
        MISSING_LEVEL: msg("missing"), OTHER_LEVEL: msg("other"),
        "new": msg("new entities"), "returning": msg("returning entities"),
    }  # fmt: skip
    language = ctx.language
    found = {name: text.text(language) for name, text in words.items()}
    if column != ENTITY:
        names = segment_level_names(stored_columns(ctx, project).model, projects.spec(ctx, project).label(), column)
        found |= {level: texts.get(language) or texts.get("en") or level for level, texts in names.items()}
    return lambda level: found.get(level, level)


def by_segment(ctx: Context, project: str, column: str, version: int | None = None) -> tuple[Slice, ...]:
    """Return the figures of each level of `column` on the rows that judge the version; needs ``view``."""
    found = predictions(ctx, project, version)
    return slices_by_segment(found, levels_of(ctx, project, column, found), n_draws=_DRAWS)


def by_month(ctx: Context, project: str, version: int | None = None, *, months: int = 1) -> tuple[Slice, ...]:
    """Return the figures of each period on the rows that judge the version, in order of time; needs ``view``."""
    return slices_by_month(predictions(ctx, project, version), months=months, n_draws=_DRAWS)


def compare(ctx: Context, project: str, first: int, second: int) -> ScoreComparison:
    """Compare two versions on the rows that neither saw; needs ``view``.

    Raises
    ------
    InputError
        The two are one version, were trained on different labels, or share too few unseen rows.
    """
    if first == second:
        raise InputError(msg("a version cannot be compared with itself"), where=f"v{first}")
    one, other, y = common_rows(predictions(ctx, project, first), predictions(ctx, project, second))
    names = (msg("version {n}", n=first), msg("version {n}", n=second))
    return compare_scores(y, one.probability, other.probability, names=names, entities=one.entities)


def common_rows(one: Predictions, other: Predictions) -> tuple[Predictions, Predictions, np.ndarray]:
    """Return the judging rows that both share, in one order, with their outcomes."""
    left, right = one.take(one.judging), other.take(other.judging)
    _, at_left, at_right = np.intersect1d(_names(left), _names(right), return_indices=True)
    left, right = left.take(at_left), right.take(at_right)
    n_bad = int(left.y.sum())
    if not np.array_equal(left.y, right.y):
        raise InputError(
            msg("the two versions were trained on different outcomes"),
            fix=msg("Train both on the same label and the same data."),
        )
    if min(n_bad, len(left) - n_bad) < _LEAST:
        raise InputError(
            msg("the two versions share {n} unseen rows with {n_bad} bads: too few to compare them",
                n=len(left), n_bad=n_bad)
        )  # fmt: skip
    return left, right, left.y


def keep_oracle(ctx: Context, project: str, oracle: "pd.DataFrame") -> None:
    """Keep the true probabilities of a sample world apart from its tables, where no feature can reach them."""
    with writing_file(_oracle_path(ctx, project)) as path:
        oracle[["app_id", *_ORACLE_OF_LABEL.values()]].to_parquet(path, index=False)


def attainable(ctx: Context, project: str, version: int | None = None) -> Attainable | NotApplicable:
    """Return what the true probabilities reach on the version's judging rows; only the sample world knows them."""
    import pandas as pd

    found = predictions(ctx, project, version)
    path = _oracle_path(ctx, project)
    column = _ORACLE_OF_LABEL.get(_label_name(ctx, project, version))
    if not path.exists() or column is None:
        return NotApplicable(msg("the true probabilities are known only in the sample world"))
    rows = found.take(found.judging)
    truth = pd.read_parquet(path).set_index("app_id")[column].reindex(rows.keys).to_numpy(dtype=np.float64)
    if np.isnan(truth).any():
        return NotApplicable(msg("the sample world is another than the one this version was trained on"))
    names = (msg("the model"), msg("the true probability"))
    return Attainable(compare_scores(rows.y, rows.probability, truth, names=names, entities=rows.entities))


_ORACLE_OF_LABEL = {"overdue_30_or_subrogated_12m": "p12", "subrogated_12m": "p12_subrogation"}


def _label_name(ctx: Context, project: str, version: int | None) -> str:
    number = version if version is not None else training.latest_version(ctx, project)
    return str(ctx.registry.version(project, number).run.get("tags", {}).get("label", ""))


def _names(rows: Predictions) -> np.ndarray:
    return np.array([f"{key}\x1f{cutoff}" for key, cutoff in zip(rows.keys, rows.cutoffs, strict=True)], dtype=str)


def _path(ctx: Context, project: str, bundle_hash: str) -> Path:
    return projects.folder(ctx, project) / _FOLDER / f"{bundle_hash[:32]}.parquet"


def _oracle_path(ctx: Context, project: str) -> Path:
    return projects.folder(ctx, project) / _ORACLE_FOLDER / "oracle.parquet"


def version_numbers(ctx: Context, project: str) -> Sequence[int]:
    """Return the versions whose predictions were kept, the latest first."""
    return [
        version.number
        for version in ctx.registry.versions(project)
        if _path(ctx, project, version.bundle_hash).exists()
    ]
