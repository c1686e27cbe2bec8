"""What a drift check found: plain records, kept as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from core.findings import Finding, Severity
from core.i18n import Message, MessageLike, render

__all__ = ["ACT_FROM", "ACT_SHARE", "WATCH_FROM", "Comparison", "DriftReport", "Status", "Verdict", "status_of"]

Status = Literal["stable", "watch", "act"]
Verdict = Literal["stable", "watch", "act", "not_enough_data"]

WATCH_FROM, ACT_FROM = 0.10, 0.25
"""The trade's own limits of the population stability index."""

ACT_SHARE = 0.05
"""Share of the features past `ACT_FROM` that asks to act."""


def status_of(psi: float) -> Status:
    """Return what a PSI asks for.

    Examples
    --------
    >>> status_of(0.099), status_of(0.10), status_of(0.25)
    ('stable', 'watch', 'act')
    """
    if psi >= ACT_FROM:
        return "act"
    return "watch" if psi >= WATCH_FROM else "stable"


@dataclass(frozen=True)
class Comparison:
    """One feature, or the score, then and now, over the frozen bins.

    Parameters
    ----------
    alias : str
        Alias of the feature; ``"score"`` for the score.
    names : mapping of str to str
        Readable name per language.
    psi : float
        Population stability index over all bins, the one of missing values among them.
    status : {"stable", "watch", "act"}
        By `WATCH_FROM` and `ACT_FROM`.
    chance_psi : float
        PSI to be expected of a sample of this size from an unmoved population: (B - 1)(1/n + 1/m).
    chance_limit : float
        PSI that an unmoved population exceeds once in a thousand samples of this size.
    labels : tuple of str or Message
        What each bin holds.
    reference_counts, current_counts : tuple of int
        Rows of each bin.
    moved : str or Message
        What moved, in words.
    missing_reference, missing_current : float
        Share of rows without a value.
    unseen_reference, unseen_current : float
        Share of rows with a category the model has no level for; 0 for numbers.
    is_broken : bool, default=False
        The values look like a broken feed rather than a changed world.
    """

    alias: str
    names: Mapping[str, str]
    psi: float
    status: Status
    chance_psi: float
    chance_limit: float
    labels: tuple[MessageLike, ...]
    reference_counts: tuple[int, ...]
    current_counts: tuple[int, ...]
    moved: MessageLike
    missing_reference: float = 0.0
    missing_current: float = 0.0
    unseen_reference: float = 0.0
    unseen_current: float = 0.0
    is_broken: bool = False

    @property
    def is_within_chance(self) -> bool:
        """Whether a sample of this size may show this PSI though nothing moved."""
        return self.psi <= self.chance_limit

    @property
    def has_moved(self) -> bool:
        """Whether it is to be watched or acted on, and chance alone does not explain it."""
        return self.status != "stable" and not self.is_within_chance

    def name(self, language: str = "en") -> str:
        """Return the readable name in `language`."""
        return self.names.get(language) or self.names.get("en") or self.alias

    def bin_labels(self, language: str = "en") -> list[str]:
        """Return what each bin holds, in `language`."""
        return [str(render(label, language)) for label in self.labels]

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        texts = {"labels": [_text_to_json(label) for label in self.labels], "moved": _text_to_json(self.moved)}
        return {**asdict(replace(self, labels=(), moved="")), "names": dict(self.names), **texts}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Comparison":
        """Read what `to_json` wrote."""
        return cls(
            **{
                **data,
                "labels": tuple(_text_from_json(label) for label in data["labels"]),
                "moved": _text_from_json(data["moved"]),
                "reference_counts": tuple(data["reference_counts"]),
                "current_counts": tuple(data["current_counts"]),
            }
        )


@dataclass(frozen=True)
class DriftReport:
    """One check of one period.

    Parameters
    ----------
    period : str
        What was checked, as a person says it: ``"2026-11"``.
    n_rows, n_reference : int
        Rows now, and rows the model was built on.
    verdict : {"stable", "watch", "act", "not_enough_data"}
        What the check asks for; see `monitoring.drift.check_drift`.
    score : Comparison or None
        The score; None where there was not enough data.
    feature_psi : tuple of Comparison
        The features, in the order of the plan; empty where there was not enough data.
    findings : tuple of Finding
        Gravest first.
    source : str, default=""
        Where the rows came from: ``"score_log"`` or ``"tables"``.
    """

    period: str
    n_rows: int
    n_reference: int
    verdict: Verdict
    score: Comparison | None = None
    feature_psi: tuple[Comparison, ...] = ()
    findings: tuple[Finding, ...] = field(default_factory=tuple)
    source: str = ""

    @property
    def score_psi(self) -> float | None:
        """PSI of the score; None where there was not enough data."""
        return None if self.score is None else self.score.psi

    @property
    def drifted(self) -> tuple[Comparison, ...]:
        """The features that moved, furthest first."""
        return tuple(sorted((f for f in self.feature_psi if f.has_moved), key=lambda f: -f.psi))

    @property
    def is_feed_broken(self) -> bool:
        """Whether the data must be looked at before anything else: no advice to retrain stands on it."""
        return any(finding.severity is Severity.BAD and finding.code in _FEED_CODES for finding in self.findings)

    def findings_in(self, language: str = "en") -> tuple[Finding, ...]:
        """Return the findings with the readable name of the feature, not its alias, as their place."""
        compared = (*self.feature_psi, *((self.score,) if self.score else ()))
        names = {item.alias: item.name(language) for item in compared}
        return tuple(replace(finding, where=names.get(finding.where, finding.where)) for finding in self.findings)

    def feature(self, alias: str) -> Comparison:
        """Return the comparison of one feature; raises `StopIteration` where there is none."""
        return next(comparison for comparison in self.feature_psi if comparison.alias == alias)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values; `from_json` reads it back."""
        return {
            "period": self.period,
            "n_rows": self.n_rows,
            "n_reference": self.n_reference,
            "verdict": self.verdict,
            "score": None if self.score is None else self.score.to_json(),
            "feature_psi": [comparison.to_json() for comparison in self.feature_psi],
            "findings": [finding.to_json() for finding in self.findings],
            "source": self.source,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "DriftReport":
        """Read what `to_json` wrote."""
        return cls(
            **{
                **data,
                "score": None if data["score"] is None else Comparison.from_json(data["score"]),
                "feature_psi": tuple(Comparison.from_json(item) for item in data["feature_psi"]),
                "findings": tuple(Finding.from_json(item) for item in data["findings"]),
            }
        )


_FEED_CODES = ("feature_feed_broken", "feed_broken")


def _text_to_json(text: MessageLike) -> Any:
    return text.to_json() if isinstance(text, Message) else text


def _text_from_json(data: Any) -> MessageLike:
    return Message.from_json(data) if isinstance(data, Mapping) else str(data)
