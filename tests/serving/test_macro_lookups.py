"""A model that reads the months of the economy scores by id, by row and from all rows as the offline matrix does."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from automl.spec import TrainSpec
from automl.split import make_split
from automl.training import train
from features.binning import make_reference_profile
from features.definitions import FeatureDefinition, GroupColumn, PathStep, Peers
from features.matrix import FeatureMatrix, build_matrix
from features.online_places import reference_path, snapshot_place
from features.online_publishing import publish_snapshot
from features.plan import FeaturePlan, ReferenceSettings
from features.planning import make_plan
from features.reference import ReferenceSnapshot, compute_live
from features.reference_publishing import make_snapshot, publish_reference
from model_registry.bundle import write_bundle
from model_registry.scorer import Scorer
from serving.deployed import DeployedModel, Slot
from serving.lookups import Lookups
from serving.request_form import ScoreRequest
from serving.scoring import score
from tests.model_registry.tiny_world import DATA_MODEL, LABEL, example_keys, payload, tiny_world
from tests.serving.conftest import PROJECT, Site, make_site
from warehouse.data_model import ColumnSpec, DataModel, TableSpec
from warehouse.table_set import TableSet

MODEL = DataModel(
    tables={
        **DATA_MODEL.tables,
        "economy": TableSpec(
            columns={
                "month": ColumnSpec(type="date", role="event_time"),
                "published_on": ColumnSpec(type="date", role="known_at"),
                "pmi": ColumnSpec(type="number"),
                "is_tight": ColumnSpec(type="boolean"),
                "mood": ColumnSpec(type="category"),
            },
            event_time="month",
            known_at="published_on",
            is_macro=True,
        ),
    },
    relationships=DATA_MODEL.relationships,
)
DATE = "2023-07-31"


@dataclass(frozen=True)
class Macro:
    """The tables with the months, the offline matrix, the bundle of a model trained on it, and a service's home."""

    tables: TableSet
    matrix: FeatureMatrix
    bundle: Path

    def expected(self, key: str) -> np.ndarray:
        """Return the row of the matrix of one case."""
        return self.matrix.values[list(self.matrix.keys).index(key)]


@pytest.fixture(scope="module")
def macro(tmp_path_factory: pytest.TempPathFactory) -> Macro:
    months = pd.date_range("2018-01-31", "2023-12-31", freq="ME")
    rng = np.random.default_rng(3)
    economy = pd.DataFrame(
        {
            "month": months,
            "published_on": months + pd.Timedelta(days=10),
            "pmi": np.where(np.arange(len(months)) % 9 == 4, np.nan, rng.normal(50, 2, len(months))),
            "is_tight": rng.integers(0, 2, len(months)).astype(float),
            "mood": rng.choice(["up", "down", None], len(months)),
        }
    ).sample(frac=1, random_state=0)
    frames = {name: tiny_world().table_set.frame(name) for name in DATA_MODEL.tables}
    tables, labels = TableSet.from_frames({**frames, "economy": economy}, MODEL), tiny_world().labels
    known = {"keys": labels.keys, "cutoffs": labels.cutoffs}
    plan = make_plan(
        tables, "application", "app_id", definitions(), reference=ReferenceSettings(min_size=10, n_months=60), **known
    )
    matrix = build_matrix(tables, plan, labels.keys, labels.cutoffs)
    spec = TrainSpec(n_trials=1, families=["logistic"], folds=2, bootstrap_draws=50, num_threads=1)
    training = train(matrix, labels, make_split(labels, spec), spec)
    values = matrix.values[training.split.train]
    folder = tmp_path_factory.mktemp("macro") / "bundle"
    write_bundle(
        folder,
        plan=plan,
        training=training,
        reference=make_reference_profile(values, plan, training.scale.points(training.probability(values))),
        label=LABEL,
        certificate=None,
        selection=None,
        data_fingerprint=tables.fingerprint,
        info={},
        data_model=MODEL,
        reference_data=make_snapshot(tables, plan, as_of=np.datetime64(DATE)),
    )
    return Macro(tables, matrix, folder)


def definitions() -> list[FeatureDefinition]:
    months, up = (PathStep("down", "economy", "", ""),), PathStep("up", "enterprise", "ent_id", "ent_id")
    payments = (up, PathStep("down", "payment", "ent_id", "ent_id"))
    create = FeatureDefinition.create
    return [
        create(months, "pmi", "last"),
        create(months, "pmi", "trend", window="12m"),
        create(months, "is_tight", "percent_true", window="6m"),
        create(months, "mood", "mode", kind="category", window="24m"),
        create(months, None, "time_since_last"),
        create((), "amount", "identity"),
        create(payments, "overdue_days", "mean", window="12m"),
        create(payments, "overdue_days", "mean", window="12m", peers=Peers("ratio_to_median", (GroupColumn("city"),))),
    ]


