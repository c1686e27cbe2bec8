"""Where rows go when tables are cut by entity: each row to every block whose features can reach it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa

from features.definitions import FeatureDefinition, PathStep
from features.plan import FeaturePlan

__all__ = [
    "KeyIndex", "Node", "Routes", "block_of", "can_be_cut", "distinct_pairs", "hash_texts", "mark_further",
    "merge_runs", "place_rows", "plan_routes", "repeated", "unite",
]  # fmt: skip

_PRIME: Final = np.uint64(0x100000001B3)
_BASIS: Final = np.uint64(0xCBF29CE484222325)
_MIX: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class Node:
    """A table as it stands on one path.

    Parameters
    ----------
    number : int
        Position among the nodes; a node comes after the one that it follows.
    table : str
        The table.
    follows : int or None
        The node whose rows these go with; None for the table at the top, whose rows go by the hash of `column`.
    column : str
        The column that leads to the row followed, or that is hashed.
    followed_column : str
        Its other end.
    hashed : str or None
        The column whose hash alone tells the block.
    keeps_all : bool
        Whether rows that follow nothing are kept too: those that questions are asked about.
    is_over : bool
        Whether these are what rows of a link table lead to: many of those may lead to one of these.
    """

    number: int
    table: str
    follows: int | None
    column: str
    followed_column: str
    hashed: str | None
    keeps_all: bool
    is_over: bool = False


@dataclass(frozen=True)
class Routes:
    """How the tables of `plan`, whose features all go up one chain of parents and then down, are cut."""

    plan: FeaturePlan
    positions: tuple[int, ...]
    nodes: tuple[Node, ...]
    root: Node

    def of_table(self, table: str) -> list[Node]:
        """Return the nodes of `table`."""
        return [node for node in self.nodes if node.table == table]

    def needs_index(self, node: Node) -> str | None:
        """Return the column of `node`'s table under which the one it follows must be looked up; None for none."""
        if node.follows is None or self.nodes[node.follows].hashed == node.followed_column:
            return None
        return node.followed_column

    @cached_property
    def indexed(self) -> tuple[tuple[Node, str], ...]:
        """The nodes, and which column of each, that others look up."""
        wanted = [(self.nodes[node.follows], node.followed_column) for node in self.nodes
                  if node.follows is not None and self.needs_index(node)]  # fmt: skip
        if self.root.hashed != self.plan.key_column:
            wanted.append((self.root, self.plan.key_column))
        return tuple(sorted(set(wanted), key=lambda pair: pair[0].number))

    def is_key(self, node: Node, column: str) -> bool:
        """Whether rows of `node` must differ in `column`, because others are theirs by it."""
        users = (other for other in self.nodes if other.follows == node.number and other.followed_column == column)
        return any(not other.is_over for other in users) or (node == self.root and column == self.plan.key_column)


def can_be_cut(definition: FeatureDefinition) -> bool:
    """Whether all that the feature reads is found by keys from the root row, so that blocks of entities can hold it."""
    return definition.liveness != "reference"


def plan_routes(plan: FeaturePlan, positions: Sequence[int]) -> list[Routes]:
    """Cut the features of `plan` at `positions` into sets that share a chain of parents, and route each set."""
    sets: dict[tuple[PathStep, ...], list[int]] = {}
    chains = {plan.definitions[position].steps_up for position in positions}
    longest = [chain for chain in chains if not any(other[: len(chain)] == chain != other for other in chains)]
    for position in positions:
        up = plan.definitions[position].steps_up
        home = min((chain for chain in longest if chain[: len(up)] == up), key=lambda chain: (len(chain), repr(chain)))
        sets.setdefault(home, []).append(position)
    return [_routes(plan, chain, tuple(members)) for chain, members in sets.items()]


