"""Telling somebody that scheduled work has failed: the log always, and an address of the house where one is set."""

import json
import logging
import urllib.error
import urllib.request
from typing import Final

from core.settings import Settings
from workbench.jobs.schedules import Run, Schedule

__all__ = ["tell"]

_TIMEOUT_SECONDS: Final = 5.0

log = logging.getLogger(__name__)


def tell(settings: Settings, schedule: Schedule, run: Run) -> bool:
    """Say that a run has failed for good; return whether it arrived.

    The address of ``WORKBENCH_ALERT_URL`` is told by a POST of JSON: ``event``, ``project``, ``schedule``, ``kind``,
    ``due_at``, ``attempts``, ``job`` and ``error`` in the installation's language. Any answer below 300 is arrival.
    """
    error = run.error_text(settings.language)
    log.error("schedule %s of %s has failed: %s", schedule.name, schedule.project, run.error_text("en"))
    if settings.alert_url is None:
        return True
    body = {
        "event": "schedule.failed",
        "project": schedule.project,
        "schedule": schedule.name,
        "kind": schedule.kind,
        "due_at": run.due_at.isoformat(),
        "attempts": run.attempt,
        "job": run.job_id,
        "error": error,
    }
    request = urllib.request.Request(  # noqa: S310 - the settings take http and https only
        settings.alert_url.get_secret_value(),
        json.dumps(body, ensure_ascii=False).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with _OPENER.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            return bool(answer.status < 300)
    except (urllib.error.URLError, OSError, ValueError) as problem:
        log.warning("the alert address does not take the alert: %s", type(problem).__name__)
        return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An alert goes where the settings say, and nowhere else."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect())
