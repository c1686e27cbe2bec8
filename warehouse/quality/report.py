"""What an assessment found, table by table, with its scores; as JSON it can be kept as a history."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from core.findings import Finding, Severity
from core.i18n import Message, msg
from core.i18n.formats import metric, percent
from warehouse.profile import LinkProfile, TableProfile

__all__ = [
    "DIMENSIONS",
    "HALVING_RATE",
    "Dimension",
    "DimensionScore",
    "QualityFinding",
    "QualityReport",
    "TableQuality",
]

Dimension = Literal[
    "completeness", "uniqueness", "validity", "consistency", "integrity", "timeliness", "stability", "standard"
]
HALVING_RATE: Final = 0.05
"""Share of faulty rows that halves the score of a dimension."""

DIMENSIONS: Final[Mapping[Dimension, Message]] = {
    "completeness": msg("completeness: what every row must have is there"),
    "uniqueness": msg("uniqueness: nothing is there twice"),
    "validity": msg("validity: values are ones that can be"),
    "consistency": msg("consistency: values of a row agree with one another"),
    "integrity": msg("integrity: what a row refers to is there"),
    "timeliness": msg("timeliness: the newest rows are new, and no month is missing"),
    "stability": msg("stability: months resemble the months before"),
    "standard": msg("data standard: names, types, units and codes are those of the standard"),
}
"""What each dimension asks. The last one, the differences from the data standard, does not count in the score."""


@dataclass(frozen=True)
class QualityFinding:
    """One kind of fault in one place.

    Parameters
    ----------
    code : str
        Stable snake_case code.
    dimension : Dimension
        The dimension it counts in.
    severity : Severity
        `INFO` does not count in the score.
    table, column : str
        Where; several columns are joined by ``, ``, a fault of the whole table has none.
    count, total : int
        Rows that have the fault, and rows looked at.
    message : Message
        What was seen.
    fix : Message or str
        What to do about it.
    samples : tuple of dict
        The first rows: ``row`` (its position, from 0) and the values of its key and of the columns concerned, as
        texts; personal ones are masked.
    """

    code: str
    dimension: Dimension
    severity: Severity
    table: str
    column: str
    count: int
    total: int
    message: Message
    fix: Message | str = ""
    samples: tuple[dict[str, str], ...] = ()

    @property
    def share(self) -> float:
        """Share of the rows looked at that have the fault."""
        return self.count / max(self.total, 1)

    @property
    def finding(self) -> Finding:
        """The same as a plain finding."""
        where = f"{self.table}, column {self.column}" if self.column else self.table
        return Finding(self.code, self.severity, self.message, where, self.fix)

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON values; `from_json` reads it back."""
        place = {"table": self.table, "column": self.column, "dimension": self.dimension}
        counts = {"count": self.count, "total": self.total, "samples": list(self.samples)}
        return self.finding.to_json() | place | counts

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "QualityFinding":
        """Read what `to_json` wrote."""
        plain = Finding.from_json(data)
        return cls(
            plain.code,
            data["dimension"],
            plain.severity,
            data["table"],
            data["column"],
            data["count"],
            data["total"],
            _as_message(plain.message),
            plain.fix,
            tuple(data["samples"]),
        )


@dataclass(frozen=True)
class DimensionScore:
    """A dimension of a table: the share of its rows that are faulty, and the score from 0 to 100 that follows.

    The score is ``100 * 0.5 ** (rate / 0.05)``: 100 without a fault, 87 at 1% of the rows, 50 at 5%, 25 at 10%. Faults
    that lie in no row count as a rate of their own: an empty column as its share of the columns, rows that come late
    as 5% for each allowed age they are over it and 10% at most, a month that is missing or unlike the others as its
    share of months.
    """

    dimension: Dimension
    rate: float
    n_faulty: int
    score: float

    def text(self) -> Message:
        """Return what the dimension costs, as a sentence."""
        if self.rate == 0:
            return msg("{dimension}; no fault", dimension=DIMENSIONS[self.dimension])
        return msg(
            "{dimension}; {n} faulty rows, a rate of {rate}, score {score}",
            dimension=DIMENSIONS[self.dimension],
            n=self.n_faulty,
            rate=percent(self.rate, 2),
            score=metric(self.score),
        )


