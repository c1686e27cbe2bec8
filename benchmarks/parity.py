"""One score by every way: the offline matrix, the live service, the bundle read again, and ONNX.

``python -m benchmarks.parity [--small]`` prints what it compares, then one JSON object as its last line:

- ``max_rel_diff``: largest |a - b| / max(|a|, |b|) of the probabilities of the model as it was trained on the offline
  matrix, its bundle copied and read again, and the running service that is asked by id and with raw rows;
- ``max_rel_diff_features``: the same of the feature values in the service's log and those of the matrix;
  ``different_features``: how many of them are not the same bits;
- ``max_rel_diff_onnx``: of the exported ONNX graph's probabilities (onnxruntime) against the trained model's, the mean
  probability as the least size; ``onnx_by_family``: the same without such a least.

The rows are those of the sample world and, where ``WORKBENCH_TEST_DATA`` names a folder that has it, of
``uci_credit_card``: at least 10,000 each, of which a third has nulls and levels that training never saw.
"""

import argparse
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd

from automl.label import Cutoff, Labels, LabelSpec, build_labels
from automl.onnx_export import to_onnx
from automl.result import TrainingResult
from automl.spec import TrainSpec
from automl.split import make_split
from automl.training import train
from core.database import Database
from core.identity import SYSTEM, Actor, Identity
from core.settings import Settings
from features.binning import make_reference_profile
from features.matrix import FeatureMatrix, build_matrix
from features.online_places import snapshot_place
from features.online_publishing import publish_snapshot
from features.planning import make_plan
from features.proposal import propose
from features.spec import FeatureSpec
from model_registry.bundle import write_bundle
from model_registry.registry import Registry
from model_registry.scorer import Scorer
from monitoring.score_log import read_scores
from serving.server import make_server
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec
from warehouse.table_set import TableSet

__all__ = ["Case", "Parity", "compare", "sample_case", "uci_case"]

_FAMILIES = ("lightgbm", "xgboost", "catboost", "forest", "logistic")
_N_FEATURES = 40
_UNSEEN = "a level that was not there"
_LINES = {"Content-Type": "application/x-ndjson"}
_ROWS_SENT = 400
_AUTHOR, _REVIEWER = Actor("author", frozenset({"analyst"})), Actor("reviewer", frozenset({"reviewer"}))
_OPERATOR = Actor("operator", frozenset({"operator"}))


@dataclass(frozen=True)
class Case:
    """Tables to train on, the same tables spoilt, and the label."""

    name: str
    tables: TableSet
    spoilt: TableSet
    label: LabelSpec


@dataclass(frozen=True)
class Parity:
    """How far apart the ways are, at most; see this module."""

    n_rows: int
    n_features: int
    n_null: int
    n_unseen: int
    max_rel_diff: float
    max_rel_diff_features: float
    different_features: int
    max_rel_diff_onnx: float
    onnx_by_family: dict[str, float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a tenth of the rows, and LightGBM only")
    print(json.dumps(measure(small=parser.parse_args().small)))


def measure(*, small: bool) -> dict[str, Any]:
    """Return the figures of all sets together, and of each."""
    n_rows, families = (1_000, _FAMILIES[:1]) if small else (10_000, _FAMILIES)
    cases = [sample_case(n_rows)]
    if os.environ.get("WORKBENCH_TEST_DATA"):
        cases.append(uci_case(Path(os.environ["WORKBENCH_TEST_DATA"]), n_rows))
    found: dict[str, Parity] = {}
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="parity-") as place:
            begin = time.monotonic()
            made = found[case.name] = compare(case, Path(place), families)
            print(
                f"{case.name}: {made.n_rows:,} rows x {made.n_features} features, {made.n_null:,} nulls, "
                f"{made.n_unseen:,} unseen levels, {', '.join(families)}: {made.max_rel_diff:.1e}, "
                f"ONNX {made.max_rel_diff_onnx:.1e}, features {made.max_rel_diff_features:.1e} "
                f"({made.different_features} differ); {time.monotonic() - begin:.0f} s"
            )
    names = ("max_rel_diff", "max_rel_diff_features", "different_features", "max_rel_diff_onnx")
    return {
        "small": small,
        **{name: max(getattr(made, name) for made in found.values()) for name in names},
        "rows": {name: made.n_rows for name, made in found.items()},
        "onnx_by_family": {name: made.onnx_by_family for name, made in found.items()},
    }


