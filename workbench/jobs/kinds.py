"""The kinds of jobs: which flow each runs, with which arguments, under which permission.

=============  ===================================================================================  ==================
kind           arguments (all have ``project``)                                                     permission
=============  ===================================================================================  ==================
``import``     ``source``: folder or file                                                           ``data.import``
``sample``     ``n_enterprises``, ``seed``; or ``size``, ``names``, ``dirty``: the synthetic world  ``data.import``
``database``   ``only_new``: from the project's database                                            ``data.import``
``model``      (none): put the latest version of the data model to the stored tables                ``project.manage``
``quality``    (none): assess the stored tables again                                               ``data.import``
``features``   ``label``                                                                            ``feature.build``
``train``      ``budget`` ("quick", "120s", "40trials"), ``families``, ``seed``, ``choose``         ``model.train``
``candidate``  ``candidate``: make a version of this candidate of the last race                     ``model.train``
``snapshot``   publish the online snapshot for the deployed models                                  ``snapshot.publish``
``enterprises``  publish the view of enterprises                                                    ``snapshot.publish``
``scorecard``  "start" (``weights``), "register", "import" (``path``, ``names``, ``scale``)          ``model.train``
``rejects``    ``column``, ``values``: what taking refused applicants into account would do         ``model.train``
``score``      ``rows``, ``version``, ``as_of``, ``file_format``: writes a file under the project   ``model.score``
``monitor``    ``start``, ``end`` (ISO dates), ``source``, ``version``, ``months`` (many periods)   ``monitor.run``
``evidently``  ``period``                                                                           ``monitor.run``
=============  ===================================================================================  ==================

A job's `result` is short: the step's headline figures, or the path of the file it wrote. The whole result is read with
the flow's own `stored` or `state` function.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import NotFoundError
from core.i18n import msg
from workbench.flows.context import Context

if TYPE_CHECKING:
    from workbench.flows.training import TrainResult

__all__ = ["KINDS", "Kind", "kind_named", "run"]

Args = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of job."""

    name: str
    permission: str
    run: Callable[[Context, Args], dict[str, Any]]


