"""A scorecard as one SQL query of CASE expressions, giving the same number as the scorecard itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from automl.scorecard.bins import CharacteristicBins
from automl.scorecard.card import Scorecard, points_text
from automl.scorecard.pairs import Pair
from automl.scorecard.reason_sql import CardReasons, reason_columns, variable_columns
from core.errors import ConfigurationError
from core.i18n import msg

__all__ = ["DIALECTS", "Dialect", "to_sql"]

Dialect = Literal["duckdb", "postgresql", "mysql"]
DIALECTS: Final[tuple[Dialect, ...]] = ("duckdb", "postgresql", "mysql")


@dataclass(frozen=True)
class _Words:
    """How a dialect writes what the dialects write differently."""

    quote: str
    double: str
    text: str
    literal: str
    has_nan: bool
    escapes_backslash: bool


_WORDS: Final[Mapping[str, _Words]] = {
    "duckdb": _Words('"', "DOUBLE", "CAST({} AS VARCHAR)", "'{}'", has_nan=True, escapes_backslash=False),
    "postgresql": _Words('"', "DOUBLE PRECISION", "CAST({} AS TEXT)", "'{}'", has_nan=True, escapes_backslash=False),
    # Collations of MySQL make 'a', 'A' and 'a ' equal; bytes are compared instead.
    "mysql": _Words(
        "`", "DOUBLE", "CAST(CONVERT({} USING utf8mb4) AS BINARY)", "_utf8mb4'{}'", has_nan=False,
        escapes_backslash=True,
    ),
}  # fmt: skip


def to_sql(
    card: Scorecard, table: str, dialect: Dialect, *, keys: Sequence[str] = (),
    columns: Mapping[str, str] | None = None, with_points: bool = False, reasons: CardReasons | None = None,
) -> str:  # fmt: skip
    """Return a query that scores the rows of `table`.

    Null, and NaN where the dialect has it, is missing. Points are added as exact decimals and become a double at the
    end, so that the score is equal bit for bit.

    Parameters
    ----------
    card : Scorecard
        The card.
    table : str
        Table or view, ``schema.table`` too.
    dialect : {"duckdb", "postgresql", "mysql"}
        Dialect; MySQL from 8.0.17 and MariaDB, in their default SQL mode.
    keys : sequence of str
        Columns to pass on.
    columns : mapping of str to str, optional
        Column of each characteristic that is not named by its alias. Levels of categories are compared as text.
    with_points : bool, default=False
        Whether the points of each characteristic are given too, as ``points_<alias>``, and those of crossed ones as
        ``points_pair_1`` and so on, in the order of the card.
    reasons : CardReasons, optional
        Whether the reasons are given too, those that the service gives: ``reason_1``, ``reason_1_direction`` (raises
        or lowers the risk) and so on; null where there are fewer.

    Raises
    ------
    ConfigurationError
        The dialect is unknown.

    Examples
    --------
    >>> from automl.scorecard.bins import CharacteristicBins
    >>> from automl.scorecard.card import Characteristic
    >>> from features.binning import FeatureBins
    >>> age = Characteristic(CharacteristicBins(FeatureBins("age", "number", (30.0,))), (10, 25, 0))
    >>> print(to_sql(Scorecard("demo", (age,), 500), "person", "mysql", keys=["id"]))
    SELECT
      `id`,
      CAST(500
        + CASE  -- age
          WHEN `age` IS NULL THEN 0
          WHEN CAST(`age` AS DOUBLE) < 30.0e0 THEN 10
          ELSE 25
        END
      AS DOUBLE) AS `score`
    FROM `person`
    """
    if dialect not in _WORDS:
        known = ", ".join(DIALECTS)
        raise ConfigurationError(msg("the dialects are {known}, not {dialect}", known=known, dialect=repr(dialect)))
    words = _WORDS[dialect]
    writer = _Writer(card, words, columns or {})
    cases = [writer.case(item.bins, item.units) for item in card.characteristics]
    crossed = [writer.cross(pair) for pair in card.pairs]
    total = "\n    + ".join([writer.points(card.base_units), *cases, *crossed])
    selected = [_quoted(words, key) for key in keys]
    if with_points:
        selected += [
            f"{case} AS {_quoted(words, f'points_{name}')}"
            for name, case in zip(_parts(card), [*cases, *crossed], strict=True)
        ]
    selected.append(f"CAST({total}\n  AS {words.double}) AS {_quoted(words, 'score')}")
    source = ".".join(_quoted(words, part) for part in table.split("."))
    if reasons is None:
        return _select(selected, source)
    selected += variable_columns(reasons, _moves(card, cases, crossed), lambda name: _quoted(words, name))
    return _with_reasons(_select(selected, source), words, [*keys, *_given(card, with_points=with_points)], reasons)


def _select(columns: Sequence[str], source: str) -> str:
    return "SELECT\n  " + ",\n  ".join(columns) + f"\nFROM {source}"


def _given(card: Scorecard, *, with_points: bool) -> list[str]:
    return [*(f"points_{name}" for name in _parts(card) if with_points), "score"]


def _parts(card: Scorecard) -> list[str]:
    return [*card.aliases, *(f"pair_{number}" for number in range(1, len(card.pairs) + 1))]


def _moves(card: Scorecard, cases: Sequence[str], crossed: Sequence[str]) -> dict[str, str]:
    """Return what each characteristic moves, with half of each of its cells; all of it twice, to stay exact."""
    moves = dict(zip(card.aliases, cases, strict=True))
    if card.pairs:
        moves = {alias: f"2 * {case}" for alias, case in moves.items()}
        for pair, cell in zip(card.pairs, crossed, strict=True):
            moves |= {alias: f"{moves[alias]}\n    + {cell}" for alias in pair.aliases}
    return moves


def _with_reasons(scored: str, words: _Words, given: Sequence[str], reasons: CardReasons) -> str:
    """Put two queries around the one that scores: the first ranks the variables, the second says the strongest."""

    def quoted(name: str) -> str:
        return _quoted(words, name)

    def literal(text: str) -> str:
        return words.literal.format(text.replace("'", "''"))

    ranks, said = reason_columns(reasons, literal, quoted)
    ranked = _select([f"{quoted('s')}.*", *ranks], f"({scored}) AS {quoted('s')}")
    return _select([*map(quoted, given), *said], f"({ranked}) AS {quoted('r')}")


def _quoted(words: _Words, name: str) -> str:
    return f"{words.quote}{name.replace(words.quote, words.quote * 2)}{words.quote}"


class _Writer:
    """Writes the expressions of one card in one dialect."""

    def __init__(self, card: Scorecard, words: _Words, columns: Mapping[str, str]) -> None:
        self.card = card
        self.words = words
        self.columns = columns

    def case(self, bins: CharacteristicBins, units: Sequence[int]) -> str:
        """Return the points of one characteristic."""
        return self._case(bins, [self.points(unit) for unit in units])

    def cross(self, pair: Pair) -> str:
        """Return the points of one pair: the bin of the first is found, and in it that of the second."""
        first, second = (self.card.characteristic(alias).bins for alias in pair.aliases)
        inner = [self._row(second, [self.points(row[column]) for column in pair.columns]) for row in pair.units]
        return self._case(first, [inner[row] for row in pair.rows])

    def _row(self, bins: CharacteristicBins, results: Sequence[str]) -> str:
        return results[0] if len(set(results)) == 1 else self._case(bins, results, "    ")

    def points(self, units: int) -> str:
        """Return points as an exact decimal."""
        return points_text(units, self.card.decimals)

    def _case(self, bins: CharacteristicBins, results: Sequence[str], margin: str = "") -> str:
        column = _quoted(self.words, self.columns.get(bins.alias, bins.alias))
        branches = (self._number if bins.kind == "number" else self._category)(bins, results, column)
        lines = [f"CASE  -- {_comment(bins.alias)}", *(f"  {branch}" for branch in branches), "END"]
        return f"\n    {margin}".join(lines)

    def _number(self, bins: CharacteristicBins, results: Sequence[str], column: str) -> list[str]:
        value = f"CAST({column} AS {self.words.double})"
        nan = f" OR {value} = CAST('NaN' AS {self.words.double})" if self.words.has_nan else ""
        branches = [_when(f"{column} IS NULL{nan}", results[bins.n_plain])]
        for index in range(bins.bins.n_bins, bins.n_bins):
            values = ", ".join(_double(float(one)) for one in bins.special(index).values)
            branches.append(_when(f"{value} IN ({values})", results[index]))
        for index, edge in enumerate(bins.bins.edges):
            if "CASE" in results[index] and results[index] == results[index + 1]:
                continue  # neighbours of one row of a matrix
            branches.append(_when(f"{value} < {_double(edge)}", results[index]))
        return [*branches, f"ELSE {results[bins.n_plain - 1]}"]

    def _category(self, bins: CharacteristicBins, results: Sequence[str], column: str) -> list[str]:
        value = self.words.text.format(column)
        branches = [_when(f"{column} IS NULL", results[bins.n_plain])]
        named = [(index, bins.special(index).values) for index in range(bins.bins.n_bins, bins.n_bins)]
        named += [(index, bins.members(index)) for index in range(bins.n_plain) if not bins.holds_others(index)]
        for index, levels in named:
            if levels:
                texts = ", ".join(self._literal(str(level)) for level in levels)
                branches.append(_when(f"{value} IN ({texts})", results[index]))
        return [*branches, f"ELSE {results[bins.bins.code_bins[-1]]}"]

    def _literal(self, text: str) -> str:
        escaped = text.replace("\\", "\\\\") if self.words.escapes_backslash else text
        return self.words.literal.format(escaped.replace("'", "''"))


def _when(condition: str, result: str) -> str:
    return f"WHEN {condition} THEN {result}"


def _double(value: float) -> str:
    """Return a number that every dialect reads as the same double: with an exponent, so that none takes a decimal."""
    text = repr(value)
    return text if "e" in text else f"{text}e0"


def _comment(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
