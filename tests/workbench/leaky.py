"""The lending business with what a naive export adds: amounts written off later, and the day of writing off."""

from pathlib import Path

from tests.workbench.lending import lending_project
from workbench.flows import importing, projects
from workbench.flows.context import Context

WRITTEN_OFF = "clients.written_off_cny"
WRITTEN_OFF_ON = "clients.written_off_on"


def leaky_project(ctx: Context, folder: Path) -> str:
    """Make the project; clients that defaulted have an amount and a day of writing off."""
    name = lending_project(ctx, folder)
    header, *rows = (folder / "clients.csv").read_text("utf-8").splitlines()
    told = [f"{header},asked_on,written_off_cny,written_off_on"]
    for number, row in enumerate(rows):
        is_bad = row.endswith(",1") and number % 20 != 0
        told.append(f"{row},2024-09-01,{900 + 7 * number if is_bad else 0},{'2025-03-01' if is_bad else ''}")
    (folder / "clients.csv").write_text("\n".join(told) + "\n", "utf-8")
    spec = projects.spec(ctx, name)
    model = spec.data.model_dump(exclude_unset=True)
    model["tables"]["clients"]["event_time"] = "asked_on"
    model["tables"]["clients"]["columns"] |= {"asked_on": {"type": "date", "role": "event_time"}}
    model["tables"]["clients"]["columns"] |= {"written_off_on": {"type": "date", "role": "feature"}}
    projects.write_spec(ctx, name, type(spec).model_validate(spec.model_dump(exclude_unset=True) | {"data": model}))
    importing.run(ctx, name, folder)
    return name
