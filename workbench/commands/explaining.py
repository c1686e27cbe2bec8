"""What a version leans on: in general, over time, in pairs, by segment; and what would change the grade of a case."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl.fairness import SegmentTreatment
from core.errors import InputError
from core.findings import NotApplicable
from core.i18n import Message, msg
from core.i18n.formats import MISSING, count, interval, metric, percent, quantity
from workbench.commands import answers
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
from workbench.flows import evaluation, explaining, scoring, training

if TYPE_CHECKING:
    from features.plan import FeaturePlan

__all__ = ["add_to"]

_HELP = msg(
    "Show what a version leans on: over all rows, or with --over-time in each half-year, with --pairs which features "
    "act together, with --by how segments fare. With --key why one row got its score, and with --to what would change "
    "its grade."
)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("explain", help=say(_HELP))(explain)


def explain(
    project: ProjectOption = None,
    version: VersionOption = None,
    key: Annotated[str | None, typer.Option("--key", help=say(msg("A stored row, to explain its score.")))] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="GRADE",
            help=say(msg("With --key: the smallest change that would bring the row to this grade.")),
        ),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", help=say(msg("With --to: a feature that may not change; repeatable.")))
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="TABLE.COLUMN|entity", help=say(msg("How each segment fares.")))
    ] = None,
    grade: Annotated[
        str | None, typer.Option("--grade", help=say(msg("With --by: the riskiest grade that is approved.")))
    ] = None,
    over_time: Annotated[
        bool, typer.Option("--over-time", help=say(msg("What the version leans on in each half-year.")))
    ] = False,
    pairs: Annotated[bool, typer.Option("--pairs", help=say(msg("Which pairs of features act together.")))] = False,
    top: Annotated[int, typer.Option("--top", min=1, help=say(msg("How many features to show.")))] = 20,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a version leans on, or why one row got its score."""
    if sum([key is not None, by is not None, over_time, pairs]) > 1:
        raise InputError(msg("give one of --key, --by, --over-time and --pairs"))
    if (to is not None and key is None) or (keep and to is None) or (grade is not None and by is None):
        raise InputError(msg("--to goes with --key, --keep with --to, and --grade with --by"))
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        if key is not None and to is not None:
            _change(run, name, version, key, to, tuple(keep or ()))
        elif key is not None:
            answers.answer_score(run, scoring.score_stored(run.ctx, name, key, version=version))
        elif by is not None:
            _segments(run, name, version, by, grade)
        elif over_time:
            _course(run, name, version)
        elif pairs:
            _pairs(run, name, version)
        else:
            _importances(run, name, version, top)


def _names(run: Session, plan: "FeaturePlan", aliases: Sequence[str]) -> list[str]:
    return [plan.definition(alias).name(run.ctx.language) for alias in aliases]


def _answer_table(
    run: Session, value: Any, title: Message, headers: Sequence[Message], rows: Sequence[Sequence[str]],
    lines: Sequence[Message] = (),
) -> None:  # fmt: skip
    def show() -> None:
        print_table(run.text(title), [run.text(header) for header in headers], rows)
        print_lines([run.text(line) for line in lines])

    run.answer(value, show)


def _importances(run: Session, project: str, version: int | None, top: int) -> None:
    bundle = training.bundle(run.ctx, project, version)
    importances = bundle.explanation.importances[:top]
    names = _names(run, bundle.plan, [item.alias for item in importances])
    _answer_table(
        run,
        {
            "importances": [
                {"alias": item.alias, "share": item.share, "mean_abs": item.mean_abs} for item in importances
            ]
        },
        msg("What the model leans on"),
        (msg("feature"), msg("share"), msg("mean |contribution|, log-odds")),
        [(name, percent(item.share), metric(item.mean_abs)) for name, item in zip(names, importances, strict=True)],
    )


def _course(run: Session, project: str, version: int | None) -> None:
    course = explaining.over_time(run.ctx, project, version)
    plan = training.bundle(run.ctx, project, version).plan
    rows = [
        (name, *(percent(share) for share in shares))
        for name, shares in zip(_names(run, plan, list(course.shares)), course.shares.values(), strict=True)
    ]
    rows.append(
        (run.text(msg("of the first ten, still among the ten")), *(percent(kept, 0) for kept in course.overlap))
    )
    rows.append((run.text(msg("rows explained")), *(count(n) for n in course.n_rows)))

    def show() -> None:
        title = msg("Shares of all movement by half-year")
        print_table(run.text(title), [run.text(msg("feature")), *course.periods], rows)

    run.answer(asdict(course), show)