def sample_case(n_rows: int, seed: int = 11) -> Case:
    """Return applications of the sample world, at least `n_rows`."""
    import yaml

    import sample_data

    world = sample_data.generate_world(max(int(n_rows / 1.6), 400), seed).table_set
    project = yaml.safe_load((Path(sample_data.__file__).parent / "project.yaml").read_text("utf-8"))
    label = LabelSpec.model_validate(project["labels"][0])
    return Case("sample_world", world, _spoilt(world, label, seed), label)


def uci_case(root: Path, n_rows: int, seed: int = 12) -> Case:
    """Return `n_rows` card clients with their statements."""
    folder = root / "uci_credit_card"
    clients = pd.read_csv(folder / "clients.csv.gz").head(n_rows)
    statements = pd.read_csv(folder / "statements.csv.gz", parse_dates=["month_end"])
    statements = statements[statements["client_id"].isin(clients["client_id"])]
    texts = dict.fromkeys(("SEX", "EDUCATION", "MARRIAGE"), ColumnSpec(type="category"))
    clients = clients.astype(dict.fromkeys(texts, str))
    model = DataModel(
        tables={
            "clients": TableSpec(columns={**_numbers(clients), **texts, "client_id": _KEY}, primary_key=["client_id"]),
            "statements": TableSpec(
                columns={
                    **_numbers(statements), "client_id": ColumnSpec(type="id", role="foreign_key"),
                    "statement_id": _KEY, "month_end": ColumnSpec(type="date", role="event_time"),
                },
                primary_key=["statement_id"], event_time="month_end",
            ),
        },
        relationships=[
            Relationship(parent="clients", parent_column="client_id", child="statements", child_column="client_id")
        ],
    )  # fmt: skip
    tables = TableSet.from_frames({"clients": clients, "statements": statements}, model)
    label = LabelSpec(
        name="default", root_table="clients", key_column="client_id", column="default_next_month", bad_values=[1],
        cutoff=Cutoff.model_validate({"date": "2005-10-01"}),
    )  # fmt: skip
    return Case("uci_credit_card", tables, _spoilt(tables, label, seed), label)


_KEY = ColumnSpec(type="id", role="key")


def _numbers(frame: pd.DataFrame) -> dict[str, ColumnSpec]:
    return {str(name): ColumnSpec(type="number") for name in frame.columns}


def _spoilt(tables: TableSet, label: LabelSpec, seed: int) -> TableSet:
    """Return the tables with nulls in a third of all rows, and in the root table and its parents levels never seen."""
    rng = np.random.default_rng(seed)
    frames = {name: tables.frame(name).copy() for name in tables.names}
    for name, frame in frames.items():
        spec = tables.spec(name)
        kept = {*spec.primary_key, label.column, label.key_column, label.entity_column}
        for column, its in spec.columns.items():
            if column in kept or its.role in ("key", "foreign_key"):
                continue
            chosen = rng.random(len(frame)) < 0.1
            if its.type in ("number", "integer"):
                frame.loc[chosen, column] = np.nan
            elif its.type == "category":
                frame.loc[chosen, column] = rng.choice(np.array([None, _UNSEEN], dtype=object), int(chosen.sum()))
    return TableSet.from_frames(frames, tables.data_model)


