"""What stays running: the workbench with its worker and scorer, or each alone; and the demo."""

import signal
from typing import Annotated

import typer

from core.i18n import msg
from core.settings import Settings
from workbench.commands.session import JsonOption, LanguageOption, checked_language, say, session

__all__ = ["add_to"]

HostOption = Annotated[str | None, typer.Option("--host", help=say(msg("Where to listen; the settings' host.")))]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, max=64, help=say(msg("Processes; the settings' number.")))
]
PortOption = Annotated[int | None, typer.Option("--port", help=say(msg("Port; the settings' port.")))]


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("demo", help=say(msg("Run the whole loop on the sample world and show what came of it.")))(demo)
    app.command("up", help=say(msg("Start the pages, a worker and the scorer on this machine; Ctrl-C stops all.")))(up)
    app.command("serve", help=say(msg("Run the scoring service until it is stopped.")))(serve)
    app.command("pages", help=say(msg("Run the pages until stopped.")))(pages)
    app.command("worker", help=say(msg("Run jobs until stopped.")))(worker)


def demo(
    enterprises: Annotated[int, typer.Option("--enterprises", min=500, help=say(msg("Size of the world.")))] = 20_000,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, help=say(msg("Trials of the search; the sample project's.")))
    ] = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the whole loop on the sample world."""
    from workbench.commands.demo_display import show_demo, staged_progress
    from workbench.flows import demo as demo_flow
    from workbench.flows.results import to_json

    settings = Settings.load()
    chosen = checked_language(language) or settings.language
    with (
        staged_progress(demo_flow.stages(), chosen) as (on_stage, progress),
        session(as_json=as_json, language=chosen, progress=progress) as run,
    ):
        result = demo_flow.run(run.ctx, n_enterprises=enterprises, n_trials=trials, on_stage=on_stage)
    run.answer(to_json(result), lambda: show_demo(result, chosen))


def up(
    local_login: Annotated[
        bool,
        typer.Option(
            "--local-login/--no-local-login",
            help=say(msg("Let the sample users be opened by a click, without a password. Only on loopback.")),
        ),
    ] = True,
) -> None:
    """Start the pages, a worker and the scorer; stop all together."""
    from workbench.commands.processes import run_together

    raise typer.Exit(run_together(Settings.load(), local_login=local_login))


def serve(host: HostOption = None, port: PortOption = None, workers: WorkersOption = None) -> None:
    """Run the scoring service."""
    from serving.server import run

    run(Settings.load(), host=host, port=port, n_workers=workers, is_watched=True)


def pages() -> None:
    """Run the pages alone."""
    from workbench.server import run

    run(Settings.load())


def worker(
    once: Annotated[bool, typer.Option("--once", help=say(msg("Stop when no job waits.")))] = False,
) -> None:
    """Run jobs until stopped."""
    from workbench.jobs.worker import Worker

    runner = Worker(Settings.load())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, runner.stop)
    runner.run(until_idle=once)
