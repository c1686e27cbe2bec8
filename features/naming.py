"""Readable names of features in English and Chinese, put together from the labels of the data model."""

from collections import Counter
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from core.i18n import LANGUAGES, Language, Message, msg
from features.definitions import Condition, FeatureDefinition, PathStep, PeerStatistic, Stage, parse_window
from features.primitives.vocabulary import AGGREGATIONS, TRANSFORMS

if TYPE_CHECKING:
    from warehouse.data_model import DataModel

__all__ = ["FeatureNamer"]

_OPERATORS: Final = {
    "==": msg("{what} where {column} is {value}"),
    "!=": msg("{what} where {column} is not {value}"),
    "<": msg("{what} where {column} is below {value}"),
    "<=": msg("{what} where {column} is at most {value}"),
    ">": msg("{what} where {column} is above {value}"),
    ">=": msg("{what} where {column} is at least {value}"),
}
_AND: Final[Mapping[Language, str]] = {"en": " and ", "zh": "、"}
_PEERS: Final[Mapping[PeerStatistic, Message]] = {
    "difference_from_mean": msg("{what}, less the mean of {peers}"),
    "difference_from_median": msg("{what}, less the median of {peers}"),
    "ratio_to_median": msg("{what}, over the median of {peers}"),
    "z_score": msg("{what}, standard score among {peers}"),
    "percentile": msg("{what}, percentile among {peers}"),
    "n_peers": msg("number of {peers} with a value of {what}"),
}


class FeatureNamer:
    """Names features of one root table.

    A label that several columns of the data model share is told apart by its table; two relationships to one table by
    the column that links.

    Parameters
    ----------
    data_model : DataModel
        Labels of tables and columns; where there is none, the name itself.
    root_table : str
        Table of the feature rows; its columns need no table beside them.
    """

    def __init__(self, data_model: "DataModel", root_table: str) -> None:
        self.data_model = data_model
        self.root_table = root_table
        self._uses = {language: self._label_counts(language) for language in LANGUAGES}
        ends = Counter((link.parent, link.child) for link in data_model.relationships)
        self._parallel = {ends_of_link for ends_of_link, n in ends.items() if n > 1}

    def names(self, item: FeatureDefinition) -> dict[str, str]:
        """Return the readable name of a feature per language."""
        return {language: self._name(item, language) for language in LANGUAGES}

    def _name(self, item: FeatureDefinition, language: Language) -> str:
        name = self._across(item, language) if item.is_linked else self._plain(item, language)
        return name if item.peers is None else self._among_peers(name, item, item.peers.statistic, language)

    def _plain(self, item: FeatureDefinition, language: Language) -> str:
        name = _primed(item, self._what(item, language), language)
        for table, stage in reversed(item.stages):
            what = msg("{what} per row of {table}", what=name, table=self._table_label(table, language)).text(language)
            name = self._staged(what, table, stage, language)
        return name

    def _staged(self, what: str, table: str, stage: Stage, language: Language) -> str:
        what = what if stage.where is None else self._where(what, table, stage.where, language)
        name = _phrase(stage.primitive, what).text(language)
        return name if stage.window is None else _in_window(name, stage.window).text(language)

    def _across(self, item: FeatureDefinition, language: Language) -> str:
        """Return the name of a feature of what a link table leads to, or of what lies below that."""
        down = item.steps_down
        if not item.stack:
            what, over = self._of_parents(item, language), item.steps_over
            what = what if not over or item.column is None else self._each(down[-1].table, over, what, language)
            if item.where is not None:
                whose = (down[-1].table, over) if over and item.column is None else None
                what = self._where(what, item.path[-1].table, item.where, language, whose)
            return _primed(item, what, language)
        stage, below = item.stack[0], item.below
        table = down[stage.steps - 1].table
        up = below.steps_up
        seen = copy(self)
        seen.root_table = up[-1].table if up else table
        rest = replace(below, path=below.path[len(up) :])
        if (stage.primitive, rest.primitive, rest.stack) == ("sum", "sum", ()):
            rest = replace(rest, primitive="identity")  # the sum of sums is the sum
        name = seen._name(rest, language)  # noqa: SLF001 - of its own class
        if up:
            name = self._each(table, up, name, language)
        else:
            name = msg("{what} per row of {table}", what=name, table=self._table_label(table, language)).text(language)
        return self._staged(name, table, stage, language)

    def _of_parents(self, item: FeatureDefinition, language: Language) -> str:
        """Return what is read at the end of the steps up: a column, or which rows they are."""
        if item.column is not None:
            return self._column_label(item.path[-1].table, item.column, language)
        link, over = item.steps_down[-1].table, item.steps_over
        counts_rows = item.where is not None and item.primitive != "num_unique"
        return self._table_label(link, language) if counts_rows else self._whom(link, over, language)

    def _each(self, link: str, up: tuple[PathStep, ...], what: str, language: Language) -> str:
        whom, what = (_inside_sentence(text) for text in (self._whom(link, up, language), what))
        return msg("each {whom}'s {what}", whom=whom, what=what).text(language)

    def _whom(self, link: str, up: tuple[PathStep, ...], language: Language) -> str:
        """Return what rows of a link table lead to, by the label of the column that tells; else by its table."""
        column, table = up[0].child_column, up[-1].table
        label = self.data_model.table(link).column(column).label
        links = [other for other in self.data_model.relationships if other.parent == up[0].table]
        told = [self._column_label(other.child, other.child_column, language) for other in links]
        own = label.get(language) or label.get("en")
        if len(up) == 1 and own and told.count(own) == 1:
            return own
        return self._in_brackets(
            self._table_label(table, language), self._table_label(link, language) if len(links) > 1 else "", language
        )

    def _among_peers(self, name: str, item: FeatureDefinition, statistic: PeerStatistic, language: Language) -> str:
        labels = [
            _inside_sentence(self._column_label(group.path[-1].table if group.path else self.root_table,
                                                group.column or "", language))
            for group in item.groups
        ]  # fmt: skip
        peers = msg("all peers")
        if labels:
            peers = msg("peers of the same {groups}", groups=_AND[language].join(labels))
        return Message(_PEERS[statistic].template, {"what": name, "peers": peers.text(language)}).text(language)

    def _what(self, item: FeatureDefinition, language: Language) -> str:
        """Return what the primitive is of: column or table, its second column, its condition."""
        path, via = item.path, self._via(item.path, language)
        table = path[-1].table if path else self.root_table
        if item.column is None:
            what = self._in_brackets(self._table_label(table, language), via, language)
        else:
            what = self._column_name(path, table, item.column, via, language)
        if item.second is not None and item.column is not None:
            second = _inside_sentence(self._column_label(table, item.second, language))
            what = _pair(what, second, self.data_model.table(table).column(item.column).type, item).text(language)
        return what if item.where is None else self._where(what, table, item.where, language)

    def _where(
        self, what: str, table: str, where: Condition, language: Language,
        whose: tuple[str, tuple[PathStep, ...]] | None = None,
    ) -> str:  # fmt: skip
        column = self._column_label(table, where.column, language)
        values = {
            "what": _inside_sentence(what),
            "column": _inside_sentence(column) if whose is None else self._each(*whose, column, language),
            "value": where.value if isinstance(where.value, str) else f"{where.value:g}",
        }
        return Message(_OPERATORS[where.op].template, values).text(language)

    def _column_name(self, path: tuple[PathStep, ...], table: str, column: str, via: str, language: Language) -> str:
        label = self._column_label(table, column, language)
        parts = [via] if via else []
        if path and (self._uses[language][label] > 1 or via):
            parts.insert(0, self._table_label(table, language))
        return self._in_brackets(label, " / ".join(parts), language)

    def _via(self, path: tuple[PathStep, ...], language: Language) -> str:
        """Return the labels of the linking columns that tell parallel relationships apart."""
        labels, here = [], self.root_table
        for step in path:
            child, parent = (here, step.table) if step.direction == "up" else (step.table, here)
            if (parent, child) in self._parallel:
                labels.append(self._column_label(child, step.child_column, language))
            here = step.table
        return " / ".join(labels)

    def _in_brackets(self, text: str, remark: str, language: Language) -> str:
        return msg("{text} ({remark})", text=text, remark=remark).text(language) if remark else text

    def _column_label(self, table: str, column: str, language: Language) -> str:
        label = self.data_model.table(table).column(column).label
        return label.get(language) or label.get("en") or column

    def _table_label(self, table: str, language: Language) -> str:
        label = self.data_model.table(table).label
        return label.get(language) or label.get("en") or table

    def _label_counts(self, language: Language) -> Counter[str]:
        return Counter(
            self._column_label(table, column, language)
            for table, spec in self.data_model.tables.items()
            for column, column_spec in spec.columns.items()
            if column_spec.role in ("feature", "event_time")
        )


