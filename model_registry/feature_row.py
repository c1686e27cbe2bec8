"""The feature values of one row by name, which cost nothing until somebody asks for one."""

from collections.abc import Iterator, Mapping

import numpy as np

__all__ = ["FeatureRow"]


class FeatureRow(Mapping[str, float]):
    """A row of a matrix as a mapping of alias to value, NaN for null.

    Parameters
    ----------
    aliases : tuple of str
        Names of the values, shared by the rows of a matrix.
    values : ndarray of float64, shape (n_features,)
        Is not copied.

    Examples
    --------
    >>> dict(FeatureRow(("a", "b"), np.array([1.0, 2.5])))
    {'a': 1.0, 'b': 2.5}
    """

    __slots__ = ("_by_alias", "aliases", "values_")

    def __init__(self, aliases: tuple[str, ...], values: np.ndarray) -> None:
        self.aliases = aliases
        self.values_ = values
        self._by_alias: dict[str, float] | None = None

    def to_dict(self) -> dict[str, float]:
        """Return the values by alias."""
        if self._by_alias is None:
            self._by_alias = dict(zip(self.aliases, self.values_.tolist(), strict=True))
        return self._by_alias

    def __getitem__(self, alias: str) -> float:
        return self.to_dict()[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(self.aliases)

    def __len__(self) -> int:
        return len(self.aliases)

    def __repr__(self) -> str:
        return f"FeatureRow({self.to_dict()!r})"
