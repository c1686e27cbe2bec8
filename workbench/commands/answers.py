"""How commands about building answer: the JSON of a result, and its lines for a person."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from automl.evaluation import METRIC_NAMES, Evaluation
from core.findings import Finding, by_kind
from core.i18n import msg
from core.i18n.formats import count, difference, interval, metric, percent
from workbench.commands.display import print_lines, print_table
from workbench.commands.session import Session
from workbench.flows import features, importing, training, traps
from workbench.flows.context import Context
from workbench.flows.results import to_json
from workbench.flows.training import Figure

__all__ = [
    "answer_score",
    "feature_lines",
    "features_json",
    "figure_text",
    "import_json",
    "show_evaluation",
    "show_import",
    "show_splits",
    "show_training",
    "training_json",
    "traps_json",
]

Names = Mapping[str, Mapping[str, str]]


def import_json(result: importing.ImportResult) -> dict[str, Any]:
    """Return an import as JSON values."""
    return {
        "project": result.project,
        "fingerprint": result.fingerprint,
        "as_of": result.as_of.isoformat() if result.as_of else None,
        "tables": {table.name: table.n_rows for table in result.tables},
        "findings": [finding.to_json() for finding in result.findings],
        "seconds": round(result.seconds, 2),
    }


def show_import(run: Session, result: importing.ImportResult) -> None:
    """Print what an import brought."""
    headers = [run.text(text) for text in (msg("table"), msg("rows"), msg("columns"), msg("key"), msg("time"))]
    rows = [
        (
            table.name,
            count(table.n_rows),
            str(len(table.columns)),
            ", ".join(table.primary_key),
            table.event_time or "–",
        )
        for table in result.tables
    ]
    print_table(run.text(msg("Imported into {project}", project=result.project)), headers, rows)
    print_lines(_finding_lines(run, result.findings))


def features_json(result: features.FeatureResult) -> dict[str, Any]:
    """Return a feature step as JSON values."""
    return {
        "project": result.project,
        "label": result.label.name,
        "rows": result.label.n_rows,
        "goods": result.label.n_good,
        "bads": result.label.n_bad,
        "unlabelled": result.label.n_unlabelled,
        "computed": result.n_computed,
        "kept": result.n_kept,
        "leakage_proof_passed": result.certificate.passed,
        "split": result.label.split_kind,
        "fingerprint": result.fingerprint,
        "findings": [finding.to_json() for finding in result.findings],
        "seconds": round(result.seconds, 2),
    }


def feature_lines(run: Session, result: features.FeatureResult) -> list[str]:
    """Return what a feature step brought, as lines."""
    label = result.label
    proof = msg("leakage proof passed") if result.certificate.passed else msg("leakage proof failed")
    lines = [
        msg("{kept} features kept of {computed} computed; {proof}", kept=result.n_kept, computed=result.n_computed,
            proof=proof),
        msg("{bad} bads and {good} goods, {rate} bad", bad=count(label.n_bad), good=count(label.n_good),
            rate=percent(label.bad_rate)),
    ]  # fmt: skip
    found = [*(trap.finding for trap in result.traps), *result.findings]
    return [run.text(line) for line in lines] + _finding_lines(run, found)


def traps_json(ctx: Context, project: str) -> list[dict[str, Any]]:
    """Return the columns that look like a trap as JSON values, with what was decided on each."""
    return [
        {
            "column": state.subject,
            "open": state.is_open,
            "features_kept": len(state.kept),
            "acknowledged": state.acknowledgement.reason if state.acknowledgement else None,
            "findings": [finding.to_json() for finding in state.findings],
        }
        for state in traps.states(ctx, project)
    ]


def training_json(result: training.TrainResult) -> dict[str, Any]:
    """Return a training as JSON values."""
    return {
        "version": result.version,
        "family": result.family,
        "label": result.label,
        "split": result.split_kind,
        "auc": to_json(result.auc),
        "ks": to_json(result.ks),
        "n_features": result.n_features,
        "n_trials": len(result.trials),
        "candidates": [to_json(row) for row in result.leaderboard],
        "bundle_hash": result.bundle_hash,
        "fingerprint": result.fingerprint,
        "findings": [finding.to_json() for finding in result.findings],
        "seconds": round(result.seconds, 2),
    }


def figure_text(figure: Figure) -> str:
    """Return a figure with its interval."""
    return f"{metric(figure.value)} {interval(figure.low, figure.high)}"


def show_training(run: Session, result: training.TrainResult) -> None:
    """Print what a training made."""
    from workbench.flows.loop_state import sample_title

    lines = [
        msg("version {n}: {family}, {k} features", n=result.version or "–", family=result.family, k=result.n_features),
        msg("AUC {auc}, KS {ks} ({sample}, {n} rows, {bad} bads)", auc=figure_text(result.auc),
            ks=figure_text(result.ks), sample=sample_title(result.auc.sample), n=count(result.auc.n),
            bad=count(result.auc.n_bad)),
    ]  # fmt: skip
    print_lines([run.text(line) for line in lines])
    _show_candidates(run, result)
    print_lines(_finding_lines(run, result.findings, result.feature_names))


def _finding_lines(run: Session, findings: Iterable[Finding], names: Names | None = None) -> list[str]:
    """Return findings as lines, the gravest first; of many of one kind the first few, and how many more there are."""
    language, lines = run.ctx.language, []
    for shown, folded in by_kind(findings):
        for item in shown:
            called = (names or {}).get(item.where, {}).get(language, item.where)
            lines.append(replace(item, where=called).text(language))
        if folded:
            lines.append(run.text(msg("{n} more of this kind", n=len(folded))))
    return lines


def _show_candidates(run: Session, result: training.TrainResult) -> None:
    """Print the candidates with what each costs; another than the chosen is made by ``train --candidate``."""
    titles = (
        msg("candidate"), msg("AUC"), msg("behind the best"), msg("leaves"), msg("MB on disk"), msg("ms for one row"),
        msg("s for the reasons of 1,000 rows"), msg("note"),
    )  # fmt: skip
    rows = []
    for row in result.leaderboard:
        behind = "–" if row.behind is None else f"{difference(row.behind[0])} {interval(*row.behind[1:], difference)}"
        price = ("–",) * 4
        if row.price is not None:
            paid = row.price
            price = (count(paid.n_leaves), f"{paid.size_bytes / 1e6:.1f}", f"{paid.row_ms:.2f}",
                     f"{paid.explain_seconds:.1f}")  # fmt: skip
        notes = [msg("chosen")] * row.is_chosen + [msg("simplest as good")] * row.is_as_good
        rows.append((row.family, figure_text(row.auc), behind, *price, ", ".join(run.text(note) for note in notes)))
    print_table(run.text(msg("Candidates, by cross-validation")), [run.text(title) for title in titles], rows)


def show_splits(run: Session, tested: training.HashSplitResult) -> None:
    """Print the figures of published splits."""
    headers = [run.text(text) for text in (msg("part"), msg("rows"), msg("bads"), msg("test AUC"), msg("test KS"))]
    rows = [
        (f"{split.part}/{tested.n_parts}", count(split.n), count(split.n_bad),
         f"{split.auc:.4f} [{split.auc_low:.4f}, {split.auc_high:.4f}]", f"{split.ks:.4f}")
        for split in tested.splits
    ]  # fmt: skip
    rows.append((run.text(msg("mean")), "", "", f"{tested.mean_auc:.4f}", f"{tested.mean_ks:.4f}"))
    print_table(run.text(msg("Test figures by part")), headers, rows)


def show_evaluation(run: Session, evaluation: Evaluation) -> None:
    """Print the figures of every sample."""
    samples = list(evaluation.samples.values())
    names = [name for name in METRIC_NAMES if name in samples[0].metrics]
    headers = [run.text(msg("sample")), run.text(msg("rows")), run.text(msg("bads"))]
    headers += [run.text(samples[0].metrics[name].title) for name in names]
    rows = [
        [
            run.text(sample.title),
            count(sample.n),
            count(sample.n_bad),
            *(
                f"{metric(item.value)} {interval(item.low, item.high)}"
                for item in (sample.metrics[name] for name in names)
            ),
        ]
        for sample in samples
    ]
    print_table(run.text(msg("Figures by sample, with 95% intervals")), headers, rows)
    print_lines([reason.text(run.ctx.language) for reason in evaluation.not_applicable.values()])


def answer_score(run: Session, answered: Any) -> None:
    """Answer with one score and its reasons."""
    value = {
        "key": answered.key,
        "as_of": answered.cutoff.isoformat(),
        "probability": answered.probability,
        "score": answered.score,
        "grade": answered.grade,
        "reasons": [reason.to_json() for reason in answered.reasons],
        "warnings": [{"code": item.code, "text": run.text(item.text)} for item in answered.warnings],
        "version": answered.version,
        "bundle_hash": answered.bundle_hash,
    }
    lines = [
        run.text(msg("{key}: probability {p}, score {score}, grade {grade} (version {version})", key=answered.key,
                     p=percent(answered.probability, 2), score=f"{answered.score:.0f}", grade=answered.grade,
                     version=answered.version)),
        *(f"- {reason.text}" for reason in answered.reasons),
        *(f"! {run.text(item.text)}" for item in answered.warnings),
    ]  # fmt: skip
    run.answer(value, lambda: print_lines(lines))
