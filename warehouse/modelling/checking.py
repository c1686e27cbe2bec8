"""A data model held against all rows of the stored tables: what does not fit, what to know, before it is saved."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.errors import ConfigurationError
from core.findings import Finding, Severity
from core.i18n import msg
from warehouse.data_model import TIME_TYPES, DataModel, Relationship
from warehouse.modelling.evidence import Evidence, KeyEvidence, LinkEvidence, TimeEvidence

__all__ = ["ModelCheck", "check_model", "circles", "key_findings", "link_findings"]


@dataclass(frozen=True)
class ModelCheck:
    """What speaks for and against a model: the evidence of every key, link and time, and what was found.

    A finding of severity bad means that the tables cannot be used under this model.
    """

    keys: tuple[KeyEvidence, ...]
    links: tuple[LinkEvidence, ...]
    times: tuple[TimeEvidence, ...]
    findings: tuple[Finding, ...]

    @property
    def fits(self) -> bool:
        """Whether the tables can be used under the model."""
        return all(finding.severity is not Severity.BAD for finding in self.findings)


def check_model(evidence: Evidence, model: DataModel) -> ModelCheck:
    """Hold `model` against the rows of the tables; what cannot be counted is a finding, never an error."""
    findings = list(_missing(evidence, model))
    try:
        model.check()
    except ConfigurationError as error:
        findings.append(Finding("model_contradicts_itself", Severity.BAD, error.message, error.where, error.fix))
    keys = tuple(_keys(evidence, model))
    links = tuple(_links(evidence, model))
    findings += [finding for key in keys for finding in key_findings(key)]
    findings += [finding for link in links for finding in link_findings(link)]
    findings += [_circle(circle) for circle in circles(model.relationships)]
    return ModelCheck(keys, links, tuple(_times(evidence, model)), tuple(findings))


def circles(links: Iterable[Relationship]) -> list[list[str]]:
    """Return the tables of every circle that links run in, each once, from its first table by name.

    Examples
    --------
    >>> def link(child, parent):
    ...     return Relationship(parent=parent, parent_column="id", child=child, child_column=f"{parent}_id")
    >>> circles([link("firm", "person"), link("person", "firm"), link("loan", "firm")])
    [['firm', 'person']]
    """
    parents: dict[str, list[str]] = {}
    for link in links:
        parents.setdefault(link.child, []).append(link.parent)
    found: dict[frozenset[str], list[str]] = {}
    for start in sorted(parents):
        _walk(start, [start], parents, found)
    return list(found.values())


def key_findings(key: KeyEvidence) -> Iterator[Finding]:
    """Yield what speaks against columns as the key of their table."""
    where, name = key.table, ", ".join(key.columns)
    if key.n_null:
        yield Finding(
            "key_has_nulls",
            Severity.BAD,
            msg("{n} rows have no value in the key {key}", n=key.n_null, key=name),
            where,
            msg("Choose other columns, or correct the rows at their source."),
        )
    if key.n_repeated:
        yield Finding(
            "key_not_unique",
            Severity.BAD,
            msg(
                "{n} of {total} rows repeat a value of the key {key}, most often {examples}",
                n=key.n_repeated,
                total=key.n_rows,
                key=name,
                examples=_listed(key.examples[:3]),
            ),
            where,
            msg("Add a column to the key, choose another, or take the key away."),
        )


def link_findings(link: LinkEvidence) -> Iterator[Finding]:
    """Yield what there is to know of a link, and what speaks against it."""
    where = str(link.link)
    if link.n_parent_repeats:
        yield Finding(
            "parent_not_unique",
            Severity.BAD,
            msg(
                "{n} rows of {parent} repeat a value of {column}: a row would have several parents",
                n=link.n_parent_repeats,
                parent=link.link.parent,
                column=link.link.parent_column,
            ),
            where,
            msg("Link to the key of the table."),
        )
    if link.n_null:
        yield Finding(
            "null_foreign_key",
            Severity.WATCH,
            msg("{n} of {total} rows name no {parent}", n=link.n_null, total=link.n_rows, parent=link.link.parent),
            where,
            msg("These rows belong to nobody and count in no feature."),
        )
    if link.n_orphans:
        yield _orphans(link, where)


def _orphans(link: LinkEvidence, where: str) -> Finding:
    if link.n_without_zeros > link.n_orphans // 2:
        return Finding(
            "leading_zeros",
            Severity.BAD,
            msg(
                "{n} of {total} rows would find their {parent} were it not for zeros at the front, such as {examples}",
                n=link.n_without_zeros,
                total=link.n_rows,
                parent=link.link.parent,
                examples=_listed(link.examples[:3]),
            ),
            where,
            msg("Zeros are lost where a column was read as a number: give it the type id and import again."),
        )
    return Finding(
        "orphan_rows",
        Severity.WATCH if link.matched else Severity.BAD,
        msg(
            "{n} of {total} rows find no parent in {parent}: {examples}",
            n=link.n_orphans,
            total=link.n_rows,
            parent=link.link.parent,
            examples=_listed(link.examples[:3]),
        ),
        where,
        msg("These rows belong to nobody and count in no feature."),
    )


def _listed(examples: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{value} (×{n})" for value, n in examples)


def _missing(evidence: Evidence, model: DataModel) -> Iterator[Finding]:
    fix = msg("Correct the name, or import the data that has it.")
    for name, table in model.tables.items():
        there = evidence.names(name)
        if not there:
            yield Finding("unknown_table", Severity.BAD, msg("there is no such table in the data"), name, fix)
            continue
        for column in table.columns:
            if column not in there:
                text = msg("the table has no such column in the data")
                yield Finding("unknown_column", Severity.BAD, text, f"{name}.{column}", fix)
        for column in there:
            if column not in table.columns:
                text = msg("the data has this column, and the model says nothing of it")
                yield Finding("column_not_in_model", Severity.BAD, text, f"{name}.{column}")


def _keys(evidence: Evidence, model: DataModel) -> Iterator[KeyEvidence]:
    for name, table in model.tables.items():
        if table.primary_key and set(table.primary_key) <= set(evidence.names(name)):
            yield evidence.key(name, tuple(table.primary_key))


def _links(evidence: Evidence, model: DataModel) -> Iterator[LinkEvidence]:
    for link in model.relationships:
        if link.parent_column in evidence.names(link.parent) and link.child_column in evidence.names(link.child):
            yield evidence.link(link)


def _times(evidence: Evidence, model: DataModel) -> Iterator[TimeEvidence]:
    for name, table in model.tables.items():
        late = [group.known_at for group in table.late_columns]
        for column in dict.fromkeys(item for item in (table.event_time, table.known_at, *late) if item is not None):
            is_there = column in evidence.names(name) and column in table.columns
            if is_there and table.columns[column].type in TIME_TYPES:
                yield evidence.time(name, column)


def _circle(tables: list[str]) -> Finding:
    return Finding(
        "cyclic_links",
        Severity.WATCH,
        msg("links run in a circle: {tables}", tables=" → ".join([*tables, tables[0]])),
        fix=msg("Features leave out the link that leads back; take away the one that says less."),
    )


def _walk(start: str, path: list[str], parents: dict[str, list[str]], found: dict[frozenset[str], list[str]]) -> None:
    for parent in dict.fromkeys(parents.get(path[-1], ())):
        if parent == start:
            found.setdefault(frozenset(path), list(path))
        elif parent > start and parent not in path:  # each circle is walked from its first table only
            _walk(start, [*path, parent], parents, found)
