"""Judging a version on rows it did not see: by sample, segment and month, against another, and what is attainable."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from automl.comparison import ScoreComparison
from automl.evaluation import Evaluation, metric_title
from automl.slices import Slice
from core.errors import InputError
from core.findings import NotApplicable
from core.i18n import Message, msg
from core.i18n.formats import count, difference, interval, metric, percent
from workbench.commands import answers
from workbench.commands.display import print_lines, print_table
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
from workbench.flows import evaluation, training

__all__ = ["VersionOption", "add_to"]

VersionOption = Annotated[int | None, typer.Option("--version", help=say(msg("Model version; the latest.")))]
_MONTHS = {"month": 1, "quarter": 3}


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("evaluate", help=say(_EVALUATE_HELP))(evaluate)


_EVALUATE_HELP = msg(
    "Show a version's figures with intervals: on every sample, or with --by on each segment or month of the rows that "
    "it did not see, or with --against beside another version by paired tests."
)


def evaluate(
    project: ProjectOption = None,
    version: VersionOption = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by", metavar="TABLE.COLUMN|entity|month|quarter", help=say(msg("Figures of each segment or period."))
        ),
    ] = None,
    against: Annotated[
        int | None, typer.Option("--against", metavar="VERSION", help=say(msg("Another version, on the same rows.")))
    ] = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a version's figures."""
    if by is not None and against is not None:
        raise InputError(msg("give one of --by and --against"))
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        if by is not None:
            _by(run, name, version, by)
        elif against is not None:
            number = version if version is not None else training.latest_version(run.ctx, name)
            _answer_comparison(run, evaluation.compare(run.ctx, name, number, against), number, against)
        else:
            _samples(run, name, version)


def _samples(run: Session, project: str, version: int | None) -> None:
    found = training.bundle(run.ctx, project, version).evaluation
    value = found.to_json()
    lines = [run.text(line) for line in _calibration_lines(found)]
    if version in (None, *evaluation.version_numbers(run.ctx, project)) and evaluation.version_numbers(
        run.ctx, project
    ):
        attainable = evaluation.attainable(run.ctx, project, version)
        if not isinstance(attainable, NotApplicable):
            area = attainable.comparison.differences[0]
            value["attainable"] = {"auc": attainable.attainable, "attained": attainable.attained,
                                   "low": area.low, "high": area.high}  # fmt: skip
            text = msg(
                "AUC attained {attained}, attainable {attainable} (difference {difference} {interval})",
                attained=metric(attainable.attained), attainable=metric(attainable.attainable),
                difference=difference(area.value), interval=interval(area.low, area.high, difference),
            )  # fmt: skip
            lines.append(run.text(text))

    def show() -> None:
        answers.show_evaluation(run, found)
        print_lines(lines)

    run.answer(value, show)


def _calibration_lines(found: Evaluation) -> list[Message]:
    words = {"good": msg("holds"), "watch": msg("watch"), "bad": msg("does not hold"), "none": msg("no cases")}
    return [
        msg("{sample}: expected {expected}, observed {observed}; Hosmer-Lemeshow p = {p}: {verdict}",
            sample=sample.title, expected=percent(test.overall.expected), observed=percent(test.overall.observed),
            p=metric(test.p_value), verdict=words[test.light])
        for sample in found.samples.values()
        if (test := sample.calibration_test) is not None
    ]  # fmt: skip


def _by(run: Session, project: str, version: int | None, by: str) -> None:
    text: Callable[[str], str] = str
    if by in _MONTHS:
        found = evaluation.by_month(run.ctx, project, version, months=_MONTHS[by])
    else:
        found = evaluation.by_segment(run.ctx, project, by, version)
        text = evaluation.level_text(run.ctx, project, by)
    run.answer({"project": project, "by": by, "slices": [_slice_json(one, run) for one in found]},
               lambda: _show_slices(run, by, found, text))  # fmt: skip


def _slice_json(one: Slice, run: Session) -> dict[str, Any]:
    reason = one.not_applicable.text(run.ctx.language) if one.not_applicable else None
    return asdict(one) | {"not_applicable": reason, "observed_to_expected": one.observed_to_expected}


def _show_slices(run: Session, by: str, found: tuple[Slice, ...], text: Callable[[str], str]) -> None:
    headers = [run.text(head) for head in (msg("part"), msg("cases"), msg("bads"), msg("bad rate"), msg("expected"))]
    headers += ["AUC", run.text(msg("after DeLong")), "KS", "PSI"]
    rows = [
        [
            text(one.name),
            count(one.n),
            count(one.n_bad),
            f"{percent(one.bad_rate)} [{percent(one.low)}, {percent(one.high)}]",
            percent(one.mean_probability),
            metric(one.metrics["auc"].value) if one.metrics else "–",
            interval(*one.auc_delong) if one.auc_delong else "–",
            metric(one.metrics["ks"].value) if one.metrics else "–",
            metric(one.psi.value if one.psi else None),
        ]
        for one in found
    ]
    print_table(run.text(msg("Figures by {what}, on rows the version did not see", what=by)), headers, rows)
    print_lines(
        [f"{text(one.name)}: {one.not_applicable.text(run.ctx.language)}" for one in found if one.not_applicable]
    )


def _answer_comparison(run: Session, found: ScoreComparison, first: int, second: int) -> None:
    value = {
        "versions": [first, second],
        "n": found.n,
        "n_bad": found.n_bad,
        "differences": [asdict(one) | {"can_be_told": one.can_be_told} for one in found.differences],
        "delong": asdict(found.delong),
        "can_be_told": found.can_be_told,
        "verdict": run.text(found.verdict),
    }
    headers = [run.text(msg("metric")), f"v{first}", f"v{second}", run.text(msg("difference"))]
    rows = [
        [
            run.text(metric_title(one.name)),
            metric(one.first),
            metric(one.second),
            f"{difference(one.value)} {interval(one.low, one.high, difference)}",
        ]
        for one in found.differences
    ]

    def show() -> None:
        title = msg("{n} rows that neither saw, {n_bad} bads", n=count(found.n), n_bad=count(found.n_bad))
        print_table(run.text(title), headers, rows)
        print_lines([run.text(found.verdict)])

    run.answer(value, show)
