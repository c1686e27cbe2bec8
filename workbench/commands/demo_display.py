"""How the demo is shown: its stages while it runs, and the table at the end."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from core.i18n import Message, msg
from core.i18n.formats import count, interval, metric, percent, when
from core.progress import CallbackProgress
from workbench.commands.display import print_lines, print_table
from workbench.flows.demo import DemoResult, DriftLine
from workbench.flows.monitoring import verdict_text
from workbench.flows.scorer_process import Answered
from workbench.flows.training import Figure

__all__ = ["show_demo", "staged_progress"]


@contextmanager
def staged_progress(
    stages: Sequence[Message], language: str
) -> Iterator[tuple[Callable[[int], None], CallbackProgress]]:
    """Yield what to tell the beginning of a stage, and a progress; drawn as one line per stage with a bar below."""
    console = Console(stderr=True)
    names = [stage.text(language) for stage in stages]
    if not console.is_terminal:
        plain = _PlainStages(names, language)
        yield plain.begin, CallbackProgress(plain.report)
        plain.end()
        return
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.fields[name]}"), BarColumn(bar_width=24),
               TimeElapsedColumn(), TextColumn("{task.description}"))  # fmt: skip
    with Progress(*columns, console=console) as display:
        drawn = _DrawnStages(display, names, language)
        yield drawn.begin, CallbackProgress(drawn.report)
        drawn.end()


@dataclass
class _DrawnStages:
    display: Progress
    names: list[str]
    language: str
    tasks: list[TaskID] = field(default_factory=list)
    seen: float = 0.0

    def begin(self, index: int) -> None:
        self.end()
        self.seen = 0.0
        self.tasks.append(self.display.add_task("", total=1.0, name=self.names[index].ljust(max(map(len, self.names)))))

    def report(self, fraction: float, message: Message) -> None:
        # The whole's fraction is drawn on the running stage's bar: it only ever grows.
        if self.tasks:
            self.seen = max(self.seen, fraction)
            self.display.update(self.tasks[-1], completed=self.seen, description=message.text(self.language))

    def end(self) -> None:
        if self.tasks:
            self.display.update(self.tasks[-1], completed=1.0, description="")


@dataclass
class _PlainStages:
    names: list[str]
    language: str
    started: float = field(default_factory=time.monotonic)
    said_at: float = 0.0

    def begin(self, index: int) -> None:
        self._say(f"{index + 1}/{len(self.names)} {self.names[index]}")

    def report(self, fraction: float, message: Message) -> None:
        if time.monotonic() - self.said_at > 10:
            self._say(f"    {fraction:4.0%} {message.text(self.language)}")

    def end(self) -> None:
        self._say("✓")

    def _say(self, text: str) -> None:
        self.said_at = time.monotonic()
        sys.stderr.write(f"{self.said_at - self.started:5.0f} s  {text}\n")
        sys.stderr.flush()


def show_demo(result: DemoResult, language: str) -> None:
    """Print the table of what came of the demo, and how to go on."""

    def text(message: Message) -> str:
        return message.text(language)

    rows = [(text(name), text(value)) for name, value in _lines(result, language)]
    print_table(text(msg("What the loop made")), [text(msg("step")), text(msg("result"))], rows)
    made = [user for user in result.users if user.password]
    if made:
        user_rows = [(user.name, ", ".join(user.roles), user.password or "") for user in made]
        headers = [text(name) for name in (msg("user"), msg("roles"), msg("password, shown this once"))]
        print_table(text(msg("Users of the sample project")), headers, user_rows)
    print_lines([text(msg("Next: workbench up, then open the pages in a browser."))])


def _lines(result: DemoResult, language: str) -> list[tuple[Message, Message]]:
    data, training, label = result.data, result.training, result.features.label
    return [
        (msg("Data"), msg("{rows} rows in {tables} tables", rows=count(data.n_rows), tables=len(data.tables))),
        (msg("Label"), msg("{bad} bads and {good} goods, {rate} bad", bad=count(label.n_bad), good=count(label.n_good),
                           rate=percent(label.bad_rate))),
        (msg("Features"), msg("{kept} kept of {computed} computed; {proof}", kept=result.features.n_kept,
                              computed=result.features.n_computed, proof=_proof(result))),
        (msg("Model"), msg("{family}, {n} trials", family=training.family, n=len(training.trials))),
        (msg("AUC, out-of-time"), _figure(training.auc)),
        (msg("KS, out-of-time"), _figure(training.ks)),
        (msg("Version"), msg("v{n}, bundle {hash}", n=result.version, hash=training.bundle_hash[:12])),
        (msg("Approval"), msg("built by {author}, approved by {reviewer}", author=result.author,
                              reviewer=result.approved_by)),
        (msg("Scored over HTTP"), _scored(result.scored, language)),
        *((msg("Reason {n}", n=number), Message("{text}", {"text": reason}))
          for number, reason in enumerate(result.scored.reasons, start=1)),
        (msg("Drift before the 2022 shock"), _drift(result.before_shock)),
        (msg("Drift after the 2022 shock"), _drift(result.after_shock)),
        (msg("Time"), msg("{n} seconds", n=f"{result.seconds:.0f}")),
    ]  # fmt: skip


def _scored(scored: Answered, language: str) -> Message:
    return msg(
        "{key} as of {when}: {p} probability, score {score}, grade {grade}, {ms} ms",
        key=scored.key,
        when=when(scored.cutoff, language),
        p=percent(scored.probability, 2),
        score=f"{scored.score:.0f}",
        grade=scored.grade,
        ms=f"{scored.milliseconds:.0f}",
    )


def _proof(result: DemoResult) -> Message:
    return msg("leakage proof passed") if result.features.certificate.passed else msg("leakage proof failed")


def _figure(figure: Figure) -> Message:
    return msg(
        "{value} {interval} on {n} rows with {bad} bads",
        value=metric(figure.value),
        interval=interval(figure.low, figure.high),
        n=count(figure.n),
        bad=count(figure.n_bad),
    )


def _drift(line: DriftLine) -> Message:
    return msg(
        "{verdict}: score PSI {psi}, features that moved: {n} ({period}, {rows} rows)",
        verdict=verdict_text(line.verdict),
        psi=metric(line.score_psi),
        n=line.n_drifted,
        period=line.period,
        rows=count(line.n_rows),
    )