def compare(case: Case, place: Path, families: Sequence[str]) -> Parity:
    """Train each family on the sound tables, score the spoilt ones by every way, and return the largest differences.

    The first of `families` is deployed and asked live; the features are the same for all.
    """
    labels = build_labels(case.tables, case.label)
    plan = _plan(case, labels)
    matrix = build_matrix(case.tables, plan, labels.keys, labels.cutoffs)
    asked = build_matrix(case.spoilt, plan, labels.keys, labels.cutoffs)
    diffs: list[float] = []
    onnx: dict[str, float] = {}
    strict: dict[str, float] = {}
    features, n_different = 0.0, 0
    for family in families:
        training = _train(matrix, labels, family)
        offline = training.probability(asked.values)
        folder = place / family
        _write(case, matrix, training, folder)
        shutil.copytree(folder, place / f"{family}-again")
        scorer = Scorer.load(place / f"{family}-again")
        diffs.append(rel_diff(offline, scorer.score_matrix(asked.values)[0]))
        exported = _onnx(training, asked)
        onnx[family] = rel_diff(offline, exported, float(offline.mean()))
        strict[family] = rel_diff(offline, exported)
        if family == families[0]:
            live, values, rows = _live(case, folder, place / "home", asked)
            diffs += [rel_diff(offline, live), rel_diff(offline[rows.index], rows.probability)]
            n_different = int((~((values == asked.values) | (np.isnan(values) & np.isnan(asked.values)))).sum())
            features = rel_diff(np.nan_to_num(values, nan=-1.5e300), np.nan_to_num(asked.values, nan=-1.5e300))
    n_unseen = sum(
        int((asked.column(alias) == len(plan.levels.get(alias, ()))).sum()) for alias in plan.category_aliases
    )
    return Parity(
        asked.n_rows, len(plan.aliases), int(np.isnan(asked.values).sum()), n_unseen, max(diffs), features, n_different,
        max(onnx.values()), strict,
    )  # fmt: skip


def rel_diff(a: np.ndarray, b: np.ndarray, scale: float = 0.0) -> float:
    """Return the largest |a - b| / max(|a|, |b|, scale).

    Examples
    --------
    >>> rel_diff(np.array([1.0, 0.0, 4.0]), np.array([1.0, 0.0, 5.0]))
    0.2
    """
    size = np.maximum(np.maximum(np.abs(a), np.abs(b)), scale)
    return float(np.max(np.abs(a - b) / np.where(size == 0, 1.0, size), initial=0.0))


