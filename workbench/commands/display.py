"""How commands draw: progress on standard error, tables on standard output, one clear line for an error."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from core.i18n import Message
from core.progress import CallbackProgress

__all__ = ["console_progress", "print_lines", "print_table"]

_PLAIN_EVERY_S = 5.0


@contextmanager
def console_progress(language: str) -> Iterator[CallbackProgress]:
    """Yield a progress that draws a bar on a terminal, and says a line now and then where there is none."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield CallbackProgress(_PlainLines(language).report)
        return
    columns = (SpinnerColumn(), BarColumn(bar_width=30), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as display:
        yield CallbackProgress(_Bar(display, language).report)


@dataclass
class _Bar:
    display: Progress
    language: str
    task: TaskID | None = None

    def report(self, fraction: float, message: Message) -> None:
        if self.task is None:  # drawn from the first report on, so that quick commands draw nothing
            self.task = self.display.add_task("", total=1.0)
        self.display.update(self.task, completed=fraction, description=message.text(self.language))


@dataclass
class _PlainLines:
    language: str
    started: float = field(default_factory=time.monotonic)
    said_at: float = field(default_factory=time.monotonic)

    def report(self, fraction: float, message: Message) -> None:
        now = time.monotonic()
        if now - self.said_at >= _PLAIN_EVERY_S:
            self.said_at = now
            sys.stderr.write(f"{now - self.started:4.0f} s  {fraction:4.0%}  {message.text(self.language)}\n")
            sys.stderr.flush()


def print_table(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; text is shown as it is, never as markup."""
    from rich.text import Text

    table = Table(title=Text(title, style="bold"), title_justify="left", header_style="bold")
    for header in headers:
        table.add_column(Text(header))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    _console().print(table)


def print_lines(lines: Sequence[str]) -> None:
    """Print lines as they are."""
    for line in lines:
        _console().print(line, markup=False, highlight=False, soft_wrap=True)


def _console() -> Console:
    console = Console()
    # Where nobody looks at a terminal, wide tables stay whole.
    return console if console.is_terminal else Console(width=160)
