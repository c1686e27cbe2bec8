"""The loop at a glance: six steps with their state, one true sentence, what needs somebody, and drift over time."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from workbench.flows import projects
from workbench.flows.context import Context
from workbench.flows.results import MessageField

__all__ = ["AttentionItem", "Dot", "DriftPoint", "LoopState", "LoopStep", "attention", "loop"]


class Dot(StrEnum):
    """State of a step: done and fine, wants a look, wants an action, not done yet, or being done."""

    GOOD = "good"
    WATCH = "watch"
    BAD = "bad"
    EMPTY = "empty"
    RUNNING = "running"


@dataclass(frozen=True)
class LoopStep:
    """One step of the slim strip.

    Parameters
    ----------
    step : str
        "data", "features", "training", "review", "deployment" or "monitoring" (workbench.flows.steps.Step).
    title : Message
        The step's name.
    dot : Dot
        Its state; `dot_text` says the same in a word.
    figure : Message
        The key figure: "13 tables", "96 kept", "KS .402", "1 waiting", "v7", "2 drifted"; a dash where not done.
    second : Message
        The second line: the figure's population or interval.
    third : Message
        The third line, or an empty message.
    at : datetime or None
        When, exactly (aware, UTC); for the hover.
    page : str
        The page that belongs to it: "data", "features", "train", "review", "deploy" or "monitor".
    job_id : int or None
        The job that is doing the step now.
    """

    step: str
    title: MessageField
    dot: Dot
    dot_text: MessageField
    figure: MessageField
    second: MessageField
    third: MessageField
    at: datetime | None
    page: str
    job_id: int | None = None


@dataclass(frozen=True)
class AttentionItem:
    """One line of "needs attention"; `kind` is "drift", "review", "data", "job" or "next"; `more` is more evidence."""

    kind: str
    severity: Dot
    kind_text: MessageField
    text: MessageField
    evidence: MessageField
    at: datetime | None
    page: str
    action: MessageField
    more: tuple[MessageField, ...] = ()


@dataclass(frozen=True)
class DriftPoint:
    """One checked period for Home's picture."""

    period: str
    score_psi: float | None
    n_drifted: int
    n_rows: int
    verdict: str


@dataclass(frozen=True)
class LoopState:
    """Everything Home draws."""

    project: str
    title: dict[str, str]
    sentence: MessageField
    steps: tuple[LoopStep, ...]
    attention: tuple[AttentionItem, ...]
    drift: tuple[DriftPoint, ...]
    next_step: str | None

    def step(self, name: str) -> LoopStep:
        """Return one of the six steps by name."""
        return next(step for step in self.steps if step.step == name)


def loop(ctx: Context, project: str) -> LoopState:
    """Return the state of the whole loop; needs ``view``. Cheap: reads rows, no tables, no models."""
    from workbench.flows import loop_state

    found = projects.get(ctx, project)
    facts = loop_state.gather(ctx, project)
    steps = loop_state.steps(facts)
    return LoopState(
        project=project,
        title=found.title,
        sentence=loop_state.sentence(facts),
        steps=steps,
        attention=loop_state.attention(facts, steps),
        drift=loop_state.drift_points(facts),
        next_step=loop_state.next_step(steps),
    )


def attention(ctx: Context, project: str) -> tuple[AttentionItem, ...]:
    """Return what needs somebody, the gravest first; its last line is the next step where nothing else is open."""
    return loop(ctx, project).attention