def _plan(case: Case, labels: Labels) -> Any:
    """Return a plan of features of every kind that the service computes from what it is asked about."""
    root = case.label.root_table
    spec = FeatureSpec(windows=["6m", "all"], ignore=case.label.forbidden_columns())
    items = [
        item
        for item in propose(case.tables, root, spec, keys=labels.keys, cutoffs=labels.cutoffs)
        if item.liveness == "self"
    ]
    own = [item for item in items if item.kind == "category" or item.primitive == "identity"]
    others = [item for item in items if item not in own]
    chosen = own[: _N_FEATURES // 2]
    chosen += others[:: max(len(others) // (_N_FEATURES - len(chosen)), 1)][: _N_FEATURES - len(chosen)]
    return make_plan(case.tables, root, case.label.key_column, chosen, keys=labels.keys, cutoffs=labels.cutoffs)


def _train(matrix: FeatureMatrix, labels: Labels, family: str) -> TrainingResult:
    spec = TrainSpec(
        n_trials=1, families=[family], ensemble=False, folds=2, bootstrap_draws=50, num_threads=2, seed=5, portable=True
    )
    return train(matrix, labels, make_split(labels, spec), spec)


def _write(case: Case, matrix: FeatureMatrix, training: TrainingResult, folder: Path) -> None:
    rows = training.split.train
    scores = training.scale.points(training.probability(matrix.values[rows]))
    write_bundle(
        folder, plan=matrix.plan, training=training,
        reference=make_reference_profile(matrix.values[rows], matrix.plan, scores), label=case.label, certificate=None,
        selection=None, data_fingerprint=case.tables.fingerprint, info={}, data_model=case.tables.data_model,
    )  # fmt: skip


def _onnx(training: TrainingResult, asked: FeatureMatrix) -> np.ndarray:
    import onnxruntime

    content = to_onnx(training.model, training.calibration, training.scale, asked.plan)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["probability"], {"features": asked.values})[0][:, 0])


@dataclass(frozen=True)
class _RowAnswers:
    """What the service said to raw rows: which of the questions, and the probabilities."""

    index: np.ndarray
    probability: np.ndarray


def _live(case: Case, bundle: Path, home: Path, asked: FeatureMatrix) -> tuple[np.ndarray, np.ndarray, _RowAnswers]:
    """Ask the running service for every row by id, and for some with their raw rows.

    Returns the probabilities, the feature values in its log, and the answers to raw rows.
    """
    settings = Settings(home=home, snapshot_max_age_days=100_000)
    database = Database(settings.database_url_resolved)
    database.migrate()
    registry = Registry(database, settings.artifacts, mlflow=False)
    registry.register("parity", bundle, author=_AUTHOR, run={})
    registry.submit("parity", 1, by=_AUTHOR, note="")
    registry.approve("parity", 1, by=_REVIEWER)
    registry.deploy("parity", 1, by=_OPERATOR, reason="parity")
    publish_snapshot(case.spoilt, snapshot_place(settings, "parity"), [asked.plan])
    secret = Identity(database).create_key("parity", ["model.score", "snapshot.read"], by=SYSTEM)[1]
    questions = [
        {"project": "parity", "as_of": str(cutoff.astype("datetime64[us]")), "reasons": 0, "id": str(key)}
        for key, cutoff in zip(asked.keys, asked.cutoffs, strict=True)
    ]
    index = np.linspace(0, asked.n_rows - 1, min(_ROWS_SENT, asked.n_rows)).astype(int)
    with _running(settings) as address, httpx.Client(base_url=address, timeout=3_600) as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        named = [{**question, "request_id": f"row-{i}"} for i, question in enumerate(questions)]
        by_id = _ask(client, named, keep="true")
        by_rows = _ask(client, [_with_rows(case, asked, questions[i]) for i in index], keep="false")
    values = _logged(database, asked)
    database.dispose()
    return by_id, values, _RowAnswers(index, by_rows)


def _with_rows(case: Case, asked: FeatureMatrix, question: dict[str, Any]) -> dict[str, Any]:
    from workbench.flows.payloads import gather_rows

    moment = np.datetime64(question["as_of"]).astype("datetime64[us]").item()
    tables = gather_rows(case.spoilt, asked.plan, question["id"], moment)
    rest = {name: value for name, value in question.items() if name != "id"}
    return {**rest, "key": question["id"], "tables": tables}


def _ask(client: httpx.Client, questions: Sequence[dict[str, Any]], *, keep: str) -> np.ndarray:
    body = "\n".join(json.dumps(question, ensure_ascii=False) for question in questions).encode()
    response = client.post("/v1/score/batch", content=body, headers=_LINES, params={"keep": keep})
    *lines, summary = [json.loads(line) for line in response.text.splitlines()]
    if response.status_code != httpx.codes.OK or summary["summary"]["refused"]:
        refused = next((line for line in lines if "error" in line), response.text[:500])
        raise RuntimeError(f"the service refused a row: {refused}")
    return np.array([line["answer"]["probability"] for line in lines])


def _logged(database: Database, asked: FeatureMatrix) -> np.ndarray:
    """Return the feature values of the score log, in the order of the questions."""
    logged = read_scores(database, "parity", aliases=asked.plan.aliases)
    place = {str(name): i for i, name in enumerate(logged.request_ids)}
    return np.asarray(logged.values[[place[f"row-{i}"] for i in range(asked.n_rows)]])


@contextmanager
def _running(settings: Settings) -> Iterator[str]:
    server = make_server(settings, port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        if time.monotonic() > deadline:
            raise RuntimeError("the service did not start")
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(60)


if __name__ == "__main__":
    main()
