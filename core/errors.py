"""The one tree of errors: each says what was expected, what came, where, and what to do."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from core.i18n import MessageLike, render
from core.places import place_text

if TYPE_CHECKING:
    from core.findings import Finding

__all__ = [
    "AuthenticationError",
    "CancelledError",
    "ConfigurationError",
    "ConflictError",
    "InputError",
    "IntegrityError",
    "NotFoundError",
    "PermissionDeniedError",
    "UnavailableError",
    "WorkbenchError",
]


class WorkbenchError(Exception):
    """Base of every error the product raises on purpose.

    Parameters
    ----------
    message : Message or str
        What was expected and what came, as one sentence.
    where : str, default=""
        File, table, row, column or field, as far as known: ``"loans.csv, row 17, column amount"``.
    fix : Message or str, default=""
        What the reader can do about it.
    code : str, optional
        Stable snake_case code for machines; the class's own code where left out.
    findings : sequence of Finding, default=()
        The single points behind a summary error.
    """

    default_code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500

    def __init__(
        self,
        message: MessageLike,
        *,
        where: str = "",
        fix: MessageLike = "",
        code: str | None = None,
        findings: "Sequence[Finding]" = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.fix = fix
        self.code = code or self.default_code
        self.findings = tuple(findings)

    def text(self, language: str = "en") -> str:
        """Return the whole error as one paragraph in `language`."""
        sentence = str(render(self.message, language))
        parts = [f"{place_text(self.where, language)}: {sentence}" if self.where else sentence]
        if self.fix:
            parts.append(str(render(self.fix, language)))
        return " ".join(
            part if part.endswith((".", "。")) else part + ("。" if language == "zh" else ".") for part in parts
        )

    def to_json(self, language: str = "en") -> dict[str, Any]:
        """Return code, message, place and remedy as JSON values."""
        return {
            "code": self.code,
            "message": str(render(self.message, language)),
            "where": self.where,
            "fix": str(render(self.fix, language)),
        }

    def __str__(self) -> str:
        return self.text("en")


class InputError(WorkbenchError):
    """Data given from outside (file, table, payload, argument) is not what it must be."""

    default_code = "invalid_input"
    http_status = 422


class ConfigurationError(WorkbenchError):
    """A setting, a data model or a specification contradicts itself or the data."""

    default_code = "invalid_configuration"
    http_status = 422


class NotFoundError(WorkbenchError):
    """Something named does not exist."""

    default_code = "not_found"
    http_status = 404


class ConflictError(WorkbenchError):
    """The state of things does not allow the step, or somebody else was first."""

    default_code = "conflict"
    http_status = 409


class AuthenticationError(WorkbenchError):
    """Nobody we know is asking."""

    default_code = "not_authenticated"
    http_status = 401


class PermissionDeniedError(WorkbenchError):
    """We know who is asking, and they may not."""

    default_code = "permission_denied"
    http_status = 403


class IntegrityError(WorkbenchError):
    """Stored bytes are not the ones that were signed for."""

    default_code = "integrity"


class UnavailableError(WorkbenchError):
    """A part that is needed cannot be reached now; trying again later may work."""

    default_code = "unavailable"
    http_status = 503


class CancelledError(WorkbenchError):
    """A person asked the running work to stop."""

    default_code = "cancelled"
    http_status = 409
