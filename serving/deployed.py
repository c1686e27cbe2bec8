"""The champions in memory: followed in the registry, kept in a local cache, switched whole or not at all."""

import logging
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from core.errors import NotFoundError, UnavailableError, WorkbenchError
from core.i18n import msg
from model_registry.manifest import copy_sealed, open_manifest
from model_registry.registry import Registry
from model_registry.scorer import Scorer
from model_registry.versions import CHAMPION, Deployment
from serving.local_files import read_json, write_whole

__all__ = ["DeployedModel", "DeployedModels"]

_LOG = logging.getLogger(__name__)
_RETRY_BAD_BUNDLE_SECONDS = 30.0
_KEEP_UNUSED_SECONDS = 86_400.0


@dataclass(frozen=True)
class Slot:
    """What a slot holds, as far as the service needs it without the database."""

    project: str
    slot: str
    number: int
    bundle_hash: str
    since: str
    expires_at: str | None
    share: float = 0.0

    def is_expired(self, now: datetime) -> bool:
        """Whether the approval has an end and `now` is not before it."""
        return self.expires_at is not None and now >= datetime.fromisoformat(self.expires_at)


@dataclass(frozen=True)
class DeployedModel:
    """A slot and the scorer of exactly its bundle. A request takes one and answers wholly from it."""

    slot: Slot
    scorer: Scorer


