"""One score as a person reads it: probability, points, grade, reasons, warnings, and what made it."""

from html import escape
from typing import TYPE_CHECKING

from core.i18n import formats
from workbench.ui.pieces import chip, draw, figures, table
from workbench.ui.texts import html, t

if TYPE_CHECKING:
    from model_registry.scorer import ScoreAnswer

__all__ = ["answer_view"]


def answer_view(answer: "ScoreAnswer") -> None:
    """Draw a score's answer."""
    figures(
        [
            (t("Probability of default"), formats.percent(answer.probability, 2), t("in the performance window")),
            (t("Score"), formats.count(round(answer.score)), t("points, higher is safer")),
            (t("Grade"), answer.grade, ""),
        ]
    )
    table(
        (t("Reason"), t("Effect on log-odds")),
        [
            (
                f"{_direction(reason.contribution)} {escape(reason.statement)} "
                f'<span class="caption">{escape(reason.code)}</span><div class="caption">{escape(reason.text)}</div>',
                _signed(reason.contribution),
            )
            for reason in answer.reasons
        ],
        numbers=(1,),
    )
    if answer.warnings:
        table((t("Warnings"),), [(html(warning.text),) for warning in answer.warnings])
    draw(f'<div class="caption mono">bundle {escape(answer.bundle_hash[:16])}</div>')


def _direction(contribution: float) -> str:
    return chip(t("raises"), "bad") if contribution > 0 else chip(t("lowers"), "good")


def _signed(contribution: float) -> str:
    return f"{contribution:+.2f}".replace("-", "\u2212")