def _pairs(run: Session, project: str, version: int | None) -> None:
    found = explaining.interactions(run.ctx, project, version)
    if isinstance(found, NotApplicable):
        reason = found.text(run.ctx.language)
        run.answer({"not_applicable": reason}, lambda: print_lines([reason]))
        return
    plan = training.bundle(run.ctx, project, version).plan
    rows = [
        (*_names(run, plan, (pair.first, pair.second)), metric(pair.mean_abs), percent(pair.share))
        for pair in found.pairs
    ]
    text = msg(
        "pairs carry {share} of all movement, beyond what each feature does alone; {n} rows",
        share=percent(found.share), n=count(found.n_rows),
    )  # fmt: skip
    headers = (msg("feature"), msg("with"), msg("mean |effect|, log-odds"), msg("share"))
    _answer_table(run, asdict(found), msg("Pairs that act together"), headers, rows, [text])


def _segments(run: Session, project: str, version: int | None, by: str, grade: str | None) -> None:
    found = explaining.fairness(run.ctx, project, by, version, grade=grade)
    text = evaluation.level_text(run.ctx, project, by)
    headers = (
        msg("segment"), msg("applicants"), msg("approved"), msg("impact ratio"), msg("bad rate"),
        msg("observed / expected"), msg("adverse"),
    )  # fmt: skip
    _answer_table(
        run,
        {"project": project, "by": by, "segments": [_segment_json(one, run) for one in found]},
        msg("How segments fare: {what}", what=by),
        headers,
        [_segment_row(one, text(one.slice.name), run) for one in found],
        [msg("adverse: approval rate over that of the segment approved most, below 80% with its whole interval")],
    )


def _segment_json(one: SegmentTreatment, run: Session) -> dict[str, Any]:
    value = asdict(one)
    reason = one.slice.not_applicable
    value["slice"]["not_applicable"] = reason.text(run.ctx.language) if reason else None
    return value | {"is_adverse": one.is_adverse}


def _segment_row(one: SegmentTreatment, name: str, run: Session) -> tuple[str, ...]:
    part = one.slice
    return (
        name,
        count(one.n_applicants),
        f"{percent(one.approval_rate)} [{percent(one.low)}, {percent(one.high)}]",
        f"{metric(one.impact_ratio)} {interval(one.impact_low, one.impact_high)}",
        f"{percent(part.bad_rate)} [{percent(part.low)}, {percent(part.high)}]",
        f"{metric(part.observed_to_expected)} {interval(one.ratio_low, one.ratio_high)}",
        run.text(msg("adverse")) if one.is_adverse else "",
    )


def _change(run: Session, project: str, version: int | None, key: str, to: str, keep: tuple[str, ...]) -> None:
    answer = explaining.case_change(run.ctx, project, key, to, version, immutable=keep)
    value: dict[str, Any] = {"key": key, "grade": answer.grade, "target_grade": to}
    if isinstance(answer.found, NotApplicable):
        reason = answer.found.text(run.ctx.language)
        run.answer(value | {"not_applicable": reason}, lambda: print_lines([reason]))
        return
    found = answer.found
    plan = training.bundle(run.ctx, project, version).plan
    names = _names(run, plan, [change.alias for change in found.changes])

    def said(alias: str, amount: float) -> str:
        return quantity(amount, answer.units.get(alias), run.ctx.language)

    rows = [
        (name, said(change.alias, change.before), said(change.alias, change.after), percent(change.distance))
        for name, change in zip(names, found.changes, strict=True)
    ]
    text = msg(
        "probability {before} would become {after}", before=percent(found.before, 2), after=percent(found.after, 2)
    )
    title = msg("From grade {grade} to {target}", grade=answer.grade or MISSING, target=to)
    headers = (msg("feature"), msg("now"), msg("would need"), msg("cases between"))
    _answer_table(run, value | asdict(found), title, headers, rows, [text])
