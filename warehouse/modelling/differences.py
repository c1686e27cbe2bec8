"""What one version of a data model says otherwise than another, in words that a second person can judge."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.i18n import Message, MessageLike, msg
from warehouse.data_model import STRUCTURAL_ROLES, DataModel
from warehouse.modelling.facts import Fact, as_facts
from warehouse.modelling.words import role_word, type_word, unit_word

__all__ = ["Difference", "differences"]


@dataclass(frozen=True)
class Difference:
    """One thing that is said otherwise.

    Parameters
    ----------
    fact : tuple of str
        What it is said of; see `warehouse.modelling.facts.Fact`.
    where : str
        Table, or table and column, as a person finds it.
    message : Message
        What it was and what it is now.
    effect : Message or str, default=""
        What follows for features, where something does.
    """

    fact: Fact
    where: str
    message: Message
    effect: MessageLike = ""

    def text(self, language: str = "en") -> str:
        """Return the difference as one sentence, the place first."""
        return f"{self.where}: {self.message.text(language)}"


def differences(old: DataModel, new: DataModel) -> tuple[Difference, ...]:
    """Return what `new` says otherwise than `old`, table by table, keys and times before columns.

    Examples
    --------
    >>> old = DataModel.from_text("tables: {loans: {columns: {amount: {type: number}}}}")
    >>> new = DataModel.from_text("tables: {loans: {columns: {amount: {type: number, unit: CNY}}}}")
    >>> [difference.text() for difference in differences(old, new)]
    ['loans.amount: the unit is CNY, was none']
    """
    before, after = as_facts(old), as_facts(new)
    changed = [fact for fact in (*before, *after) if before.get(fact) != after.get(fact)]
    gone = {fact[:3] for fact in changed if _is_whole(fact)}
    told = [fact for fact in dict.fromkeys(changed) if _is_whole(fact) or not _covers(gone, fact)]
    listed = [fact for fact in told if not _follows(fact, told, before, after)]
    return tuple(_difference(fact, before.get(fact), after.get(fact)) for fact in sorted(listed, key=_order))


def _is_whole(fact: Fact) -> bool:
    """Whether the fact is that a table or column is there at all."""
    return (fact[0] == "table" and len(fact) == 2) or (fact[0] == "column" and len(fact) == 3)


def _covers(gone: set[Fact], fact: Fact) -> bool:
    if len(fact) < 2:
        return False
    return ("table", fact[1]) in gone or (fact[0] != "table" and ("column", *fact[1:3]) in gone)


def _follows(fact: Fact, told: list[Fact], before: Mapping[Fact, Any], after: Mapping[Fact, Any]) -> bool:
    """Whether it is a role that follows from what is said otherwise of a key, a link or a time."""
    if fact[0] != "column" or fact[3:] != ("role",) or not STRUCTURAL_ROLES & {before.get(fact), after.get(fact)}:
        return False
    return ("link", *fact[1:3]) in told or any(
        (other[0] == "late" or other[2:] in _ROLE_GIVING) and other[1] == fact[1] for other in told if len(other) > 1
    )


_ROLE_GIVING: Final = {("primary_key",), ("event_time",), ("known_at",)}
_KINDS: Final = ("as_of", "table", "link", "late", "column")


def _order(fact: Fact) -> tuple[Any, ...]:
    return (fact[1] if len(fact) > 1 else "", _KINDS.index(fact[0]), fact)


def _difference(fact: Fact, before: Any, after: Any) -> Difference:
    kind = fact[0]
    if _is_whole(fact):
        return _of_presence(fact, is_new=after is not None)
    if kind == "as_of":
        return Difference(fact, "–", msg("the data is complete up to {now}, was {before}", **_both(before, after)))
    if kind == "link":
        return Difference(fact, ".".join(fact[1:]), *_of_link(before, after))
    if kind == "late":
        return Difference(fact, ".".join(fact[1:]), *_of_late(before, after))
    if kind == "column":
        return Difference(fact, ".".join(fact[1:3]), *_of_column(fact[3], before, after))
    return Difference(fact, fact[1], *_of_table(fact[2], before, after))


def _of_presence(fact: Fact, *, is_new: bool) -> Difference:
    if fact[0] == "table":
        return Difference(fact, fact[1], msg("the table is new") if is_new else msg("the table is gone"))
    where = ".".join(fact[1:])
    return Difference(fact, where, msg("the column is new") if is_new else msg("the column is gone"))


def _of_link(before: Any, after: Any) -> tuple[Message, MessageLike]:
    now, was = (" + ".join(f"{parent}.{column}" for parent, column in side or ()) for side in (after, before))
    if not was:
        return msg("refers to {now}, referred to nothing", now=now), msg("features can come from across this link")
    if not now:
        return (
            msg("refers to nothing, referred to {before}", before=was),
            msg("no feature comes from across this link any more"),
        )
    return msg("refers to {now}, referred to {before}", now=now, before=was), ""


def _of_late(before: Any, after: Any) -> tuple[Message, MessageLike]:
    if after is None:
        return (
            msg("is known with its row, was known since {before}", before=before),
            msg("a value filled in later is then seen too early: a leak where it is"),
        )
    effect = msg("empty in features until that day")
    if before is None:
        return msg("is known since {now}, was known with its row", now=after), effect
    return msg("is known since {now}, was known since {before}", now=after, before=before), effect


_TABLE_WORDS: Final[dict[str, Callable[..., Message]]] = {
    "primary_key": lambda **both: msg("the key is {now}, was {before}", **both),
    "event_time": lambda **both: msg("the event time is {now}, was {before}", **both),
    "known_at": lambda **both: msg("the known-at time is {now}, was {before}", **both),
    "known_at_lag_days": lambda **both: msg("rows are known {now} days after the event, was {before}", **both),
    "label": lambda **both: msg("the name is {now}, was {before}", **both),
    "file": lambda **both: msg("the file is {now}, was {before}", **both),
    "sheet": lambda **both: msg("the sheet is {now}, was {before}", **both),
    "encoding": lambda **both: msg("the encoding is {now}, was {before}", **both),
    "delimiter": lambda **both: msg("the delimiter is {now}, was {before}", **both),
}


def _of_table(field: str, before: Any, after: Any) -> tuple[Message, MessageLike]:
    if field == "is_macro":
        now = msg("is joined by time alone") if after else msg("is no longer joined by time alone")
        return now, msg("the same rows then count for every case") if after else ""
    effect: MessageLike = ""
    if field in ("event_time", "known_at", "known_at_lag_days"):
        effect = msg("changes which rows a case may see, and the windows they fall in")
    return _TABLE_WORDS[field](**_both(before, after, none=0 if field == "known_at_lag_days" else None)), effect


_COLUMN_WORDS: Final[dict[str, Callable[..., Message]]] = {
    "type": lambda **both: msg("the type is {now}, was {before}", **both),
    "role": lambda **both: msg("the role is {now}, was {before}", **both),
    "label": lambda **both: msg("the name is {now}, was {before}", **both),
    "unit": lambda **both: msg("the unit is {now}, was {before}", **both),
    "feature_unit": lambda **both: msg("the unit of its features is {now}, was {before}", **both),
    "code_table": lambda **both: msg("the code table is {now}, was {before}", **both),
    "levels": lambda **both: msg("the meanings of the values are {now}, were {before}", **both),
}


def _of_column(field: str, before: Any, after: Any) -> tuple[Message, MessageLike]:
    effect: MessageLike = ""
    if field == "role":
        if after == "feature":
            effect = msg("features are made of it")
        elif before == "feature":
            effect = msg("no feature is made of it any more")
    elif field == "type":
        effect = msg("other features are made of it")
    elif field == "feature_unit":
        effect = msg("its features have other values; models made before keep theirs")
    words: Callable[[str], MessageLike] = _VALUE_WORDS.get(field, str)
    both = {"now": after, "before": before}
    said = {key: words(value) if isinstance(value, str) else _said(value) for key, value in both.items()}
    return _COLUMN_WORDS[field](**said), effect


_VALUE_WORDS: Final = {"type": type_word, "role": role_word, "unit": unit_word, "feature_unit": unit_word}


def _both(before: Any, after: Any, none: Any = None) -> dict[str, Any]:
    return {"now": _said(after if after is not None else none), "before": _said(before if before is not None else none)}


def _said(value: Any) -> Any:
    if value is None or value in ([], {}):
        return msg("none")
    if isinstance(value, Mapping):
        return "; ".join(
            f"{key} = {', '.join(text.values()) if isinstance(text, Mapping) else text}" for key, text in value.items()
        )
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