@dataclass(frozen=True)
class TableQuality:
    """A table: its profile, its score and what was found.

    Parameters
    ----------
    profile : TableProfile
        Figures of every column.
    score : float
        0 to 100: the product of the dimensions' scores as fractions, times 100. A table is as good as all its
        dimensions together: one that is useless makes it useless.
    dimensions : tuple of DimensionScore
        All dimensions that count.
    findings : tuple of QualityFinding
        Gravest first.
    standard_table : str or None
        The table of the data standard that it is.
    """

    profile: TableProfile
    score: float
    dimensions: tuple[DimensionScore, ...]
    findings: tuple[QualityFinding, ...]
    standard_table: str | None = None

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.profile.name

    def explanation(self) -> tuple[Message, ...]:
        """Return why the score is what it is, a sentence per dimension, the costliest first."""
        return tuple(score.text() for score in sorted(self.dimensions, key=lambda score: score.score))


@dataclass(frozen=True)
class QualityReport:
    """An assessment of a set of tables.

    Parameters
    ----------
    score : float
        0 to 100: the mean of the tables' scores; every table counts the same.
    tables : tuple of TableQuality
        In the order of the data model.
    links : tuple of LinkProfile
        Relationships in figures.
    as_of : str or None
        The day up to which the data reaches, ISO text.
    data_fingerprint, rules_fingerprint : str
        SHA-256 of the tables, and of the rules they were held against.
    standard_version : str or None
        Version of the data standard, None where none was given.
    rules : str
        The rules as YAML, as `warehouse.quality.rules.RuleSet.from_text` reads them.
    """

    score: float
    tables: tuple[TableQuality, ...]
    links: tuple[LinkProfile, ...]
    as_of: str | None
    data_fingerprint: str
    rules_fingerprint: str
    standard_version: str | None = None
    rules: str = ""

    @property
    def findings(self) -> tuple[QualityFinding, ...]:
        """The findings of all tables."""
        return tuple(finding for table in self.tables for finding in table.findings)

    def table(self, name: str) -> TableQuality:
        """Return what was found in table `name`; raises `KeyError` where it was not assessed."""
        return {table.name: table for table in self.tables}[name]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values; `from_json` reads it back."""
        return {
            "score": self.score,
            "tables": [_table_to_json(table) for table in self.tables],
            "links": [asdict(link) for link in self.links],
            "as_of": self.as_of,
            "data_fingerprint": self.data_fingerprint,
            "rules_fingerprint": self.rules_fingerprint,
            "standard_version": self.standard_version,
            "rules": self.rules,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "QualityReport":
        """Read what `to_json` wrote."""
        return cls(
            data["score"],
            tuple(_table_from_json(table) for table in data["tables"]),
            tuple(LinkProfile(**link) for link in data["links"]),
            data["as_of"],
            data["data_fingerprint"],
            data["rules_fingerprint"],
            data["standard_version"],
            data["rules"],
        )


def _table_to_json(table: TableQuality) -> dict[str, Any]:
    return {
        "profile": asdict(table.profile),
        "score": table.score,
        "dimensions": [asdict(score) for score in table.dimensions],
        "findings": [finding.to_json() for finding in table.findings],
        "standard_table": table.standard_table,
    }


def _table_from_json(data: Mapping[str, Any]) -> TableQuality:
    return TableQuality(
        TypeAdapter(TableProfile).validate_python(data["profile"]),
        data["score"],
        tuple(DimensionScore(**score) for score in data["dimensions"]),
        tuple(QualityFinding.from_json(finding) for finding in data["findings"]),
        data["standard_table"],
    )


def _as_message(message: Message | str) -> Message:
    return message if isinstance(message, Message) else Message(message)
