"""One project's specification: data model, labels, feature and training settings, kept as YAML."""

from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field

from automl.economics.spec import EconomicsSpec
from automl.label import LabelSpec
from automl.reason_codes import ReasonSpec
from automl.rolls import RollSpec
from automl.spec import TrainSpec
from core.errors import NotFoundError
from core.fingerprints import fingerprint_json
from core.i18n import msg
from features.spec import FeatureSpec
from warehouse.data_model import DataModel
from warehouse.sql_source import DatabaseSource
from warehouse.standard.choices import StandardChoices
from warehouse.yaml_text import parse_yaml, read_yaml

__all__ = ["ApprovalSpec", "EnterprisesSpec", "ProjectSpec"]


class EnterprisesSpec(BaseModel):
    """What business systems may read of enterprises, once that is published.

    Parameters
    ----------
    table : str or None
        Table of the enterprises; left out, the one that the data standard knows as such.
    hide : dict of str to list of str
        Columns per table that nobody may read; an empty list hides the whole table. Columns that are a label's outcome
        are hidden in any case.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str | None = None
    hide: dict[str, list[str]] = Field(default_factory=dict)


class ApprovalSpec(BaseModel):
    """What a second person must have signed before it is used; a model's own approval is always asked for.

    Parameters
    ----------
    data_model : bool, default=False
        Whether a model is trained, and answers, only where the data model that its features were made under is signed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_model: bool = False


class ProjectSpec(BaseModel):
    """What a project is, apart from its data and its results.

    Parameters
    ----------
    name : str
        Lower-case letters, digits, ``-`` and ``_``; the project's identity.
    title : dict of language to str
        What people read: ``{"en": "Small-business application score", "zh": "小微担保申请评分"}``.
    data : DataModel
        May be partial: what it says overrides inference column by column.
    labels : list of LabelSpec
        The first is the default.
    features : FeatureSpec
        Windows, primitives, limits.
    training : TrainSpec
        Budget, families, folds, seed.
    database : DatabaseSource or None
        Where the tables come from, when not from files; the address only, never the password.
    segments : list of str
        Columns (``table.column``, of the root table or a parent of it) that figures are split by. Left out: those of
        few levels.
    economics : EconomicsSpec, optional
        Where contracts, subrogations and recoveries stand, and what is set by hand.
    enterprises : EnterprisesSpec
        What business systems may read of enterprises.
    reasons : ReasonSpec
        What is changed of the curated reason codes; frozen in each version that is trained from then on.
    rolls : RollSpec, optional
        Where instalments and subrogations lie, for roll rates. Left out: guessed from names, types and links.
    standard : StandardChoices
        What a person decided about the match of tables and columns to the data standard.
    approvals : ApprovalSpec
        What a second person must have signed before it is used.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    title: dict[str, str] = Field(default_factory=dict)
    data: DataModel = Field(default_factory=DataModel)
    labels: list[LabelSpec] = Field(default_factory=list)
    features: FeatureSpec = Field(default_factory=FeatureSpec)
    training: TrainSpec = Field(default_factory=TrainSpec)
    database: DatabaseSource | None = None
    segments: list[str] = Field(default_factory=list)
    economics: EconomicsSpec | None = None
    enterprises: EnterprisesSpec = Field(default_factory=EnterprisesSpec)
    reasons: ReasonSpec = Field(default_factory=ReasonSpec)
    rolls: RollSpec | None = None
    standard: StandardChoices = Field(default_factory=StandardChoices)
    approvals: ApprovalSpec = Field(default_factory=ApprovalSpec)

    @classmethod
    def from_yaml(cls, text: str, *, where: str = "project.yaml") -> Self:
        """Read a specification; a `ConfigurationError` names line and field."""
        return parse_yaml(text, cls, where=where)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a specification from a file; a `ConfigurationError` names file, line and field."""
        return read_yaml(Path(path), cls)

    def renamed(self, name: str) -> Self:
        """Return the same specification under another name."""
        return type(self).model_validate(self.model_dump(exclude_unset=True) | {"name": name})

    def to_yaml(self) -> str:
        """Return the specification as YAML that `from_yaml` reads back: the fields that were given."""
        return yaml.safe_dump(self._given(), allow_unicode=True, sort_keys=False, width=120)

    def label(self, name: str | None = None) -> LabelSpec:
        """Return the label called `name`, or the default one.

        Raises
        ------
        NotFoundError
            If there is no such label, or none at all.
        """
        if not self.labels:
            raise NotFoundError(
                msg("the project has no label yet"), fix=msg("Name what is to be predicted, and as of when.")
            )
        if name is None:
            return self.labels[0]
        for label in self.labels:
            if label.name == name:
                return label
        raise NotFoundError(
            msg("no label is called {name}", name=name),
            fix=msg("Choose one of: {names}.", names=", ".join(label.name for label in self.labels)),
        )

    def text_title(self, language: str = "en") -> str:
        """Return the title in `language`, else in English, else the name."""
        return self.title.get(language) or self.title.get("en") or self.name

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the fields that were given."""
        return fingerprint_json(self._given())

    def _given(self) -> dict[str, Any]:
        # What was left out of a partial data model is inferred, so it must stay left out.
        return {"name": self.name} | self.model_dump(mode="json", exclude_unset=True)
