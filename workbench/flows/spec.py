"""One project's specification: data model, labels, feature and training settings, kept as YAML."""

from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from automl.label import LabelSpec
from automl.spec import TrainSpec
from core.errors import ConfigurationError, NotFoundError
from core.fingerprints import fingerprint_json
from core.i18n import msg
from features.spec import FeatureSpec
from warehouse.data_model import DataModel

__all__ = ["ProjectSpec"]


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
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    title: dict[str, str] = Field(default_factory=dict)
    data: DataModel = Field(default_factory=lambda: DataModel(tables={}, relationships=[]))
    labels: list[LabelSpec] = Field(default_factory=list)
    features: FeatureSpec = Field(default_factory=FeatureSpec)
    training: TrainSpec = Field(default_factory=TrainSpec)

    @classmethod
    def from_yaml(cls, text: str, *, where: str = "project.yaml") -> Self:
        """Read a specification; every fault is named with its place.

        Raises
        ------
        ConfigurationError
            If the text is not YAML or does not describe a project.
        """
        try:
            return cls.model_validate(yaml.safe_load(text) or {})
        except yaml.YAMLError as error:
            raise ConfigurationError(
                msg("this is not readable YAML: {reason}", reason=str(error)), where=where
            ) from error
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise ConfigurationError(
                msg("the specification does not fit at {place}: {reason}", place=place or "-", reason=first["msg"]),
                where=where,
            ) from error

    def to_yaml(self) -> str:
        """Return the specification as YAML that `from_yaml` reads back; defaults are left out."""
        data = {"name": self.name} | self.model_dump(mode="json", exclude_defaults=True)
        return yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=120)

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
        """SHA-256 of the whole specification."""
        return fingerprint_json(self.model_dump(mode="json"))
