"""The matrices of a card in words: what a person reads, on a page or on paper."""

from dataclasses import dataclass

from automl.scorecard.card import Scorecard
from automl.scorecard.pairs import Pair, group_label

__all__ = ["Matrix", "matrices"]


@dataclass(frozen=True)
class Matrix:
    """One pair of crossed characteristics.

    Parameters
    ----------
    first, second : str
        Aliases: of the rows, of the columns.
    titles : tuple of str
        Readable names of both, units included.
    rows, columns : tuple of str
        What each row and column holds.
    points : tuple of tuple of float
        Points per row and column.
    n, n_bad : tuple of tuple of (int or None)
        Rows of data, and bads, per cell; None where the points came from outside.
    """

    first: str
    second: str
    titles: tuple[str, str]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    points: tuple[tuple[float, ...], ...]
    n: tuple[tuple[int | None, ...], ...]
    n_bad: tuple[tuple[int | None, ...], ...]

    @property
    def title(self) -> str:
        """Both names."""
        return " × ".join(self.titles)

    def bad_rate(self, row: int, column: int) -> float | None:
        """Return the share of bads of a cell; None where it is empty or not known."""
        n, bad = self.n[row][column], self.n_bad[row][column]
        return bad / n if n and bad is not None else None


def matrices(card: Scorecard, language: str = "en") -> tuple[Matrix, ...]:
    """Return the pairs of `card` in `language`."""
    return tuple(_matrix(card, pair, language) for pair in card.pairs)


def _matrix(card: Scorecard, pair: Pair, language: str) -> Matrix:
    first, second = (card.characteristic(alias).bins for alias in pair.aliases)
    n_rows, n_columns = len(pair.units), len(pair.units[0])
    unknown = tuple((None,) * n_columns for _ in range(n_rows))
    pairs = zip(pair.good, pair.bad, strict=True)
    return Matrix(
        pair.first,
        pair.second,
        (first.title(language), second.title(language)),
        tuple(group_label(first, pair.rows, group, language) for group in range(n_rows)),
        tuple(group_label(second, pair.columns, group, language) for group in range(n_columns)),
        tuple(tuple(card.points(unit) for unit in row) for row in pair.units),
        tuple(tuple(g + b for g, b in zip(good, bad, strict=True)) for good, bad in pairs) if pair.good else unknown,
        pair.bad or unknown,
    )