def _routes(plan: FeaturePlan, chain: tuple[PathStep, ...], positions: tuple[int, ...]) -> Routes:
    part = plan.select([plan.definitions[position].alias for position in positions])
    nodes = _chain_nodes(part, chain)
    anchors = {chain[:length]: nodes[len(chain) - length] for length in range(len(chain) + 1)}
    for path in dict.fromkeys(item.path for item in part.definitions):
        for depth, step in enumerate(path, start=1):
            if path[:depth] not in anchors:
                node = _next_node(len(nodes), anchors[path[: depth - 1]], step)
                nodes.append(node)
                anchors[path[:depth]] = node
    return Routes(part, positions, tuple(nodes), anchors[()])


def _next_node(number: int, here: Node, step: PathStep) -> Node:
    """Return the node that a step leads to from `here`: its children, or what the rows of a link table lead to."""
    if step.direction == "up":
        return Node(
            number, step.table, here.number, step.parent_column, step.child_column, None, keeps_all=False, is_over=True
        )
    hashed = step.child_column if here.hashed == step.parent_column else None
    return Node(number, step.table, here.number, step.child_column, step.parent_column, hashed, keeps_all=False)


def _chain_nodes(plan: FeaturePlan, chain: tuple[PathStep, ...]) -> list[Node]:
    """Return the table at the top of `chain` and, step by step, those below it down to the root."""
    tables = [plan.root_table, *(step.table for step in chain)]
    top = chain[-1].parent_column if chain else _hashed_key(plan)
    nodes = [Node(0, tables[-1], None, top, "", top, keeps_all=True)]
    for table, step in zip(reversed(tables[:-1]), reversed(chain), strict=True):
        above = nodes[-1]
        hashed = step.child_column if above.hashed == step.parent_column else None
        nodes.append(
            Node(len(nodes), table, above.number, step.child_column, step.parent_column, hashed, keeps_all=True)
        )
    return nodes


def _hashed_key(plan: FeaturePlan) -> str:
    """Return the column of the root that most of its children refer to."""
    used = [group.down[0].parent_column for group in plan.groups if group.down] or [plan.key_column]
    return max(used, key=lambda column: (used.count(column), column))


def hash_texts(texts: Any) -> np.ndarray:
    """Return a 64-bit hash of each text of an Arrow string array (FNV-1a, mixed); 0 for null.

    Examples
    --------
    >>> a, b, null = hash_texts(pa.array(["e1", "e2", None]))
    >>> bool(a != b), int(null)
    (True, 0)
    """
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    if not len(texts):
        return np.empty(0, dtype=np.uint64)
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    letters = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, dtype=np.uint8)
    begins, lengths = bounds[:-1], np.diff(bounds)
    hashes = np.full(len(texts), _BASIS)
    shortest = int(lengths.min())
    for place in range(shortest):
        hashes = (hashes ^ letters[begins + place]) * _PRIME
    rows = np.flatnonzero(lengths > shortest)
    place = shortest
    while rows.size:
        hashes[rows] = (hashes[rows] ^ letters[begins[rows] + place]) * _PRIME
        place += 1
        rows = rows[lengths[rows] > place]
    hashes = (hashes ^ (hashes >> np.uint64(30))) * _MIX[0]
    hashes = (hashes ^ (hashes >> np.uint64(27))) * _MIX[1]
    hashes ^= hashes >> np.uint64(31)
    if texts.null_count:
        hashes[texts.is_null().to_numpy(zero_copy_only=False)] = 0
    return hashes


