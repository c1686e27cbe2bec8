"""Readable names of features in English and Chinese, put together from the labels of the data model."""

from collections import Counter
from typing import TYPE_CHECKING, Final

from core.i18n import LANGUAGES, Language, Message, msg
from features.definitions import PathStep, parse_window

if TYPE_CHECKING:
    from warehouse.data_model import DataModel

__all__ = ["FeatureNamer"]

_OF_COLUMN: Final = {
    "sum": msg("sum of {what}"),
    "mean": msg("mean of {what}"),
    "min": msg("minimum of {what}"),
    "max": msg("maximum of {what}"),
    "std": msg("standard deviation of {what}"),
    "num_unique": msg("number of different values of {what}"),
    "mode": msg("most frequent value of {what}"),
    "last": msg("latest value of {what}"),
    "month": msg("month of {what}"),
    "weekday": msg("weekday of {what}"),
    "days_since": msg("days since {what}"),
}
_OF_TABLE: Final = {
    "count": msg("number of rows in {what}"),
    "time_since_last": msg("days since the latest row in {what}"),
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

    def names(
        self, path: tuple[PathStep, ...], column: str | None, primitive: str, window: str | None
    ) -> dict[str, str]:
        """Return the readable name of a feature per language."""
        return {language: self._name(path, column, primitive, window, language) for language in LANGUAGES}

    def _name(
        self, path: tuple[PathStep, ...], column: str | None, primitive: str, window: str | None, language: Language
    ) -> str:
        table = path[-1].table if path else self.root_table
        via = self._via(path, language)
        if column is None:
            what = self._in_brackets(self._table_label(table, language), via, language)
            name = _with(_OF_TABLE[primitive], what).text(language)
        else:
            what = self._column_name(path, table, column, via, language)
            name = what if primitive == "identity" else _with(_OF_COLUMN[primitive], what).text(language)
        return name if window is None else _in_window(name, window).text(language)

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
            if column_spec.role not in ("key", "foreign_key", "known_at", "ignore")
        )


def _with(template: Message, what: str) -> Message:
    return Message(template.template, {"what": _inside_sentence(what)})


def _inside_sentence(label: str) -> str:
    """Return a label without its capital: "Declared sales", but not "VAT due"."""
    return label[0].lower() + label[1:] if label[:1].isupper() and label[1:2].islower() else label


def _in_window(name: str, window: str) -> Message:
    span = parse_window(window)
    if span.months:
        return msg("{name}, last {n} months", name=name, n=span.months)
    return msg("{name}, last {n} days", name=name, n=span.days)
