"""Which version answers: the champion, or the live challenger for the enterprises of its share."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from core.errors import WorkbenchError
from model_registry.payload import Rows, case_key
from model_registry.scorer import Scorer
from serving.deployed import DeployedModel, DeployedModels
from serving.lookups import Gathered
from serving.request_form import ScoreRequest

__all__ = ["Split", "entity_of", "place_of"]


def place_of(project: str, entity: str) -> float:
    """Return where an enterprise stands between 0 and 1 among all of a project: always the same, evenly spread.

    A share takes those below it, so a share that grows keeps whom it had.

    Examples
    --------
    >>> round(place_of("sample", "E000042"), 6), round(place_of("sample", "E000043"), 6)
    (0.342584, 0.727266)
    """
    digest = hashlib.blake2b(f"{project}\0{entity}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def entity_of(scorer: Scorer, request: ScoreRequest, gathered: Gathered | None = None) -> str | None:
    """Return whom a request is about: the enterprise, or the case where the model knows of no enterprise beside it.

    None where the request does not say, as ready features without `ScoreRequest.entity` do not.

    Parameters
    ----------
    scorer : Scorer
        The champion's.
    request : ScoreRequest
        Its rows not checked yet.
    gathered : Gathered, optional
        Its rows, where it was asked for by id.
    """
    if request.entity is not None:
        return str(request.entity)
    schema, column = scorer.payload, scorer.entity_column
    if request.features is not None:
        return _name(request.key) if column == schema.key_column else None
    tables: Mapping[str, Rows] = {schema.root_table: [request.row]} if request.row is not None else request.tables or {}
    key: Any = request.key
    if request.id is not None:
        key, tables = request.id, gathered.tables if gathered is not None else {}
    rows = tables.get(schema.root_table, ())
    if key is None and len(rows) == 1:
        return _name(rows[0].get(column))
    row = next((row for row in rows if str(row.get(schema.key_column)) == str(key)), None)
    return _name(row.get(column)) if row is not None else None


class Split:
    """The live challengers, and who is theirs.

    Parameters
    ----------
    rivals : DeployedModels
        Follows the live challengers' slot.
    """

    def __init__(self, rivals: DeployedModels) -> None:
        self._rivals = rivals

    def rival(self, project: str) -> DeployedModel | None:
        """Return the live challenger of a project, or None where there is none that may answer."""
        rival = self._rivals.find(project)
        return None if rival is None or rival.slot.is_expired(datetime.now(UTC)) else rival

    def side(self, champion: DeployedModel, request: ScoreRequest) -> DeployedModel:
        """Return who answers a request that draws on no snapshot: its project's champion, or the live challenger."""
        rival = self.rival(request.project)
        return champion if rival is None or not self.is_rivals(rival, champion, request) else rival

    @staticmethod
    def is_rivals(
        rival: DeployedModel, champion: DeployedModel, request: ScoreRequest, gathered: Gathered | None = None
    ) -> bool:
        """Whether the rival's share holds whom the request is about; the champion's are all who are not known."""
        if rival.slot.bundle_hash == champion.slot.bundle_hash:
            return False
        entity = entity_of(champion.scorer, request, gathered)
        return entity is not None and place_of(request.project, entity) < rival.slot.share


def _name(value: Any) -> str | None:
    if not isinstance(value, str | int):
        return None
    try:
        return case_key(value)
    except WorkbenchError:
        # The champion tells what is wrong with it.
        return None