@dataclass(frozen=True)
class KeyIndex:
    """The blocks of each key, found by its hash; a file on disk that is mapped, not loaded.

    A row that goes to several blocks has several entries, all but the first with ``~block`` in place of the block.
    Keys that share a hash lead to the blocks of both: a row too many in a block changes nothing.
    """

    hashes: np.ndarray
    blocks: np.ndarray

    def find(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (row, block) pairs of the `wanted` hashes; rows without a block are left out."""
        order = np.argsort(wanted, kind="stable")
        places = np.searchsorted(self.hashes, wanted[order])
        rows, blocks = [], []
        while order.size:
            inside = places < self.hashes.size
            order, places = order[inside], places[inside]
            same = self.hashes[places] == wanted[order]
            order, places = order[same], places[same]
            rows.append(order)
            found = self.blocks[places]
            blocks.append(np.where(found < 0, ~found, found))
            places = places + 1
        return _joined(rows, np.int64), _joined(blocks, np.int32)


def _joined(parts: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, dtype=kind)


def place_rows(node: Node, hashes: np.ndarray, index: KeyIndex | None, n_blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (row, block) pairs for the rows of a batch, given the hashes of `node.column`."""
    if index is not None:
        rows, blocks = index.find(hashes)
        if not node.keeps_all:
            return rows, blocks
        lost = np.ones(hashes.size, dtype=bool)
        lost[rows] = False
        left = np.flatnonzero(lost)
        return np.concatenate([rows, left]), np.concatenate([blocks, _spread(hashes, n_blocks)[left]])
    if node.keeps_all:
        return np.arange(hashes.size), _spread(hashes, n_blocks)
    rows = np.flatnonzero(hashes)
    return rows, block_of(hashes[rows], n_blocks)


def mark_further(rows: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Return `blocks` with ``~block`` for all but the first of each row; see `KeyIndex`."""
    first = np.zeros(rows.size, dtype=bool)
    first[np.unique(rows, return_index=True)[1]] = True
    return np.where(first, blocks, ~blocks)


def repeated(hashes: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Return the hashes that several rows share, of ascending `hashes` and the `blocks` of `mark_further`."""
    rows = hashes[blocks >= 0]
    return np.unique(rows[1:][rows[1:] == rows[:-1]])


def distinct_pairs(hashes: np.ndarray, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each pair of a hash and a block once, by hash: where rows lead to another, not how many they are."""
    blocks = np.where(blocks < 0, ~blocks, blocks)
    order = np.lexsort((blocks, hashes))
    hashes, blocks = hashes[order], blocks[order]
    is_new = np.ones(hashes.size, dtype=bool)
    is_new[1:] = (hashes[1:] != hashes[:-1]) | (blocks[1:] != blocks[:-1])
    return hashes[is_new], blocks[is_new]


def block_of(hashes: np.ndarray, n_blocks: int) -> np.ndarray:
    """Return the block of each hash."""
    return (hashes % np.uint64(n_blocks)).astype(np.int32)


def _spread(hashes: np.ndarray, n_blocks: int) -> np.ndarray:
    """Return the block of each hash; rows that follow nothing in turn, so that they do not all meet in one block."""
    return np.where(hashes == 0, np.arange(hashes.size, dtype=np.int32) % n_blocks, block_of(hashes, n_blocks))


def unite(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct (row, block) pairs, by block and then by row."""
    found = [blocks.astype(np.int64) << 40 | rows for rows, blocks in pairs]
    together = np.unique(np.concatenate(found))
    return together & ((1 << 40) - 1), (together >> 40).astype(np.int32)


def merge_runs(runs: Sequence[tuple[np.ndarray, np.ndarray]], max_rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Merge (hashes, blocks) runs, each ascending by hash, piece by piece of at most about `max_rows`."""
    total = sum(hashes.size for hashes, _ in runs)
    n_pieces = max(-(-total // max_rows), 1)
    edges = [int(edge) for edge in np.linspace(0, 2**64 - 1, n_pieces + 1)[1:-1]]
    begins = [0] * len(runs)
    for edge in [*edges, None]:
        ends = [hashes.size if edge is None else int(np.searchsorted(hashes, np.uint64(edge))) for hashes, _ in runs]
        pieces = [(h[b:e], p[b:e]) for (h, p), b, e in zip(runs, begins, ends, strict=True)]
        begins = ends
        hashes = np.concatenate([piece[0] for piece in pieces])
        order = np.argsort(hashes, kind="stable")
        yield hashes[order], np.concatenate([piece[1] for piece in pieces])[order]
