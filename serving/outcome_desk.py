"""Where outcomes are handed in: straight to the database, so that what was confirmed is there for everybody."""

from typing import Any

import sqlalchemy as sa

from core.database import Database
from core.errors import NotFoundError, UnavailableError
from core.i18n import msg
from monitoring.outcomes import Outcome, report_outcomes
from monitoring.score_log import latest_scores
from serving.deployed import DeployedModels
from serving.outcome_form import OutcomesRequest, read_outcome
from serving.problems import problem_content

__all__ = ["OutcomeDesk"]


class OutcomeDesk:
    """Keeps what became of cases. Safe for several threads.

    Parameters
    ----------
    database : Database
        Where outcomes are kept.
    models : DeployedModels
        What is deployed: a project that neither has a model nor ever gave an answer is not known.
    """

    def __init__(self, database: Database, models: DeployedModels) -> None:
        self._database = database
        self._models = models

    def keep(self, report: OutcomesRequest, by: str, language: str) -> dict[str, Any]:
        """Keep the sound outcomes of a report and return the effect of each, or why it was refused.

        Raises
        ------
        NotFoundError
            If the project is not known.
        UnavailableError
            If the database cannot be reached: nothing is kept, and the report can be sent again.
        """
        read = [read_outcome(item) for item in report.outcomes]
        sound = [one for one in read if isinstance(one, Outcome)]
        try:
            self._require_known(report.project)
            effects = iter(report_outcomes(self._database, report.project, sound, by=by, report_id=report.report_id))
        except sa.exc.SQLAlchemyError as error:
            raise UnavailableError(msg("The outcomes cannot be kept now; send them again")) from error
        results = [
            {"row": row, "effect": next(effects)}
            if isinstance(one, Outcome)
            else {"row": row, "error": problem_content(one, language)["error"]}
            for row, one in enumerate(read, start=1)
        ]
        return {
            "project": report.project,
            "kept": len(sound),
            "refused": len(read) - len(sound),
            "results": results,
        }

    def _require_known(self, project: str) -> None:
        if any(model.slot.project == project for model in self._models.all()):
            return
        if not latest_scores(self._database, project, limit=1):
            raise NotFoundError(msg("No answer was ever given for this project"), where="project", code="no_model")