def _import(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import importing, publishing

    project, source = args["project"], Path(args["source"])
    result = publishing.following_import(ctx, project, lambda part: importing.run(part, project, source))
    return {"n_rows": result.n_rows, "n_tables": len(result.tables), "fingerprint": result.fingerprint}


def _sample(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import importing, publishing, sample_world

    project = args["project"]
    chosen = {name: int(args[name]) for name in ("n_enterprises", "seed") if args.get(name) is not None}
    seed, is_dirty = chosen.get("seed", sample_world.DEFAULT_SEED), bool(args.get("dirty"))

    def work(part: Context) -> importing.ImportResult:
        if args.get("size") is None:
            return importing.run_sample(part, project, **chosen)
        return sample_world.load(part, project, size=args["size"], seed=seed, names=args.get("names"), dirty=is_dirty)

    result = publishing.following_import(ctx, project, work)
    return {"n_rows": result.n_rows, "n_tables": len(result.tables), "fingerprint": result.fingerprint}


def _database(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import databases, publishing

    project, only_new = args["project"], bool(args.get("only_new"))
    result = publishing.following_import(ctx, project, lambda part: databases.read(part, project, only_new=only_new))
    return {"n_rows": result.n_rows, "n_tables": len(result.tables), "fingerprint": result.fingerprint}


def _model(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import data_models, snapshots

    project = args["project"]
    result = snapshots.following_import(ctx, project, lambda part: data_models.apply(part, project))
    return {"version": result.data_model_version, "fingerprint": result.fingerprint}


def _quality(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import quality

    assessment = quality.assess_stored(ctx, args["project"])
    return {"score": assessment.score, "n_watch": assessment.n_watch, "n_bad": assessment.n_bad}


def _features(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import features

    result = features.run(ctx, args["project"], label=args.get("label"))
    return {"n_computed": result.n_computed, "n_kept": result.n_kept, "fingerprint": result.fingerprint}


def _train(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import training

    result = training.run(
        ctx,
        args["project"],
        budget=training.Budget.parse(args["budget"]) if args.get("budget") else None,
        families=tuple(args["families"]) if args.get("families") else None,
        seed=args.get("seed"),
        choose=args.get("choose"),
    )
    return _trained(result)


def _candidate(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import training

    return _trained(training.run(ctx, args["project"], candidate=str(args["candidate"])))


def _trained(result: "TrainResult") -> dict[str, Any]:
    return {
        "version": result.version,
        "auc": result.auc.value,
        "ks": result.ks.value,
        "bundle_hash": result.bundle_hash,
    }


def _snapshot(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import snapshots

    state = snapshots.publish(ctx, args["project"])
    return {"as_of": state.as_of and state.as_of.isoformat(), "n_rows": sum(state.n_rows.values())}


def _enterprises(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import enterprises

    state = enterprises.publish(ctx, args["project"])
    return {"as_of": state.as_of and state.as_of.isoformat(), "n_rows": sum(state.n_rows.values())}


def _scorecard(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import scorecard, scorecard_exchange

    if args["action"] == "start":
        view = scorecard.start(ctx, args["project"], args.get("weights"))
        return {"n_characteristics": sum(row.is_on for row in view.rows)}
    if args["action"] == "import":
        scale = scorecard.Scale(**args["scale"]) if args.get("scale") else None
        result = scorecard_exchange.import_file(
            ctx, args["project"], Path(args["path"]), names=args.get("names"), scale=scale
        )
    else:
        result = scorecard.register(ctx, args["project"])
    return {"version": result.version, "auc": result.auc.value, "bundle_hash": result.bundle_hash}


def _rejects(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import rejects

    view = rejects.study(ctx, args["project"], column=args["column"], values=tuple(args["values"]))
    return {"n_rejected": view.n_rejected, "n_accepted": view.n_accepted}


def _score(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import projects, scoring

    file_format = args.get("file_format") or "csv"
    name = f"scores-{datetime.now(UTC):%Y%m%dT%H%M%S}.{file_format}"
    result = scoring.batch(
        ctx,
        args["project"],
        projects.folder(ctx, args["project"]) / "scores" / name,
        rows=args.get("rows") or "unlabelled",
        version=args.get("version"),
        as_of=datetime.fromisoformat(args["as_of"]) if args.get("as_of") else None,
    )
    return {"path": str(result.path), "n_rows": result.n_rows, "version": result.version}


def _monitor(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import monitoring

    start, end = date.fromisoformat(args["start"]), date.fromisoformat(args["end"])
    if args.get("months"):
        reports = monitoring.check_months(ctx, args["project"], start=start, end=end, months=int(args["months"]))
    else:
        source: monitoring.Source = "tables" if args.get("source") == "tables" else "score_log"
        version = args.get("version")
        reports = [monitoring.check(ctx, args["project"], start=start, end=end, source=source, version=version)]
    return {"periods": [report.period for report in reports], "verdicts": [report.verdict for report in reports]}


def _evidently(ctx: Context, args: Args) -> dict[str, Any]:
    from workbench.flows import monitoring

    return {"path": str(monitoring.evidently(ctx, args["project"], args["period"]))}


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("import", "data.import", _import),
        Kind("sample", "data.import", _sample),
        Kind("database", "data.import", _database),
        Kind("model", "project.manage", _model),
        Kind("quality", "data.import", _quality),
        Kind("features", "feature.build", _features),
        Kind("train", "model.train", _train),
        Kind("candidate", "model.train", _candidate),
        Kind("snapshot", "snapshot.publish", _snapshot),
        Kind("enterprises", "snapshot.publish", _enterprises),
        Kind("scorecard", "model.train", _scorecard),
        Kind("rejects", "model.train", _rejects),
        Kind("score", "model.score", _score),
        Kind("monitor", "monitor.run", _monitor),
        Kind("evidently", "monitor.run", _evidently),
    )
}


def kind_named(name: str) -> Kind:
    """Return one kind of job.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    if name not in KINDS:
        raise NotFoundError(
            msg("there is no kind of job called {name}", name=name),
            fix=msg("Choose one of: {names}.", names=", ".join(KINDS)),
        )
    return KINDS[name]


def run(ctx: Context, kind: str, args: Args) -> dict[str, Any]:
    """Run one job's flow and return its result as JSON values."""
    return kind_named(kind).run(ctx, args)
