"""Weighing cutoffs in money: what each approval rate costs and brings."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from automl.economics.assumptions import title
from core.errors import InputError
from core.i18n import msg
from core.i18n.formats import money_cny, percent
from workbench.commands.display import print_lines, print_table
from workbench.commands.judging import VersionOption
from workbench.commands.session import (
    AsOption,
    JsonOption,
    LanguageOption,
    ProjectOption,
    Session,
    chosen_project,
    say,
    session,
)
from workbench.flows import economics
from workbench.flows.economics import EconomicsResult

__all__ = ["add_to"]

_HELP = msg(
    "Weigh the cutoffs of a version in money: expected subrogation loss after risk sharing, fees, limits and swap sets "
    "against the present policy, on applicants it did not see."
)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("economics", help=say(_HELP))(weigh)


def weigh(
    project: ProjectOption = None,
    version: VersionOption = None,
    approval_rate: Annotated[
        float | None,
        typer.Option("--approval-rate", min=0.0, max=1.0, help=say(msg("Share to approve; the one that brings most."))),
    ] = None,
    against: Annotated[
        int | None,
        typer.Option("--against", metavar="VERSION", help=say(msg("Another version, at the same approval rate."))),
    ] = None,
    by_hand: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help=say(msg("A figure by hand: loss_given_default=0.6."))),
    ] = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Weigh the cutoffs of a version in money."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        found = economics.run(run.ctx, name, version, by_hand=_by_hand(by_hand or []))
        curves = found.trade_off
        step = curves.best if approval_rate is None else curves.step_at(approval_rate)
        value = _json(run, found, step)
        lines = []
        if against is not None:
            compared = economics.compare(run.ctx, name, found, against, float(curves.approval_rate[step]))
            value["against"] = asdict(compared) | {"verdict": run.text(compared.verdict), "version": against}
            lines.append(run.text(compared.verdict))
        run.answer(value, lambda: _show(run, found, step, lines))


def _by_hand(pairs: list[str]) -> dict[str, float]:
    given = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            given[name.strip()] = float(text)
        except ValueError as error:
            raise InputError(
                msg("a figure is set as NAME=VALUE, not {text}", text=repr(pair)), where="--set"
            ) from error
    return given


def _json(run: Session, found: EconomicsResult, step: int) -> dict[str, Any]:
    curves = found.trade_off
    at = {
        name: {"value": float(curve.value[step]), "low": float(curve.low[step]), "high": float(curve.high[step])}
        for name, curve in curves.curves.items()
    }
    return {
        "version": found.version,
        "n_applicants": len(found.applicants),
        "period": [found.first, found.last],
        "policy_rate": found.policy_rate,
        "approval_rate": float(curves.approval_rate[step]),
        "cutoff": float(curves.cutoff[step]),
        "points": float(found.scale.points(curves.cutoff[step : step + 1])[0]),
        "best": {"approval_rate": float(curves.approval_rate[curves.best]), "low": curves.best_low,
                 "high": curves.best_high},
        "best_within_limits": None if curves.best_within is None else float(curves.approval_rate[curves.best_within]),
        "cny_per_unit": found.cny_per_unit,
        "figures": at,
        "assumptions": {name: asdict(item) for name, item in found.assumptions.items.items()},
        "swaps": [
            _finite(asdict(one)) | {"not_applicable": one.not_applicable and one.not_applicable.text(run.ctx.language)}
            for one in economics.swaps(found, step)
        ],
        "findings": [finding.to_json() for finding in found.findings],
    }  # fmt: skip


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in values.items()}  # NaN differs from itself


def _show(run: Session, found: EconomicsResult, step: int, lines: list[str]) -> None:
    curves, unit, spoken = found.trade_off, found.cny_per_unit, run.ctx.language

    def money(name: str) -> str:
        curve = curves.curves[name]
        shown = [money_cny(float(bound[step]) * unit, spoken) for bound in (curve.value, curve.low, curve.high)]
        return f"{shown[0]} [{shown[1]}, {shown[2]}]"

    best = msg(
        "approving {rate} brings most (the best lies between {low} and {high})",
        rate=percent(curves.approval_rate[curves.best]), low=percent(curves.best_low), high=percent(curves.best_high),
    )  # fmt: skip
    rows = [
        [run.text(msg("applicants approved")), percent(curves.approval_rate[step])],
        [run.text(msg("probability up to")), percent(curves.cutoff[step], 2)],
        [run.text(msg("fee income")), money("fee")],
        [run.text(msg("expected loss borne")), money("loss")],
        [run.text(msg("net")), money("net")],
        [run.text(msg("subrogation rate")), percent(curves.curves["subrogation_rate"].value[step], 2)],
        [run.text(msg("small and agricultural share")), percent(curves.curves["small_share"].value[step])],
    ]
    if "leverage" in curves.curves:
        rows.append([run.text(msg("leverage multiple")), f"{curves.curves['leverage'].value[step]:.2f}"])
    heading = msg("Version {n} on {k} applicants from {first} to {last}", n=found.version, k=len(found.applicants),
                  first=found.first, last=found.last)  # fmt: skip
    print_table(run.text(heading), [run.text(msg("figure")), run.text(msg("value"))], rows)
    assumed = [
        [run.text(title(item.name)), percent(item.value, 2), f"[{percent(item.low, 2)}, {percent(item.high, 2)}]",
         run.text(msg("set by hand") if item.source == "by_hand" else msg("estimated"))]
        for item in found.assumptions.items.values()
    ]  # fmt: skip
    headers = [run.text(text) for text in (msg("figure"), msg("value"), msg("95% interval"), msg("source"))]
    print_table(run.text(msg("Assumptions")), headers, assumed)
    print_lines([run.text(best), *lines, *(finding.text(spoken) for finding in found.findings)])
