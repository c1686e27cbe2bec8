"""What a feature is: a path from the root table, a column, a primitive and a window; readable without any framework."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from typing import Any, Final, Literal

from core.errors import ConfigurationError
from core.i18n import msg
from features.aliases import make_alias
from features.conditions import OPERATORS, Condition, Operator
from features.paths import PathStep
from features.peer_groups import PEER_STATISTICS, GroupColumn, Peers, PeerStatistic
from features.stages import Stage
from features.windows import Window, parse_window
from features.words import plain_text

__all__ = [
    "OPERATORS",
    "PEER_STATISTICS",
    "Condition",
    "FeatureDefinition",
    "FeatureKind",
    "GroupColumn",
    "Liveness",
    "Operator",
    "PathStep",
    "PeerStatistic",
    "Peers",
    "Stage",
    "Window",
    "make_alias",
    "parse_window",
]

FeatureKind = Literal["number", "category"]
Liveness = Literal["self", "reference", "network"]

_EXTRAS: Final = ("where", "second", "against", "stack", "peers", "word")  # written only where there are any


@dataclass(frozen=True)
class FeatureDefinition:
    """One feature of the root table's rows.

    Parameters
    ----------
    id : str
        Canonical text of path, column, primitive and window; the same definition always has the same id.
    alias : str
        Name for models: only ``[A-Za-z0-9_]``, at most 120 characters, unique in a plan.
    names : mapping of str to str
        Readable name per language, ``en`` and ``zh``.
    kind : {"number", "category"}
        Whether values are numbers, or codes of the levels frozen in the plan.
    path : tuple of PathStep
        From the root: steps up, then steps down. Steps up may follow, from the rows of a link table to what they link
        to: then these rows are aggregated, and what is read of each stands in the parent reached. Where a path goes
        down again, a stage aggregates the rows from which it goes up.
    column : str or None
        Column of the last table; None for ``count`` and ``time_since_last``, and for ``num_unique`` of the parents
        reached.
    primitive : str
        Name of an aggregation where the path leads down, else of a transform; see `features.primitives.vocabulary`.
    window : str or None
        Window of event time, such as ``"6m"``; None for all of the history.
    liveness : {"self", "reference", "network"}
        Where a live score gets it from: the entity's own rows, a dated snapshot, or counterparties; a plan marks as
        ``"network"`` what `reaches_others`.
    where : Condition or None
        Which rows of the last table count.
    second : str or None
        Second column of the last table: what a number is divided by row by row before it is aggregated (0 gives null),
        or what the levels of a category weigh.
    against : str or None
        A second window: the value in `window` is divided by the value in this one (0 gives null).
    stack : tuple of Stage
        Aggregations over what is below, the uppermost first; together their steps leave at least one step.
    peers : Peers or None
        What the value is compared with.
    word : str or None
        What ``contains`` looks for, in the plain form of `features.words`; other primitives have none.
    """

    id: str
    alias: str
    names: Mapping[str, str]
    kind: FeatureKind
    path: tuple[PathStep, ...]
    column: str | None
    primitive: str
    window: str | None = None
    liveness: Liveness = "self"
    where: Condition | None = None
    second: str | None = None
    against: str | None = None
    stack: tuple[Stage, ...] = ()
    peers: Peers | None = None
    word: str | None = None

    @classmethod
    def create(
        cls,
        path: tuple[PathStep, ...],
        column: str | None,
        primitive: str,
        *,
        kind: FeatureKind = "number",
        window: str | None = None,
        names: Mapping[str, str] | None = None,
        liveness: Liveness = "self",
        where: Condition | None = None,
        second: str | None = None,
        against: str | None = None,
        stack: tuple[Stage, ...] = (),
        peers: Peers | None = None,
        word: str | None = None,
    ) -> "FeatureDefinition":
        """Build a definition with its id and alias; without `names` the id serves as name.

        What compares with peers, and what is joined by time alone, is *reference* whatever `liveness` says.

        Raises
        ------
        ConfigurationError
            A window is none, the stages of `stack` leave no step below them, the path goes down again after a step up
            without a stage, or a word is not looked for by ``contains``, or not in plain form.

        Examples
        --------
        >>> step = PathStep("down", "vat_monthly", "ent_id", "ent_id")
        >>> FeatureDefinition.create((step,), "sales", "sum", window="6m").alias
        'vat_monthly__sales__sum__6m'
        """
        if peers is not None or any(step.is_keyless for step in path):
            liveness = "reference"
        given = (kind, path, column, primitive, window, liveness, where, second, against, stack, peers, word)
        blank = cls("", "", {}, *given)
        blank.check()
        identifier = _identifier(blank)
        alias = make_alias(identifier, _alias_parts(blank), is_plain=blank.is_plain)
        return replace(blank, id=identifier, alias=alias, names=names or {"en": identifier, "zh": identifier})

    def check(self) -> None:
        """Refuse windows that are none, stages that do not fit the path, and words that nothing can hold."""
        for window in self.windows:
            if window is not None:
                parse_window(window)
        item = self
        for stage in self.stack:
            top = len(item.steps_up) + stage.steps
            if not 1 <= stage.steps <= len(item.steps_down) or top == len(item.path):
                raise ConfigurationError(
                    msg("the stages of a stacked feature must each cover a step down and leave one below them"),
                    where=str(stage),
                )
            item = item.below
        if any(step.direction == "down" for step in item.steps_over):
            raise ConfigurationError(
                msg("a path that goes down again after a step up needs a stage over the rows it goes up from"),
                where=_identifier(self),
            )
        if self.against is not None and self.stack:
            raise ConfigurationError(msg("a ratio of two windows cannot be stacked"), where=str(self.stack[0]))
        if any(step.is_keyless for step in self.path) and (len(self.path) > 1 or self.peers is not None):
            raise ConfigurationError(
                msg("a table that is joined by time alone stands alone on its path, and is the same for all peers"),
                where=self.path[-1].table,
            )
        is_sought = self.word is not None and self.word == plain_text(self.word).strip() != ""
        if (self.primitive == "contains") != is_sought or (self.word is not None and self.peers is not None):
            raise ConfigurationError(
                msg("the primitive contains, and no other, looks for a word, written small and without punctuation; "
                    "got {word}", word=repr(self.word)),
                where=_identifier(self),
            )  # fmt: skip
        if self.peers is not None and (self.kind != "number" or self.peers.statistic not in PEER_STATISTICS):
            raise ConfigurationError(
                msg("only a number can be compared with peers, by one of {statistics}",
                    statistics=", ".join(PEER_STATISTICS)),
                where=str(self.peers),
            )  # fmt: skip

    @property
    def extras(self) -> str:
        """What the definition has beyond path, column, primitive and window, as canonical text; mostly empty."""
        where = "" if self.where is None else f"|{self.where}"
        against = "" if self.against is None else f"/{self.against}"
        stages = "".join(f";{stage}" for stage in self.stack)
        peers = "" if self.peers is None else f"~{self.peers}"
        word = "" if self.word is None else f"={self.word}"
        return where + against + stages + (f"%{self.second}" * bool(self.second)) + peers + word

    @property
    def is_plain(self) -> bool:
        """Whether path, column, primitive and window say it all, and the path is steps up and then down."""
        return not self.extras and not self.steps_over

    @property
    def base(self) -> "FeatureDefinition":
        """What is compared with peers; the definition itself where nothing is."""
        if self.peers is None:
            return self
        blank = replace(self, peers=None, liveness="self")
        identifier = _identifier(blank)
        return replace(blank, id=identifier, alias=make_alias(identifier, _alias_parts(blank), is_plain=blank.is_plain))

    @property
    def paths(self) -> tuple[tuple[PathStep, ...], ...]:
        """The path, and those to the columns that peers share."""
        groups = () if self.peers is None else self.peers.by
        return tuple(dict.fromkeys([self.path, *((*self.steps_up, *group.path) for group in groups)]))

    @property
    def windows(self) -> tuple[str | None, ...]:
        """All windows it uses, those of stages too."""
        own = (self.window,) if self.against is None else (self.window, self.against)
        return (*own, *(stage.window for stage in self.stack))

    @property
    def top_windows(self) -> tuple[str | None, ...]:
        """The windows of the uppermost aggregation."""
        return (self.stack[0].window,) if self.stack else self.windows

    @property
    def below(self) -> "FeatureDefinition":
        """What the uppermost stage aggregates: a feature of the rows of the table that it reaches."""
        path, stack = self.path[len(self.steps_up) + self.stack[0].steps :], self.stack[1:]
        below = replace(self, path=path, stack=stack)
        return replace(below, id=_identifier(below))

    @property
    def innermost(self) -> "FeatureDefinition":
        """What is below all stages; the definition itself where there are none."""
        item = self
        while item.stack:
            item = item.below
        return item

    @property
    def stages(self) -> list[tuple[str, Stage]]:
        """The stages with the table each reaches, the uppermost first."""
        found, item = [], self
        while item.stack:
            stage = item.stack[0]
            found.append((item.steps_down[stage.steps - 1].table, stage))
            item = item.below
        return found

    @property
    def groups(self) -> tuple["FeatureDefinition", ...]:
        """The columns that peers share, as features of the root, under names that no other feature has."""
        found = () if self.peers is None else self.peers.by
        made = [(FeatureDefinition.create((*self.steps_up, *group.path), group.column, "identity", kind="category"))
                for group in found]  # fmt: skip
        return tuple(replace(item, id=f"by {item.id}", alias=f"peers_by__{item.alias}") for item in made)

    @property
    def group_aliases(self) -> tuple[str, ...]:
        """Names under which the plan keeps the levels of these columns."""
        return tuple(item.alias for item in self.groups)

    def reads(self, root_table: str) -> list[tuple[str, str]]:
        """Return (table, column) of all columns that values and conditions are read from."""
        found = [(table, stage.where.column) for table, stage in self.stages if stage.where is not None]
        last = self.path[-1].table if self.path else root_table
        own = (self.column, self.second, None if self.where is None else self.where.column)
        top = self.steps_up[-1].table if self.steps_up else root_table
        groups = () if self.peers is None else self.peers.by
        found += [(group.path[-1].table if group.path else top, group.column) for group in groups]
        return found + [(last, column) for column in own if column is not None]

    @property
    def is_aggregation(self) -> bool:
        """Whether the value is reduced from many rows."""
        return any(step.direction == "down" for step in self.path)

    @property
    def steps_up(self) -> tuple[PathStep, ...]:
        """The steps to parents, which come first."""
        return tuple(takewhile(lambda step: step.direction == "up", self.path))

    @property
    def steps_down(self) -> tuple[PathStep, ...]:
        """The steps to children after them."""
        return tuple(takewhile(lambda step: step.direction == "down", self.path[len(self.steps_up) :]))

    @property
    def steps_over(self) -> tuple[PathStep, ...]:
        """What follows them: from the rows of a link table up to what they link to, and on from there."""
        return self.path[len(self.steps_up) + len(self.steps_down) :]

    @property
    def is_linked(self) -> bool:
        """Whether the path goes up again after it went down."""
        return bool(self.steps_over)

    def reaches_others(self, root_table: str) -> bool:
        """Whether it reads rows of other entities: rows below another parent, or others of the table it started from.

        Rows below the entity, and the parents that these refer to in another table, are the entity's own: a request
        can bring them along. The parents' other rows, and entities like itself, it does not know.
        """
        start = self.steps_up[-1].table if self.steps_up else root_table
        over = self.steps_over
        return any(step.direction == "down" or step.table == start for step in over)

    def name(self, language: str = "en") -> str:
        """Return the readable name in `language`, in English where there is none."""
        return self.names.get(language) or self.names.get("en") or self.alias

    def to_json(self) -> dict[str, Any]:
        """Return the definition as JSON values."""
        data = {**asdict(self), "names": dict(self.names), "path": [asdict(step) for step in self.path]}
        if self.stack:
            data["stack"] = [asdict(stage) for stage in self.stack]
        if self.peers is not None:
            by = [{"column": group.column, "path": [asdict(step) for step in group.path]} for group in self.peers.by]
            data["peers"] = {"statistic": self.peers.statistic, "by": by}
        return {name: value for name, value in data.items() if name not in _EXTRAS or value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "FeatureDefinition":
        """Read what `to_json` wrote."""
        path = tuple(PathStep(**step) for step in data["path"])
        stack = tuple(Stage.from_json(stage) for stage in data.get("stack", ()))
        given = {"path": path, "where": Condition.from_json(data.get("where")), "stack": stack}
        return cls(**{**data, **given, "peers": Peers.from_json(data.get("peers"))})


def _identifier(item: FeatureDefinition) -> str:
    arrows = {"up": ">", "down": "<"}
    steps = item.path
    walk = "".join(f"{arrows[step.direction]}{step.table}[{step.child_column}={step.parent_column}]" for step in steps)
    window = "" if item.window is None else "@" + item.window
    return f"{walk}:{item.primitive}({item.column or ''}){window}{item.extras}"


def _alias_parts(item: FeatureDefinition) -> list[str]:
    parts = [
        step.table if step.child_column == step.parent_column else f"{step.table}_by_{step.child_column}"
        for step in item.path
    ]
    optional = [item.column, None if item.primitive == "identity" else item.primitive, item.window]
    return [*parts, *(part for part in optional if part is not None), *_extra_parts(item)]


def _extra_parts(item: FeatureDefinition) -> list[str]:
    parts = [] if item.against is None else ["against", item.against]
    parts += [] if item.second is None else ["per", item.second]
    parts += [] if item.word is None else [item.word]
    for where in (item.where, *(stage.where for stage in item.stack)):
        parts += [] if where is None else [where.column, OPERATORS[where.op], str(where.value)]
    for stage in reversed(item.stack):
        parts += [stage.primitive, *([] if stage.window is None else [stage.window])]
    if item.peers is not None:
        parts += [item.peers.statistic, *(group.column for group in item.peers.by)]
    return parts
