"""A bundle gives back what training made, and scores the same wherever it is loaded."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import ConflictError, IntegrityError
from features.leakage import prove_no_leakage
from features.selection import select_features
from features.spec import FeatureSpec
from model_registry.bundle import Bundle
from model_registry.manifest import seal
from model_registry.scorer import Scorer
from tests.model_registry.tiny_world import (
    LABEL,
    example_keys,
    make_tiny_bundle,
    payload,
    tiny_training,
    tiny_world,
)


@pytest.fixture(scope="module", params=["lightgbm", "logistic"])
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def bundle(family: str, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundle") / family, family, note="tiny")


def test_a_bundle_gives_back_its_parts(bundle: Bundle, family: str) -> None:
    training = tiny_training(family)
    assert bundle.plan == tiny_world().matrix.plan
    assert bundle.label == LABEL
    assert bundle.calibration == training.calibration
    assert bundle.scale == training.scale
    assert bundle.evaluation == training.evaluation
    assert bundle.explanation == training.explanation
    assert bundle.reference.n_rows == len(training.split.train)
    assert bundle.certificate is None and bundle.selection is None
    assert bundle.info["note"] == "tiny"
    assert bundle.info["family"] == family
    assert bundle.info["training_fingerprint"] == training.fingerprint
    assert bundle.info["data_fingerprint"] == tiny_world().table_set.fingerprint
    assert bundle.info["plan_fingerprint"] == bundle.plan.fingerprint


def test_the_leakage_proof_and_the_selection_travel_in_the_bundle(tmp_path: Path) -> None:
    world = tiny_world()
    certificate = prove_no_leakage(
        world.table_set, world.matrix.plan, world.labels.keys, world.labels.cutoffs, seed=1, n_cutoffs=3
    )
    rows = tiny_training("logistic").split.train
    selection = select_features(world.matrix, world.labels, rows, FeatureSpec())
    made = make_tiny_bundle(tmp_path / "whole", "logistic", certificate=certificate, selection=selection)
    assert made.certificate == certificate
    assert made.selection == selection
    assert Scorer(made).score_rows(payload(example_keys(1)[0])).probability > 0


def test_every_file_of_a_bundle_is_text(bundle: Bundle) -> None:
    for name in bundle.manifest.files:
        (bundle.folder / name).read_text(encoding="utf-8")


def test_equal_content_makes_an_equal_bundle(bundle: Bundle, family: str, tmp_path: Path) -> None:
    assert make_tiny_bundle(tmp_path / "again", family, note="tiny").hash == bundle.hash
    assert make_tiny_bundle(tmp_path / "other", family, note="other").hash != bundle.hash


def test_a_bundle_is_never_written_over(bundle: Bundle, family: str) -> None:
    with pytest.raises(ConflictError):
        make_tiny_bundle(bundle.folder, family)


def test_the_loaded_scorer_answers_bit_for_bit_as_the_trained_model(bundle: Bundle, family: str) -> None:
    training, values = tiny_training(family), tiny_world().matrix.values
    probability, points, grade = Scorer(bundle).score_matrix(values)
    np.testing.assert_array_equal(probability, training.probability(values))
    np.testing.assert_array_equal(points, training.scale.points(probability))
    np.testing.assert_array_equal(grade, training.scale.grade(probability))


def test_a_correction_to_the_long_run_rate_travels_in_the_bundle_and_scores_as_offline(tmp_path: Path) -> None:
    world, training = tiny_world(), tiny_training("logistic", 0.4)
    shifted = make_tiny_bundle(tmp_path / "shifted", "logistic", training=training)
    scorer = Scorer.load(shifted.folder)
    np.testing.assert_array_equal(
        scorer.score_matrix(world.matrix.values)[0], training.probability(world.matrix.values)
    )
    prior = shifted.evaluation.calibration.prior
    assert (prior.target, shifted.calibration.shift) == (0.4, prior.shift)
    assert prior.shift != 0


def test_rows_score_bit_for_bit_as_the_matrix(bundle: Bundle) -> None:
    world, scorer = tiny_world(), Scorer(bundle, version=3)
    probability, points, _ = scorer.score_matrix(world.matrix.values)
    position = {str(key): i for i, key in enumerate(world.labels.keys)}
    for key in example_keys(60):
        answer = scorer.score_rows(payload(key))
        row = position[key]
        np.testing.assert_array_equal(list(answer.features.values()), world.matrix.values[row])
        assert (answer.probability, answer.score) == (probability[row], points[row])
        assert np.datetime64(answer.cutoff) == world.labels.cutoffs[row].astype("datetime64[us]")
        assert (answer.version, answer.bundle_hash) == (3, bundle.hash)


def test_reasons_and_what_is_left_of_them_sum_to_the_margin(bundle: Bundle, family: str) -> None:
    world, scorer = tiny_world(), Scorer(bundle)
    contributions = scorer.contributions(world.matrix.values)
    np.testing.assert_allclose(
        contributions.sum(axis=1), tiny_training(family).model.margin(world.matrix.values), rtol=0, atol=1e-9
    )


def test_no_reasons_are_made_where_none_are_asked(bundle: Bundle) -> None:
    assert Scorer(bundle).score_rows(payload(example_keys(1)[0]), n_reasons=0).reasons == ()


def test_a_model_that_does_not_fit_its_plan_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "misfit"
    shutil.copytree(bundle.folder, folder)
    plan = bundle.plan.select(bundle.plan.aliases[:-1])
    plan.save(folder / "plan.json")
    (folder / "manifest.json").unlink()
    seal(folder)
    with pytest.raises(IntegrityError):
        Scorer.load(folder)


def test_a_model_file_that_is_cut_short_but_sealed_again_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(bundle.folder, folder)
    for path in (folder / "model").iterdir():
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (folder / "manifest.json").unlink()
    seal(folder)
    with pytest.raises(IntegrityError):
        Scorer.load(folder)


def test_a_scoring_host_needs_none_of_the_training_libraries(bundle: Bundle, tmp_path: Path) -> None:
    """Score in a process where the training libraries cannot be imported, as on a host that does not have them."""
    absent = ["pandas", "sklearn", "mlflow", "optuna", "featuretools", "evidently", "streamlit", "shap", "pyarrow",
              "duckdb", "plotly", "optbinning", "joblib", "matplotlib", "dask"]  # fmt: skip
    key = example_keys(1)[0]
    (tmp_path / "rows.json").write_text(json.dumps(payload(key)))
    program = f"""
import json, sys
for name in {absent!r}:
    sys.modules[name] = None
from pathlib import Path
import serving.app
from model_registry.scorer import Scorer
rows = json.loads(Path({str(tmp_path / "rows.json")!r}).read_text())
answer = Scorer.load(Path({str(bundle.folder)!r})).score_rows(rows)
print(repr(answer.probability))
"""
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert float(shown.stdout) == Scorer(bundle).score_rows(payload(key)).probability
