"""What a person decided about the match of tables and columns to the data standard; it goes before what is proposed."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.errors import NotFoundError
from core.fingerprints import fingerprint_json
from warehouse.standard.catalogue import load

__all__ = ["StandardChoices"]


class StandardChoices(BaseModel):
    """Tables and columns by name with what of the standard they are; None for none of it.

    Parameters
    ----------
    tables : dict of str to str or None
        Standard table of each table: ``{firm: enterprise}``.
    columns : dict of str to dict of str to str or None
        Field of each column of each table: ``{firm: {credit_code: enterprise.uscc, note: null}}``.

    Examples
    --------
    >>> StandardChoices(columns={"firm": {"code": "enterprise.uscc"}}).with_column("firm", "note", None).columns
    {'firm': {'code': 'enterprise.uscc', 'note': None}}
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tables: dict[str, str | None] = Field(default_factory=dict)
    columns: dict[str, dict[str, str | None]] = Field(default_factory=dict)

    @field_validator("tables", mode="after")
    @classmethod
    def _known_tables(cls, tables: dict[str, str | None]) -> dict[str, str | None]:
        if unknown := sorted({code for code in tables.values() if code is not None} - load().tables.keys()):
            raise ValueError(f"the data standard has no table {unknown[0]!r}")
        return tables

    @field_validator("columns", mode="after")
    @classmethod
    def _known_fields(cls, columns: dict[str, dict[str, str | None]]) -> dict[str, dict[str, str | None]]:
        for field in (field for chosen in columns.values() for field in chosen.values() if field is not None):
            table, _, code = field.partition(".")
            try:
                load().field(table, code)
            except NotFoundError:
                raise ValueError(f"the data standard has no field {field!r}") from None
        return columns

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content."""
        return fingerprint_json(self.model_dump(mode="json"))

    def with_table(self, table: str, standard_table: str | None) -> "StandardChoices":
        """Return the choices with a table decided on."""
        return type(self)(tables={**self.tables, table: standard_table}, columns=self.columns)

    def with_column(self, table: str, column: str, field: str | None) -> "StandardChoices":
        """Return the choices with a column decided on."""
        return self.with_columns(table, {**self.columns.get(table, {}), column: field})

    def with_columns(self, table: str, fields: Mapping[str, str | None]) -> "StandardChoices":
        """Return the choices with these for the columns of a table, and no others for it."""
        columns = {**self.columns, table: dict(fields)}
        return type(self)(tables=self.tables, columns={name: chosen for name, chosen in columns.items() if chosen})

    def without_table(self, table: str) -> "StandardChoices":
        """Return the choices with nothing decided about a table and its columns."""
        return type(self)(
            tables={name: code for name, code in self.tables.items() if name != table},
            columns={name: chosen for name, chosen in self.columns.items() if name != table},
        )
