"""Where an installation publishes its online snapshots: files beside the tables, or PostgreSQL."""

from pathlib import Path

from core.errors import ConfigurationError
from core.i18n import msg
from core.settings import Settings
from features.online import SnapshotPlace
from features.online_file import FilePlace
from features.plan import FeaturePlan
from features.reference import reference_fingerprint

__all__ = ["reference_path", "snapshot_place"]

_POSTGRESQL = "postgresql"


def reference_path(settings: Settings, project: str, plan: FeaturePlan) -> Path:
    """Return the file under the artifact root in which newer reference data of `plan` is published."""
    return settings.artifacts / "online" / f"{project}-{reference_fingerprint(plan)[:16]}.reference.json"


def snapshot_place(settings: Settings, project: str) -> SnapshotPlace:
    """Return where the snapshot of `project` is published.

    The setting ``snapshot_store`` decides: ``file`` for one file per project under the artifact root, the address of a
    PostgreSQL database for that; left out, the product's own database where that is PostgreSQL, else files.

    Raises
    ------
    ConfigurationError
        The setting is something else.
    """
    store = settings.snapshot_store
    if store is None:
        store = settings.database_url_resolved if settings.database_url_resolved.startswith(_POSTGRESQL) else "file"
    if store == "file":
        return FilePlace(settings.artifacts / "online" / f"{project}.db")
    if not store.startswith(("postgres://", f"{_POSTGRESQL}://", f"{_POSTGRESQL}+")):
        raise ConfigurationError(
            msg("the place of the online snapshot is neither file nor the address of a PostgreSQL database"),
            where="WORKBENCH_SNAPSHOT_STORE",
        )
    from features.online_postgresql import PostgreSQLPlace

    return PostgreSQLPlace(store, project)
