"""What is asked of an enterprise, read strictly from the address; nothing of it is ever repeated in an answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from core.errors import InputError
from core.i18n import Message, msg
from model_registry.payload import case_key, read_time
from model_registry.scorer import present
from serving.answer_form import WarningForm

__all__ = ["DEFAULT_LIMIT", "ENTERPRISE_SCHEMAS", "MAX_LIMIT", "PARAMETERS", "ViewRequest", "read_view_request"]

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
_PARAMETERS: Final = ("project", "as_of", "tables", "limit", "after")
_MAX_TABLES: Final = 200
_NUMBER: Final = re.compile(r"[0-9]{1,6}")
_CURSOR: Final = re.compile(r"([0-9]{1,9})\.([0-9a-f]{16})")


@dataclass(frozen=True)
class ViewRequest:
    """What is asked.

    Parameters
    ----------
    id : str
        Key of the enterprise.
    project : str or None
        Whose data; None where there is only one.
    moment : datetime64
        Strictly before which it was known, in the data's own clock.
    tables : sequence of str or None
        Only these; None for all.
    limit : int
        Most rows of a table.
    start : int
        Rows of the one table that came before.
    mark : str or None
        What the cursor says it goes on with.
    """

    id: str
    project: str | None
    moment: np.datetime64
    tables: Sequence[str] | None
    limit: int
    start: int
    mark: str | None


def read_view_request(request: Request, identifier: str) -> ViewRequest:
    """Return what a request asks for.

    Raises
    ------
    InputError
        A parameter is unknown, comes twice, or is not as it must be.
    """
    given = request.query_params
    for name in given:
        if name not in _PARAMETERS:
            raise _refused("query", "unknown_field", msg("Known parameters are {names}", names=", ".join(_PARAMETERS)))
        if len(given.getlist(name)) > 1:
            raise _refused(name, "duplicate_key", msg("A parameter may be given once"))
    tables = _tables(given.get("tables"))
    start, mark = _cursor(given.get("after"), tables)
    return ViewRequest(
        id=case_key(identifier, where="id"),
        project=given.get("project"),
        moment=present() if given.get("as_of") is None else read_time(given["as_of"]),
        tables=tables,
        limit=_limit(given.get("limit")),
        start=start,
        mark=mark,
    )


def _tables(text: str | None) -> list[str] | None:
    if text is None:
        return None
    names = text.split(",")
    if not all(names) or len(names) > _MAX_TABLES or len(set(names)) < len(names):
        raise _refused("tables", "wrong_type", msg("Expected different names of tables, separated by commas"))
    return names


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise _refused("limit", "wrong_type", msg("Expected a whole number from 1 to {n}", n=MAX_LIMIT))
    return int(text)


def _cursor(text: str | None, tables: list[str] | None) -> tuple[int, str | None]:
    if text is None:
        return 0, None
    found = _CURSOR.fullmatch(text)
    if found is None or tables is None or len(tables) != 1:
        raise _refused(
            "after", "bad_cursor", msg("Give what `next` held of one table, and that table alone in `tables`")
        )
    return int(found[1]), found[2]


def _refused(where: str, code: str, message: Message) -> InputError:
    return InputError(message, where=where, code=code)


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class TableRowsForm(_Form):
    """Rows of one table, the newest first."""

    rows: list[dict[str, Any]]
    n_rows: Annotated[int, Field(description=str(msg("Rows that were known, on this page or not.")))]
    next: Annotated[str | None, Field(description=str(msg("Send it as `after` for more rows; null at the end.")))]


class EnterpriseForm(_Form):
    """What was known of an enterprise."""

    project: str
    id: str
    as_of: Annotated[str, Field(description=str(msg("Everything here was known strictly before.")))]
    data_as_of: Annotated[str, Field(description=str(msg("Up to where the data reaches.")))]
    published_at: str
    enterprise: Annotated[dict[str, Any], Field(description=str(msg("The enterprise's own row.")))]
    tables: dict[str, TableRowsForm]
    masked: Annotated[
        dict[str, list[str]], Field(description=str(msg("Columns per table whose values are masked or left out.")))
    ]
    warnings: list[WarningForm]


class EnterpriseColumnForm(_Form):
    """A column of the view."""

    label: dict[str, str]
    type: str
    unit: str | None
    is_personal: bool
    known_at: Annotated[str | None, Field(description=str(msg("Column since when it is known, if not with its row.")))]


class EnterpriseTableForm(_Form):
    """A table of the view."""

    label: dict[str, str]
    n_rows: int
    event_time: str | None
    known_at: str | None
    known_at_lag_days: float
    columns: dict[str, EnterpriseColumnForm]


class EnterprisesForm(_Form):
    """What can be asked of the enterprises of a project."""

    project: str
    enterprise_table: str
    key: str
    data_as_of: str
    published_at: str
    tables: dict[str, EnterpriseTableForm]


ENTERPRISE_SCHEMAS: dict[str, Any] = models_json_schema(
    [(form, "validation") for form in (EnterpriseForm, EnterprisesForm)], ref_template="#/components/schemas/{model}"
)[1]["$defs"]
"""JSON schemas of the forms by name, for the components of the OpenAPI description."""


def _parameter(name: str, schema: dict[str, Any], description: Message) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": str(description)}


PARAMETERS: list[dict[str, Any]] = [
    _parameter(
        "as_of", {"type": "string"}, msg("Moment in the data's own clock, such as 2024-05-31T12:00:00; now by default.")
    ),
    _parameter("project", {"type": "string"}, msg("Whose data; may be left out where there is only one.")),
    _parameter("tables", {"type": "string"}, msg("Names of tables, separated by commas; all by default.")),
    _parameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        msg("Most rows of each table."),
    ),
    _parameter("after", {"type": "string"}, msg("What `next` held of the one table that is asked for.")),
]
"""The parameters of the address, as the OpenAPI description tells them."""
