"""The scorer: one bundle in memory that answers for rows or for a matrix, by the same code in batch and live."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.families import load_model
from automl.reasons import Reason, ReasonWriter
from core.errors import InputError, IntegrityError
from core.i18n import msg
from features.engine import EngineData, compute
from model_registry.bundle import Bundle
from model_registry.payload import PayloadSchema, Rows, Warned, read_time
from model_registry.ready_features import ReadyFeatures

if TYPE_CHECKING:
    from features.plan import FeaturePlan

__all__ = ["ScoreAnswer", "Scorer"]


@dataclass(frozen=True)
class ScoreAnswer:
    """The answer for one row.

    Parameters
    ----------
    key : str
        Key of the scored row.
    cutoff : datetime
        Naive time in the data's own clock; what was known from it on did not count.
    probability : float
        Calibrated probability of default, strictly inside 0 and 1.
    score : float
        Points; fall as risk rises.
    grade : str
        Grade of the master scale.
    reasons : tuple of Reason
        What moved the score most, strongest first.
    warnings : tuple of Warned
        What the reader should know about the rows: missing columns, unseen categories.
    version : int or None
        Model version, where the scorer was told.
    bundle_hash : str
        SHA-256 of the bundle that answered.
    features : mapping of str to float
        Feature values by alias; NaN for null.
    """

    key: str
    cutoff: datetime
    probability: float
    score: float
    grade: str
    reasons: tuple[Reason, ...]
    warnings: tuple[Warned, ...]
    version: int | None
    bundle_hash: str
    features: Mapping[str, float]


class Scorer:
    """A loaded bundle. Safe for several threads; holds no database and no file after loading.

    Parameters
    ----------
    bundle : Bundle
        Opened, so proved whole.
    version : int, optional
        Number in the registry, to be said in the answers.
    """

    def __init__(self, bundle: Bundle, *, version: int | None = None) -> None:
        self.bundle_hash = bundle.hash
        self.version = version
        self.plan: FeaturePlan = bundle.plan
        self.payload: PayloadSchema = bundle.payload
        self.ready = ReadyFeatures(self.plan)
        self._model = load_model(bundle.model_folder)
        self._calibration = bundle.calibration
        self._scale = bundle.scale
        self._reason_writer = ReasonWriter(self.plan)
        if self._model.n_features != len(self.plan.aliases):
            raise IntegrityError(
                msg(
                    "The model reads {n} features and the plan has {m}",
                    n=self._model.n_features,
                    m=len(self.plan.aliases),
                ),
                where=bundle.folder.name,
            )

    @classmethod
    def load(cls, folder: Path, *, version: int | None = None) -> "Scorer":
        """Prove the bundle in `folder` and load it.

        Raises
        ------
        IntegrityError
            If the bundle is not whole, or its parts do not fit together.
        """
        return cls(Bundle.open(folder), version=version)

    def score_matrix(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Answer for many rows of ready features.

        Parameters
        ----------
        values : ndarray of float64, shape (n_rows, n_features)
            In the order of the plan.

        Returns
        -------
        probability, points, grade : ndarray, each of shape (n_rows,)
            As in `ScoreAnswer`.
        """
        probability = self._calibration.apply(self._model.margin(values))
        return probability, self._scale.points(probability), self._scale.grade(probability)

    def contributions(self, values: np.ndarray) -> np.ndarray:
        """Return what each feature adds to the log-odds, shape (n_rows, n_features + 1), the base last."""
        return self._model.contributions(values)

    def score_rows(
        self,
        tables: Mapping[str, Rows],
        key: str | int | None = None,
        cutoff: datetime | np.datetime64 | str | None = None,
        n_reasons: int = 4,
        language: str = "en",
    ) -> ScoreAnswer:
        """Answer for one root row given with the rows of the other tables.

        Parameters
        ----------
        tables : mapping of str to list of mapping
            Raw rows by table, JSON values (see `PayloadSchema.check`).
        key : str or int, optional
            Which root row; may be left out where there is one only.
        cutoff : datetime, datetime64 or str, optional
            As of when, in the data's own clock. Left out: the root row's own time where the model has a column for it,
            else now.
        n_reasons : int, default=4
            Reasons at most; 0 saves their cost.
        language : {"en", "zh"}, default="en"
            Language of the reasons.

        Raises
        ------
        InputError
            If the rows are not what the model takes.
        NotFoundError
            If `key` is not among the rows of the root table.
        """
        self.payload.check(tables)
        chosen = self.payload.key_of(tables, key)
        moment, warnings = self._moment(tables, chosen, cutoff)
        rows, missing = self.payload.complete(tables)
        data = EngineData.from_rows(self.plan, rows)
        values = compute(self.plan, data, np.array([chosen], dtype=object), np.array([moment], "datetime64[ns]"))
        (answer,) = self._answers(values, n_reasons, language, [chosen], [moment], [(*warnings, *missing)])
        return answer

    def score_features(
        self,
        features: Mapping[str, Any],
        key: str = "",
        cutoff: datetime | np.datetime64 | str | None = None,
        n_reasons: int = 4,
        language: str = "en",
    ) -> ScoreAnswer:
        """Answer for feature values that the caller has computed.

        Parameters
        ----------
        features : mapping of str to JSON value
            Every alias of the plan (see `ReadyFeatures`).
        key : str, default=""
            How the caller names the case; kept with the answer.
        cutoff, n_reasons, language
            As in `score_rows`; the cutoff is only kept, because the values are what they are.

        Raises
        ------
        InputError
            If an alias is missing, unknown or has a value of a wrong type.
        """
        values = self.ready.row(features)[np.newaxis]
        return self.score_values(values, [key], [cutoff], n_reasons, language)[0]

    def score_values(
        self,
        values: np.ndarray,
        keys: Sequence[str],
        cutoffs: Sequence[datetime | np.datetime64 | str | None],
        n_reasons: int = 4,
        language: str = "en",
    ) -> list[ScoreAnswer]:
        """Answer for several rows of checked values (n_rows, n_features) at once, the same as for each alone."""
        now = _now()
        moments = [now if cutoff is None else _as_moment(cutoff) for cutoff in cutoffs]
        return self._answers(values, n_reasons, language, keys, moments, [()] * len(values))

    def _answers(
        self,
        values: np.ndarray,
        n_reasons: int,
        language: str,
        keys: Sequence[str],
        moments: Sequence[np.datetime64],
        warnings: Sequence[tuple[Warned, ...]],
    ) -> list[ScoreAnswer]:
        probability, points, grade = self.score_matrix(values)
        reasons = self._reasons(values, n_reasons, language)
        return [
            ScoreAnswer(
                key=keys[i],
                cutoff=moments[i].astype("datetime64[us]").item(),
                probability=float(probability[i]),
                score=float(points[i]),
                grade=str(grade[i]),
                reasons=tuple(reasons[i]),
                warnings=(*warnings[i], *self._unseen(row)),
                version=self.version,
                bundle_hash=self.bundle_hash,
                features=dict(zip(self.plan.aliases, row.tolist(), strict=True)),
            )
            for i, row in enumerate(values)
        ]

    def _reasons(self, values: np.ndarray, n: int, language: str) -> list[list[Reason]]:
        if n <= 0:
            return [[] for _ in values]
        contributions = self._model.contributions(values)
        return [
            self._reason_writer.write(moved, row, n, language) for moved, row in zip(contributions, values, strict=True)
        ]

    def _moment(
        self, tables: Mapping[str, Rows], key: str, cutoff: datetime | np.datetime64 | str | None
    ) -> tuple[np.datetime64, list[Warned]]:
        if cutoff is not None:
            return _as_moment(cutoff), []
        schema = self.payload
        if schema.cutoff_column:
            for row in tables.get(schema.root_table, ()):
                own = row.get(schema.cutoff_column)
                if own is not None and str(row.get(schema.key_column)) == key:
                    return read_time(own), []
        now = _now()
        text = msg("no time was given: scored as of {when}", when=str(now.astype("datetime64[s]")).replace("T", " "))
        return now, [Warned("as_of_assumed", text)]

    def _unseen(self, values: np.ndarray) -> list[Warned]:
        """Return a warning for each category whose level was not there in training."""
        found = []
        for alias in self.plan.category_aliases:
            if values[self.plan.positions[alias]] == len(self.plan.levels.get(alias, ())):
                text = msg("{feature} has a value that was not there in training", feature=alias)
                found.append(Warned("unseen_category", text))
        return found


def _now() -> np.datetime64:
    """Return the present in the clock of this machine, to the second."""
    return np.datetime64(datetime.now().astimezone().replace(tzinfo=None, microsecond=0), "ns")


def _as_moment(cutoff: Any) -> np.datetime64:
    if isinstance(cutoff, str):
        return read_time(cutoff)
    if isinstance(cutoff, datetime) and cutoff.tzinfo is not None:
        raise InputError(
            msg("The time must be in the data's own clock, without a zone"), where="as_of", code="wrong_type"
        )
    return np.datetime64(cutoff, "ns")
