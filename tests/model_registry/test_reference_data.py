"""A bundle carries the dated data of its reference features, and every answer says its date."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from automl.spec import TrainSpec
from automl.split import make_split
from automl.training import train
from core.errors import IntegrityError, UnavailableError
from features.binning import make_reference_profile
from features.definitions import FeatureDefinition, GroupColumn, PathStep, Peers
from features.matrix import build_matrix
from features.plan import ReferenceSettings
from features.planning import make_plan
from features.reference_publishing import make_snapshot
from model_registry.bundle import Bundle, write_bundle
from model_registry.scorer import Scorer
from tests.model_registry.tiny_world import DATA_MODEL, LABEL, example_keys, payload, tiny_world

AS_OF = np.datetime64("2023-07-31")
UP = PathStep("up", "enterprise", "ent_id", "ent_id")
OVERDUE = (UP, PathStep("down", "payment", "ent_id", "ent_id")), "overdue_days", "mean"


@pytest.fixture(scope="module")
def made():
    """Return the matrix of a plan with peers, and what a logistic model trained on it came to."""
    world = tiny_world()
    peers = [Peers(statistic, (GroupColumn("city"),)) for statistic in ("ratio_to_median", "percentile")]
    definitions = [FeatureDefinition.create(*OVERDUE, window="12m", peers=item) for item in peers]
    definitions.append(FeatureDefinition.create((), "amount", "identity"))
    keys, cutoffs = world.labels.keys, world.labels.cutoffs
    plan = make_plan(world.table_set, "application", "app_id", definitions, keys=keys, cutoffs=cutoffs,
                     reference=ReferenceSettings(min_size=10, n_months=60))  # fmt: skip
    matrix = build_matrix(world.table_set, plan, keys, cutoffs)
    spec = TrainSpec(n_trials=1, families=["logistic"], folds=2, bootstrap_draws=50, num_threads=1)
    return matrix, train(matrix, world.labels, make_split(world.labels, spec), spec)


def bundle_of(made, folder: Path, *, is_frozen: bool = True, **settings) -> Bundle:
    matrix, training = made
    plan = replace(matrix.plan, reference=replace(matrix.plan.reference, **settings))
    rows = training.split.train
    scores = training.scale.points(training.probability(matrix.values[rows]))
    return write_bundle(
        folder,
        plan=plan,
        training=training,
        reference=make_reference_profile(matrix.values[rows], plan, scores),
        label=LABEL,
        certificate=None,
        selection=None,
        data_fingerprint=tiny_world().table_set.fingerprint,
        info={},
        data_model=DATA_MODEL,
        reference_data=make_snapshot(tiny_world().table_set, plan, as_of=AS_OF) if is_frozen else None,
    )


def test_live_scores_are_those_of_the_matrix_and_say_the_date(made, tmp_path):
    matrix, _ = made
    bundle = bundle_of(made, tmp_path / "bundle")
    scorer = Scorer(bundle)
    assert scorer.reference_date == "2023-07-31"
    rows = {str(key): row for row, key in enumerate(matrix.keys)}
    for key in example_keys(12):
        answer = scorer.score_rows(payload(key))
        expected = matrix.values[rows[key]]
        np.testing.assert_array_equal(list(answer.features.values()), expected)
        assert answer.probability == pytest.approx(scorer.score_matrix(expected[np.newaxis])[0][0], rel=1e-12)
        assert answer.snapshots == {"reference": "2023-07-31"}
        assert "stale_reference" not in {warned.code for warned in answer.warnings}
    assert json.loads(bundle.text("reference_data.json"))["as_of"] == "2023-07-31"


def test_an_old_one_is_said_and_one_too_old_is_refused_or_flagged(made, tmp_path):
    key = example_keys(1)[0]
    scorer = Scorer(bundle_of(made, tmp_path / "refusing"))
    stale = scorer.score_rows(payload(key), cutoff="2023-09-20")
    assert [str(warned.text) for warned in stale.warnings if warned.code == "stale_reference"] == [
        "reference data reaches to 2023-07-31 only, which is before the month scored"
    ]
    with pytest.raises(UnavailableError) as refused:
        scorer.score_rows(payload(key), cutoff="2023-11-01")
    assert refused.value.code == "no_reference"
    flagging = Scorer(bundle_of(made, tmp_path / "flagging", missing="flag"))
    answer = flagging.score_rows(payload(key), cutoff="2023-11-01")
    assert "missing_reference" in {warned.code for warned in answer.warnings}
    assert np.isnan(list(answer.features.values())[:2]).all()
    assert answer.snapshots == {"reference": "2023-07-31"}


def test_newer_data_is_taken_without_another_model(made, tmp_path):
    bundle = bundle_of(made, tmp_path / "bundle")
    scorer, key = Scorer(bundle), example_keys(1)[0]
    newer = make_snapshot(tiny_world().table_set, bundle.plan, as_of=np.datetime64("2023-10-31"))
    assert scorer.refresh(newer)
    answer = scorer.score_rows(payload(key), cutoff="2023-11-01")
    assert answer.snapshots == {"reference": "2023-10-31"}
    assert answer.bundle_hash == bundle.hash
    assert not scorer.refresh(make_snapshot(tiny_world().table_set, bundle.plan, as_of=AS_OF))
    assert scorer.reference_date == "2023-10-31"
    with pytest.raises(IntegrityError, match="made for another plan"):
        scorer.refresh(replace(newer, fingerprint="0" * 64))


def test_a_bundle_without_the_data_gives_no_live_score(made, tmp_path):
    bundle = bundle_of(made, tmp_path / "bundle", is_frozen=False)
    assert bundle.reference_data is None
    with pytest.raises(UnavailableError, match="there is no reference data"):
        Scorer(bundle).score_rows(payload(example_keys(1)[0]))
