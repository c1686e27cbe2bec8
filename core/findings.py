"""The common currency of every check: a coded observation with a severity, a place and a remedy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.i18n import Message, MessageLike, render
from core.places import place_text

__all__ = ["Finding", "NotApplicable", "Severity", "by_kind", "worst_severity"]

_MOST_SHOWN, _SHOWN_OF_MANY = 4, 2


class Severity(StrEnum):
    """How much a finding matters: `INFO` to know, `WATCH` to look at, `BAD` to act on before going further."""

    INFO = "info"
    WATCH = "watch"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One observation of a check.

    Parameters
    ----------
    code : str
        Stable snake_case code, the same in every language and version.
    severity : Severity
        How much it matters.
    message : Message or str
        What was seen, with its figures.
    where : str, default=""
        Table, column, feature or model it was seen in.
    fix : Message or str, default=""
        What to do about it.
    """

    code: str
    severity: Severity
    message: MessageLike
    where: str = ""
    fix: MessageLike = ""

    def text(self, language: str = "en") -> str:
        """Return the observation as a sentence in `language`, the place first."""
        sentence = str(render(self.message, language))
        return f"{place_text(self.where, language)}: {sentence}" if self.where else sentence

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON values; `from_json` reads it back."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "message": _message_to_json(self.message),
            "where": self.where,
            "fix": _message_to_json(self.fix),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Finding":
        """Read what `to_json` wrote."""
        return cls(
            code=data["code"],
            severity=Severity(data["severity"]),
            message=_message_from_json(data["message"]),
            where=data.get("where", ""),
            fix=_message_from_json(data.get("fix", "")),
        )


@dataclass(frozen=True)
class NotApplicable:
    """The answer of a check or a metric that has no meaning here, with the reason a person can read."""

    reason: MessageLike

    def text(self, language: str = "en") -> str:
        """Return the reason in `language`."""
        return str(render(self.reason, language))


def by_kind(findings: Iterable[Finding]) -> list[tuple[list[Finding], list[Finding]]]:
    """Return findings by severity and code, the gravest first: of each kind those to show, and those to fold away.

    Of up to four all are shown, of more the first two.
    """
    order = list(Severity)
    kinds: dict[tuple[Severity, str], list[Finding]] = {}
    for item in sorted(findings, key=lambda item: -order.index(item.severity)):
        kinds.setdefault((item.severity, item.code), []).append(item)
    shown = {kind: len(found) if len(found) <= _MOST_SHOWN else _SHOWN_OF_MANY for kind, found in kinds.items()}
    return [(found[: shown[kind]], found[shown[kind] :]) for kind, found in kinds.items()]


def worst_severity(findings: "tuple[Finding, ...] | list[Finding]") -> Severity | None:
    """Return the gravest severity among `findings`, or None where there are none."""
    order = list(Severity)
    return max((finding.severity for finding in findings), key=order.index, default=None)


def _message_to_json(message: MessageLike) -> Any:
    return message.to_json() if isinstance(message, Message) else message


def _message_from_json(data: Any) -> MessageLike:
    return Message.from_json(data) if isinstance(data, Mapping) else str(data)
