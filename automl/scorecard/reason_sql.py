"""The reasons of a scorecard's score as SQL: which variables move it most, by their codes, as the service says it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["CardReasons", "reason_columns", "variable_columns"]


@dataclass(frozen=True)
class CardReasons:
    """What a query needs in order to give reasons.

    Parameters
    ----------
    codes : mapping of str to str
        Code of each characteristic, by alias.
    variables : sequence of sequence of str
        The characteristics by the variable that they read, in the order of the model's features: windows of one
        variable count together.
    n : int, default=4
        Most reasons.
    """

    codes: Mapping[str, str]
    variables: Sequence[Sequence[str]]
    n: int = 4


def variable_columns(reasons: CardReasons, cases: Mapping[str, str], quoted: Callable[[str], str]) -> list[str]:
    """Return the innermost columns: the points of each variable, and of each feature where one is needed by itself."""
    columns = []
    for i, members in enumerate(reasons.variables):
        total = "\n    + ".join(cases[alias] for alias in members)
        columns.append(f"{total} AS {quoted(f'variable_{i}')}")
        if _needs_leader(reasons, members):
            columns += [f"{cases[alias]} AS {quoted(f'member_{i}_{k}')}" for k, alias in enumerate(members)]
    return columns


def reason_columns(
    reasons: CardReasons, literal: Callable[[str], str], quoted: Callable[[str], str]
) -> tuple[list[str], list[str]]:
    """Return the ranks of the variables, and above them the columns ``reason_<n>`` and ``reason_<n>_direction``."""
    n = len(reasons.variables)
    ranks = [f"{_rank(i, n, quoted)} AS {quoted(f'rank_{i}')}" for i in range(n)]
    columns = []
    for place in range(1, reasons.n + 1):
        codes, directions = [], []
        for i, members in enumerate(reasons.variables):
            moves = quoted(f"variable_{i}")
            at_place = f"WHEN {quoted(f'rank_{i}')} = {place} AND {moves}"
            codes.append(f"{at_place} <> 0 THEN {_code(reasons, i, members, literal, quoted)}")
            directions.append(f"{at_place} < 0 THEN 'raises'")
            directions.append(f"{at_place} > 0 THEN 'lowers'")
        columns.append(_case(codes, quoted(f"reason_{place}")))
        columns.append(_case(directions, quoted(f"reason_{place}_direction")))
    return ranks, columns


def _case(branches: Sequence[str], name: str) -> str:
    body = "\n    ".join(branches) or "WHEN 1 = 0 THEN ''"
    return f"CASE\n    {body}\n  END AS {name}"


def _rank(i: int, n: int, quoted: Callable[[str], str]) -> str:
    """Return how many variables come before the `i`-th, plus one: the stronger, and of equals the earlier."""
    mine = f"ABS({quoted(f'variable_{i}')})"
    stronger = [
        f"CASE WHEN ABS({quoted(f'variable_{j}')}) {'>=' if j < i else '>'} {mine} THEN 1 ELSE 0 END"
        for j in range(n)
        if j != i
    ]
    return " + ".join(["1", *stronger])


def _needs_leader(reasons: CardReasons, members: Sequence[str]) -> bool:
    return len({reasons.codes[alias] for alias in members}) > 1


def _code(
    reasons: CardReasons,
    i: int,
    members: Sequence[str],
    literal: Callable[[str], str],
    quoted: Callable[[str], str],
) -> str:
    if not _needs_leader(reasons, members):
        return literal(reasons.codes[members[0]])
    names = [quoted(f"member_{i}_{k}") for k in range(len(members))]
    branches = []
    for sign, holds in (("<", "<="), (">", ">=")):
        for k, alias in enumerate(members):
            leads = [
                f"{quoted(f'variable_{i}')} {sign} 0",
                *(f"{names[k]} {holds} {other}" for other in names[k + 1 :]),
            ]
            branches.append(f"WHEN {' AND '.join(leads)} THEN {literal(reasons.codes[alias])}")
    return f"CASE {' '.join(branches)} END"
