"""What reading credit reports brought to light, counted over all reports and told once."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from core.findings import Finding, Severity
from core.i18n import Message, MessageLike, msg

__all__ = ["Notes"]

_N_SHOWN: Final = 5
_MAX_SHOWN: Final = 40

_KINDS: Final[dict[str, tuple[Severity, Message, MessageLike]]] = {  # what is said, with the number and the first few
    "report_code_unknown": (
        Severity.WATCH,
        msg("{n} values are not in the code table of the element: {shown}"),
        msg("The values are kept. Ask whether the code table has grown."),
    ),
    "report_count_differs": (
        Severity.BAD,
        msg("{n} blocks say another number of items than they have: {shown}"),
        msg("Part of the report is missing: get it again."),
    ),
    "report_differs": (
        Severity.BAD,
        msg("{n} reports are here already with other content: {shown}"),
        msg("What is here stays. One number is one report: find out which is right."),
    ),
    "report_element_unknown": (
        Severity.WATCH,
        msg("{n} elements or segments are not in the catalogue: {shown}"),
        msg("Their values are kept in the table cr_element. The format may have a newer version."),
    ),
    "report_encoding_differs": (
        Severity.WATCH,
        msg("{n} files are written in another encoding than they say: {shown}"),
        msg("They were read as their bytes are. Have the program that writes them corrected."),
    ),
    "report_known": (
        Severity.INFO,
        msg("{n} reports are here already and were not added again: {shown}"),
        "",
    ),
    "report_of_person": (
        Severity.BAD,
        msg("{n} reports are on persons and were left out: {shown}"),
        msg("Only reports on enterprises are read from XML so far."),
    ),
    "report_section_missing": (
        Severity.BAD,
        msg("{n} reports lack this segment and are known in part only: {shown}"),
        msg("Get them again; what they have was taken."),
    ),
    "report_subject_unknown": (
        Severity.BAD,
        msg("{n} reports are on enterprises that no table knows: {shown}"),
        msg("They stand under the credit code. Import the table of enterprises with number and credit code."),
    ),
    "report_twice": (
        Severity.INFO,
        msg("{n} reports came more than once, word for word, and were taken once: {shown}"),
        msg("Nothing needs to be done."),
    ),
    "report_value_unreadable": (
        Severity.BAD,
        msg("{n} values are no number or no date and were read as missing: {shown}"),
        msg("Look into the report, and have its sender corrected."),
    ),
}


@dataclass
class _Seen:
    n: int = 0
    shown: list[str] = field(default_factory=list)


class Notes:
    """Collects observations by code and element."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], _Seen] = {}

    def add(self, code: str, shown: str, where: str = "") -> None:
        """Note one case of `code` at the element `where`; the first few different ones are shown."""
        seen = self._seen.setdefault((code, where), _Seen())
        seen.n += 1
        if len(seen.shown) < _N_SHOWN and shown[:_MAX_SHOWN] not in seen.shown:
            seen.shown.append(shown[:_MAX_SHOWN])

    def findings(self) -> Iterator[Finding]:
        """Yield one finding per code and element."""
        for (code, where), seen in sorted(self._seen.items()):
            severity, message, fix = _KINDS[code]
            values = {"n": seen.n, "shown": ", ".join(seen.shown)}
            yield Finding(code, severity, Message(message.template, values), where, fix)
