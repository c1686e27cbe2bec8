"""Trees with double thresholds, of whatever family: what an exchange form is written from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Mode", "Node", "Tree", "level_chain"]

Mode = Literal["BRANCH_LEQ", "BRANCH_LT", "BRANCH_EQ", "BRANCH_GTE", "LEAF"]
_NO_LEVEL = -1
"""A code that no value has: a forest may hold a set of no level."""


@dataclass(frozen=True)
class Node:
    """A test of one feature, or a leaf.

    Parameters
    ----------
    mode : str
        How the feature is compared with `value`; true goes to `yes`.
    feature : int
        Column; of a leaf 0.
    value : float
        Threshold; of a leaf what it adds to the log-odds.
    yes, no : int
        Nodes of the same tree.
    is_missing_true : bool
        Whether null goes to `yes`.
    """

    mode: Mode
    feature: int = 0
    value: float = 0.0
    yes: int = 0
    no: int = 0
    is_missing_true: bool = False


@dataclass
class Tree:
    """Nodes, the first of them the root."""

    nodes: list[Node] = field(default_factory=list)

    def add(self, node: Node) -> int:
        """Append a node and return its number."""
        self.nodes.append(node)
        return len(self.nodes) - 1


def level_chain(tree: Tree, column: int, levels: Sequence[int], left: int, right: int) -> Node:
    """Return the first of a chain of tests, one per level, all of which lead left; null and others go right."""
    first, *others = levels or [_NO_LEVEL]
    after = right
    for level in reversed(others):
        after = tree.add(Node("BRANCH_EQ", column, float(level), left, after))
    return Node("BRANCH_EQ", column, float(first), left, after)