class DeployedModels:
    """Follows one slot of every project in the registry, the champion's where no other is named.

    `refresh` is called again and again by one thread; `get` by any. A switch replaces one reference, so a request sees
    the old model or the new one. A bundle that cannot be loaded leaves the last good one in place; a database that
    cannot be reached leaves everything in place.

    Parameters
    ----------
    registry : Registry
        Where deployments are.
    cache : Path
        Folder of local copies of bundles, and of the last known slots.
    slot : str, default="champion"
        Which slot of every project.
    """

    def __init__(self, registry: Registry, cache: Path, *, slot: str = CHAMPION) -> None:
        self._registry = registry
        self._cache = cache
        self._slot = slot
        self._models: Mapping[str, DeployedModel] = {}
        self._problems: dict[str, str] = {}
        self._retry_at: dict[str, float] = {}
        self._last_contact: float | None = None
        self._lock = threading.Lock()

    def get(self, project: str) -> DeployedModel:
        """Return the model of `project`.

        Raises
        ------
        NotFoundError
            If nothing is deployed for it.
        UnavailableError
            If something is deployed and could not be loaded, ever.
        """
        model = self._models.get(project)
        if model is not None:
            return model
        if project in self._problems:
            raise UnavailableError(msg("The deployed model cannot be loaded now"), code="model_unavailable")
        raise NotFoundError(msg("No model is deployed for this project"), where="project", code="no_model")

    def find(self, project: str) -> DeployedModel | None:
        """Return the model of `project`, or None where none is loaded."""
        return self._models.get(project)

    def holds(self, project: str) -> bool:
        """Whether a model of `project` is loaded."""
        return project in self._models

    def all(self) -> list[DeployedModel]:
        """Return every model, by project."""
        return [model for _, model in sorted(self._models.items())]

    @property
    def problems(self) -> dict[str, str]:
        """Projects whose newest deployment could not be loaded, and the error's code."""
        return dict(self._problems)

    def seconds_since_contact(self) -> float | None:
        """Return how long ago the registry last answered; None before the first time."""
        return None if self._last_contact is None else time.monotonic() - self._last_contact

    def refresh(self) -> bool:
        """Ask the registry once and switch to what it says; return whether it answered."""
        with self._lock:
            try:
                slots = self._read_slots()
            except (UnavailableError, sa.exc.SQLAlchemyError) as error:
                _LOG.warning("the registry does not answer: %s", type(error).__name__)
                if self._last_contact is None and not self._models:
                    self._follow(self._remembered(), remember=False)
                return False
            self._last_contact = time.monotonic()
            self._follow(slots, remember=True)
            return True

    def _read_slots(self) -> list[Slot]:
        found = [entry for entry in self._registry.deployments() if entry.slot == self._slot]
        return [self._slot_of(entry) for entry in found]

    def _slot_of(self, entry: Deployment) -> Slot:
        number, bundle_hash = entry.number or 0, entry.bundle_hash or ""
        expires_at = self._registry.version(entry.project, number).expires_at
        return Slot(
            project=entry.project,
            slot=entry.slot,
            number=number,
            bundle_hash=bundle_hash,
            since=entry.at.isoformat(),
            expires_at=expires_at.isoformat() if expires_at else None,
            share=entry.share,
        )

    def _follow(self, slots: list[Slot], *, remember: bool) -> None:
        models = {slot.project: model for slot in slots if (model := self._model_for(slot)) is not None}
        for project in self._problems.keys() - {slot.project for slot in slots}:
            del self._problems[project]
        is_changed = {name: model.slot for name, model in models.items()} != {
            name: model.slot for name, model in self._models.items()
        }
        self._models = models
        if is_changed and remember:
            # What serves now is remembered, not what was asked for: a restart must find what is known to be good.
            self._remember([model.slot for model in models.values()])
            self._remove_unused({model.slot.bundle_hash for model in models.values()})

    def _model_for(self, slot: Slot) -> DeployedModel | None:
        """Return the model that shall answer for a slot: the one it names, else the last good one."""
        current = self._models.get(slot.project)
        if current is not None and current.slot.bundle_hash == slot.bundle_hash and current.slot.number == slot.number:
            self._problems.pop(slot.project, None)
            return current if current.slot == slot else replace(current, slot=slot)
        if time.monotonic() < self._retry_at.get(slot.bundle_hash, 0.0):
            return current
        try:
            loaded = self._load(slot)
        except (WorkbenchError, OSError, ValueError, KeyError, TypeError) as error:
            # Whatever is wrong with the new files, the model that serves now goes on serving.
            _LOG.error(
                "%s v%s cannot be loaded; the last good model goes on", slot.project, slot.number, exc_info=error
            )
            self._problems[slot.project] = getattr(error, "code", "bundle_refused")
            self._retry_at[slot.bundle_hash] = time.monotonic() + _RETRY_BAD_BUNDLE_SECONDS
            return current
        _LOG.info("%s v%s serves from now on", slot.project, slot.number)
        self._problems.pop(slot.project, None)
        self._retry_at.pop(slot.bundle_hash, None)
        return loaded

    def _load(self, slot: Slot) -> DeployedModel:
        folder = self._cache / slot.bundle_hash
        if not _holds(folder, slot.bundle_hash):
            copy_sealed(self._registry.folder_of(slot.bundle_hash), folder)
        scorer = Scorer.load(folder, version=slot.number)
        if scorer.bundle_hash != slot.bundle_hash:
            raise UnavailableError(msg("The stored bundle is not the one that was deployed"), code="bundle_changed")
        scorer.warm_up()
        return DeployedModel(slot, scorer)

    def _remember(self, slots: list[Slot]) -> None:
        self._cache.mkdir(parents=True, exist_ok=True)
        write_whole(self._cache / "slots.json", [asdict(slot) for slot in slots])

    def _remembered(self) -> list[Slot]:
        return [Slot(**content) for content in read_json(self._cache / "slots.json") or ()]

    def _remove_unused(self, used: set[str]) -> None:
        for folder in self._cache.iterdir():
            is_old = time.time() - folder.stat().st_mtime > _KEEP_UNUSED_SECONDS
            if folder.is_dir() and folder.name not in used and is_old:
                shutil.rmtree(folder, ignore_errors=True)


def _holds(folder: Path, bundle_hash: str) -> bool:
    try:
        return open_manifest(folder).hash == bundle_hash
    except WorkbenchError:
        return False
