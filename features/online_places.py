"""Where an installation publishes its online snapshots: files beside the tables, or PostgreSQL."""

from pathlib import Path

from core.errors import ConfigurationError
from core.i18n import msg
from core.settings import Settings
from features.online import SnapshotPlace
from features.online_file import FilePlace
from features.plan import FeaturePlan
from features.reference import reference_fingerprint

__all__ = ["enterprise_place", "enterprise_projects", "reference_path", "snapshot_place"]

_POSTGRESQL = "postgresql"
_ENTERPRISES = ".enterprises"  # no name of a project has a dot


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
    return _place(settings, project)


def enterprise_place(settings: Settings, project: str) -> SnapshotPlace:
    """Return where the view of a project's enterprises is published; the same store as `snapshot_place`."""
    return _place(settings, project + _ENTERPRISES)


def enterprise_projects(settings: Settings) -> list[str]:
    """Return the projects whose view of enterprises is published.

    Raises
    ------
    ConfigurationError, UnavailableError
        As `snapshot_place`; the database cannot be reached.
    """
    place = enterprise_place(settings, "")
    if isinstance(place, FilePlace):
        folder = place.path.parent
        names = [path.name.removesuffix(".db") for path in folder.glob(f"[!.]*{_ENTERPRISES}.db")]
    else:
        from features.online_postgresql import PostgreSQLPlace

        names = PostgreSQLPlace(_store(settings), "").projects()
    return sorted(name.removesuffix(_ENTERPRISES) for name in names if name.endswith(_ENTERPRISES))


def _store(settings: Settings) -> str:
    if settings.snapshot_store is not None:
        return settings.snapshot_store
    return settings.database_url_resolved if settings.database_url_resolved.startswith(_POSTGRESQL) else "file"


def _place(settings: Settings, name: str) -> SnapshotPlace:
    store = _store(settings)

    if store == "file":
        return FilePlace(settings.artifacts / "online" / f"{name}.db")
    if not store.startswith(("postgres://", f"{_POSTGRESQL}://", f"{_POSTGRESQL}+")):
        raise ConfigurationError(
            msg("the place of the online snapshot is neither file nor the address of a PostgreSQL database"),
            where="WORKBENCH_SNAPSHOT_STORE",
        )
    from features.online_postgresql import PostgreSQLPlace

    return PostgreSQLPlace(store, name)
