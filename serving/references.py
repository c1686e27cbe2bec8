"""Newer reference data than a bundle holds: taken by the loaded models as it is published, without another model."""

import logging
from collections.abc import Iterable
from weakref import WeakKeyDictionary

from core.errors import WorkbenchError
from core.settings import Settings
from features.online_places import reference_path
from features.reference import ReferenceSnapshot
from model_registry.scorer import Scorer
from serving.deployed import DeployedModel

__all__ = ["References"]

_LOG = logging.getLogger(__name__)


class References:
    """Watches the files in which reference data is published. Used by one thread.

    Parameters
    ----------
    settings : Settings
        Where they are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: WeakKeyDictionary[Scorer, tuple[int, int]] = WeakKeyDictionary()

    def refresh(self, models: Iterable[DeployedModel]) -> None:
        """Let each model take what has been published for it since; what cannot be read leaves it as it is."""
        for model in models:
            if model.scorer.plan.needs_reference:
                self._refresh(model)

    def _refresh(self, model: DeployedModel) -> None:
        scorer = model.scorer
        path = reference_path(self._settings, model.slot.project, scorer.plan)
        try:
            found = path.stat()
        except OSError:
            return  # none is published: the bundle's own serves
        mark = found.st_ino, found.st_mtime_ns
        if self._seen.get(scorer) == mark:
            return
        self._seen[scorer] = mark
        try:
            if scorer.refresh(ReferenceSnapshot.load(path, scorer.plan)):
                _LOG.info("%s takes reference data of %s", model.slot.project, scorer.reference_date)
        except (WorkbenchError, OSError) as error:
            _LOG.error("the reference data of %s cannot be used: %s", model.slot.project, error)
