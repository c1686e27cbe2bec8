"""The scorer: one bundle in memory that answers for rows or for a matrix, by the same code in batch and live."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from automl.families import load_model
from automl.reasons import Reason, ReasonWriter
from core.errors import InputError, IntegrityError
from core.i18n import msg
from features.column_rows import as_columns
from features.engine import EngineData, compute
from features.reference import ReferenceSnapshot, ReferenceUse, compute_live, reference_fingerprint
from model_registry.bundle import Bundle
from model_registry.feature_row import FeatureRow
from model_registry.payload import PayloadSchema, Rows, Warned, read_time
from model_registry.ready_features import ReadyFeatures
from model_registry.training_range import TrainingRange

if TYPE_CHECKING:
    from features.plan import FeaturePlan

__all__ = ["AnswerColumns", "ScoreAnswer", "Scorer", "as_moment", "present"]


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
        What the reader should know about the rows: missing columns, unseen categories, values outside what training
        saw.
    version : int or None
        Model version, where the scorer was told.
    bundle_hash : str
        SHA-256 of the bundle that answered.
    features : mapping of str to float
        Feature values by alias; NaN for null.
    snapshots : mapping of str to str
        The dated data beside the request that it drew on: moment up to which each reaches, by its name.
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
    snapshots: Mapping[str, str] = field(default_factory=dict)


class AnswerColumns(NamedTuple):
    """What is said of several rows, a list of n_rows each: as in `ScoreAnswer`."""

    probability: list[float]
    score: list[float]
    grade: list[str]
    reasons: list[list[Reason]]
    warnings: list[tuple[Warned, ...]]


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
        self.entity_column: str = bundle.json("label.json").get("entity_column") or self.plan.key_column
        self.ready = ReadyFeatures(self.plan)
        self._model = load_model(bundle.model_folder)
        self._calibration = bundle.calibration
        self._scale = bundle.scale
        self.reason_writer = ReasonWriter(self.plan, bundle.reason_codes)
        self._reference = bundle.reference_data
        self._range = TrainingRange(self.plan, bundle.reference)
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

    def warm_up(self) -> None:
        """Answer for a row of nulls, so that what is prepared at the first row is there before a caller's."""
        nothing = np.full((1, len(self.plan.aliases)), np.nan)
        self.score_matrix(nothing)
        self.contributions(nothing)

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
        tables = {name: as_columns(rows) for name, rows in tables.items()}
        self.payload.check(tables)
        chosen = self.payload.key_of(tables, key)
        moment, warnings = self.moment(tables.get(self.payload.root_table, ()), chosen, cutoff)
        rows, missing = self.payload.complete(tables)
        return self.score_stored(rows, [chosen], [moment], n_reasons, language, [(*warnings, *missing)])[0]

    def score_stored(
        self,
        tables: Mapping[str, Rows],
        keys: Sequence[str],
        moments: Sequence[np.datetime64],
        n_reasons: int = 4,
        language: str = "en",
        warnings: Sequence[tuple[Warned, ...]] | None = None,
        snapshots: Mapping[str, str] | None = None,
    ) -> list[ScoreAnswer]:
        """Answer for root rows given with the rows of all tables of the plan, which are taken as they are.

        Parameters
        ----------
        tables : mapping of str to list of mapping
            Whole and sound, such as an online snapshot's.
        keys : sequence of str
            Which root rows.
        moments : sequence of datetime64
            As of when, for each.
        n_reasons, language
            As in `score_rows`.
        warnings : sequence of tuple of Warned, optional
            What is to be said with each answer.
        snapshots : mapping of str to str, optional
            Dates of what the rows were taken from.

        Raises
        ------
        NotFoundError
            If a key is not among the rows of the root table.
        """
        said: Sequence[tuple[Warned, ...]] = warnings or [()] * len(keys)
        dates = dict(snapshots or {})
        asked, times = np.array(keys, dtype=object), np.array(moments, "datetime64[ns]")
        if self.plan.needs_reference:
            values, uses = compute_live(self.plan, self._reference, tables, asked, times)
            said = [(*some, *_of_reference(use)) for some, use in zip(said, uses, strict=True)]
            dates |= {"reference": uses[0].date} if uses else {}
        else:
            values = compute(self.plan, EngineData.from_rows(self.plan, tables), asked, times)
        return self._answers(values, n_reasons, language, keys, moments, said, dates)

    def refresh(self, reference: ReferenceSnapshot) -> bool:
        """Take newer reference data from now on; return whether it is newer than what there was.

        Raises
        ------
        IntegrityError
            If it was made for another plan.
        """
        if reference.fingerprint != reference_fingerprint(self.plan):
            raise IntegrityError(msg("the reference data was made for another plan"), code="wrong_reference")
        if self._reference is not None and reference.as_of <= self._reference.as_of:
            return False
        self._reference = reference
        return True

    def with_reference(self, reference: ReferenceSnapshot) -> "Scorer":
        """Return the same scorer with other reference data, such as that of a month long past; this one keeps its own.

        Raises
        ------
        IntegrityError
            If it was made for another plan.
        """
        other = copy(self)
        other._reference = None  # noqa: SLF001 - one of our own kind, not seen by anybody yet
        other.refresh(reference)
        return other

    def lacks_reference_of(self, moment: np.datetime64) -> bool:
        """Return whether `moment` lies before the months that the reference data knows peers of."""
        if self.plan.comparisons is None or self._reference is None:
            return False
        return int(moment.astype("datetime64[M]").astype(np.int64)) < min(self._reference.peers, default=0)

    @property
    def reference_date(self) -> str | None:
        """The day up to which the reference data reaches; None where the model needs none."""
        return None if self._reference is None else self._reference.date

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
        now = present()
        moments = [now if cutoff is None else as_moment(cutoff) for cutoff in cutoffs]
        return self._answers(values, n_reasons, language, keys, moments, [()] * len(values), {})

    def _answers(
        self,
        values: np.ndarray,
        n_reasons: int,
        language: str,
        keys: Sequence[str],
        moments: Sequence[np.datetime64],
        warnings: Sequence[tuple[Warned, ...]],
        snapshots: Mapping[str, str],
    ) -> list[ScoreAnswer]:
        said = self.answer_columns(values, n_reasons, language)
        cutoffs = np.array(moments, dtype="datetime64[us]").tolist()
        return [
            ScoreAnswer(
                key=keys[i],
                cutoff=cutoffs[i],
                probability=probability,
                score=points,
                grade=grade,
                reasons=tuple(reasons),
                warnings=(*warnings[i], *warned),
                version=self.version,
                bundle_hash=self.bundle_hash,
                features=FeatureRow(self.plan.aliases, values[i]),
                snapshots=snapshots,
            )
            for i, (probability, points, grade, reasons, warned) in enumerate(zip(*said, strict=True))
        ]

    def answer_columns(self, values: np.ndarray, n_reasons: int = 0, language: str = "en") -> AnswerColumns:
        """Return what is said of rows of checked values (n_rows, n_features), as `score_values` does, as columns."""
        probability, points, grade = (part.tolist() for part in self.score_matrix(values))
        outside, unseen = self._range.warnings(values, language), self._unseen(values, language)
        warnings = [(*one, *other) for one, other in zip(unseen, outside, strict=True)]
        return AnswerColumns(probability, points, grade, self.reasons(values, n_reasons, language), warnings)

    def reasons(self, values: np.ndarray, n: int, language: str = "en") -> list[list[Reason]]:
        """Return up to `n` reasons of each row of checked values (n_rows, n_features), the strongest first."""
        if n <= 0:
            return [[] for _ in values]
        contributions = self._model.contributions(values)
        return [
            self.reason_writer.write(moved, row, n, language) for moved, row in zip(contributions, values, strict=True)
        ]

    def moment(
        self, root_rows: Rows, key: str, cutoff: datetime | np.datetime64 | str | None = None
    ) -> tuple[np.datetime64, list[Warned]]:
        """Return as of when the root row of `key` is scored, and what is to be said about it; see `score_rows`."""
        if cutoff is not None:
            return as_moment(cutoff), []
        schema = self.payload
        if schema.cutoff_column:
            for row in root_rows:
                own = row.get(schema.cutoff_column)
                if own is not None and str(row.get(schema.key_column)) == key:
                    return read_time(own), []
        now = present()
        text = msg("no time was given: scored as of {when}", when=str(now.astype("datetime64[s]")).replace("T", " "))
        return now, [Warned("as_of_assumed", text)]

    def _unseen(self, values: np.ndarray, language: str) -> list[list[Warned]]:
        """Return for each row a warning for each category whose level was not there in training."""
        found: list[list[Warned]] = [[] for _ in values]
        for alias in self.plan.category_aliases:
            position = self.plan.positions[alias]
            for i in np.flatnonzero(values[:, position] == len(self.plan.levels.get(alias, ()))).tolist():
                name = self.plan.definitions[position].name(language)
                text = msg("{feature} ({alias}) has a value that was not there in training", feature=name, alias=alias)
                found[i].append(Warned("unseen_category", text))
        return found


def _of_reference(use: ReferenceUse) -> list[Warned]:
    code = "missing_reference" if use.is_missing else "stale_reference"
    return [] if use.warning is None else [Warned(code, use.warning)]


def present() -> np.datetime64:
    """Return the present in the clock of this machine, to the second."""
    return np.datetime64(datetime.now().astimezone().replace(tzinfo=None, microsecond=0), "ns")


def as_moment(cutoff: Any) -> np.datetime64:
    """Return a moment in the data's own clock from what a caller gives.

    Raises
    ------
    InputError
        If it is no such moment, or has a zone.
    """
    if isinstance(cutoff, str):
        return read_time(cutoff)
    if isinstance(cutoff, datetime) and cutoff.tzinfo is not None:
        raise InputError(
            msg("The time must be in the data's own clock, without a zone"), where="as_of", code="wrong_type"
        )
    return np.datetime64(cutoff, "ns")