@pytest.fixture(params=["file", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def site(request: pytest.FixtureRequest, macro: Macro, tmp_path: Path) -> Iterator[Site]:
    chosen = {} if request.param == "file" else {"snapshot_store": request.getfixturevalue("postgresql_url")}
    site = make_site(tmp_path / "home", (macro.bundle,), **chosen)
    site.deploy(1)
    macro.tables.save(tmp_path / "tables")  # published from files, as the workbench does
    as_of = macro.tables.as_of.to_datetime64()
    publish_snapshot(tmp_path / "tables", snapshot_place(site.settings, PROJECT), [macro.matrix.plan], as_of=as_of)
    yield site
    site.database.dispose()


def test_features_by_id_by_row_and_from_all_rows_are_those_of_the_matrix(macro: Macro, site: Site) -> None:
    scorer = Scorer.load(macro.bundle)
    model = DeployedModel(Slot(PROJECT, "champion", 1, scorer.bundle_hash, "2023-08-01T00:00:00+00:00", None), scorer)
    lookups = Lookups(site.settings)
    cutoffs = dict(zip(macro.matrix.keys, macro.matrix.cutoffs, strict=True))
    for key in example_keys(40):
        moment = str(cutoffs[key].astype("datetime64[s]"))
        rows = payload(key)
        for content in ({"id": key}, {"row": rows["application"][0]}, {"tables": rows, "key": key}):
            request = ScoreRequest.model_validate({"project": PROJECT, "as_of": moment, **content})
            gathered = lookups.gather(model, request) if request.is_looked_up else None
            answer = score(model, request, "r", "en", gathered)
            np.testing.assert_array_equal(list(answer.features.values()), macro.expected(key), str(content)[:40])
            assert answer.snapshots["reference"] == DATE
            assert ("online" in answer.snapshots) == ("tables" not in content)
    lookups.close()


def test_a_plan_of_nothing_but_months_and_the_row_itself_is_served_too(macro: Macro, site: Site) -> None:
    plan = macro.matrix.plan.select([alias for alias in macro.matrix.plan.aliases if "payment" not in alias])
    assert plan.keyless_tables == ("economy",)
    reference = publish_and_load(macro, site, plan)
    keys, cutoffs = macro.matrix.keys[-60:], macro.matrix.cutoffs[-60:]
    tables, found = snapshot_place(site.settings, PROJECT).reader().current().rows_of_each(plan, list(keys))
    assert len(found) == len(keys)
    values, uses = compute_live(plan, reference, tables, keys, cutoffs)
    columns = [macro.matrix.plan.positions[alias] for alias in plan.aliases]
    np.testing.assert_array_equal(values, macro.matrix.values[-60:, columns])
    assert {use.date for use in uses} == {DATE}


def publish_and_load(macro: Macro, site: Site, plan: FeaturePlan) -> ReferenceSnapshot:
    """Publish the months from files, as beside a running service, and read them back."""
    path = reference_path(site.settings, PROJECT, plan)
    assert publish_reference(site.settings.home.parent / "tables", path, plan, as_of=np.datetime64(DATE)) == DATE
    return ReferenceSnapshot.load(path, plan)


def test_the_service_answers_alike_in_every_form_and_says_both_dates(macro: Macro, site: Site) -> None:
    scorer, keys = Scorer.load(macro.bundle), example_keys(12)
    moments = {key: asked_at(key) for key in keys}
    with site.client() as client:
        for key in keys:
            probability = scorer.score_matrix(macro.expected(key)[np.newaxis])[0][0]
            for content in ({"id": key}, {"row": payload(key)["application"][0]}, {"tables": payload(key), "key": key}):
                answer = ask(client, {**content, "as_of": moments[key]})
                assert answer["probability"] == pytest.approx(probability, rel=1e-12)
                assert answer["snapshots"]["reference"] == DATE
        lines = [{"project": PROJECT, "id": key, "as_of": moments[key]} for key in keys]
        body = b"\n".join(json.dumps(line).encode() for line in lines)
        response = client.post("/v1/score/batch", content=body, headers={"Content-Type": "application/x-ndjson"})
        answers = [json.loads(line)["answer"] for line in response.text.splitlines()[:-1]]
        for key, answer in zip(keys, answers, strict=True):
            alone = ask(client, {"id": key, "as_of": moments[key]})
            assert (answer["probability"], answer["snapshots"]) == (alone["probability"], alone["snapshots"])


def asked_at(key: str) -> str:
    return str(payload(key)["application"][0]["applied_at"])


def ask(client: httpx.Client, content: dict[str, Any]) -> dict[str, Any]:
    response = client.post("/v1/score", json={"project": PROJECT, **content})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found