def _primed(item: FeatureDefinition, what: str, language: Language) -> str:
    """Return the name of what the primitive makes of `what`, in its windows."""
    if item.word is not None:
        return msg("{what} contains “{word}”", what=what, word=item.word).text(language)
    name = what if item.primitive == "identity" else _phrase(item.primitive, what).text(language)
    return _in_windows(name, item).text(language) if item.window or item.against else name


def _phrase(primitive: str, what: str) -> Message:
    known = AGGREGATIONS[primitive] if primitive in AGGREGATIONS else TRANSFORMS[primitive]
    return Message(known.phrase.template, {"what": _inside_sentence(what)})


def _pair(what: str, second: str, kind: str, item: FeatureDefinition) -> Message:
    if item.primitive == "days_between":
        return msg("{what} from {second}", what=what, second=second)
    if kind == "category":
        return msg("{what} by {second}", what=what, second=second)
    return msg("{what} over {second}", what=what, second=second)


def _inside_sentence(label: str) -> str:
    """Return a label without its capital: "Declared sales", but not "VAT due"."""
    return label[0].lower() + label[1:] if label[:1].isupper() and label[1:2].islower() else label


def _in_windows(name: str, item: FeatureDefinition) -> Message:
    if item.against is None:
        return _in_window(name, item.window or "")
    window = msg("all time") if item.window is None else _span(item.window)
    return msg("{name}, {window} against {longer}", name=name, window=window, longer=_span(item.against))


def _span(window: str) -> Message:
    span = parse_window(window)
    if span.months:
        return msg("last {n} months", n=span.months)
    return msg("last {n} days", n=span.days)


def _in_window(name: str, window: str) -> Message:
    span = parse_window(window)
    if span.months:
        return msg("{name}, last {n} months", name=name, n=span.months)
    return msg("{name}, last {n} days", name=name, n=span.days)
