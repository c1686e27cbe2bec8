"""A running service takes newer reference data as it is published."""

from datetime import UTC, datetime

import numpy as np

from core.settings import Settings
from features.online_places import reference_path
from features.reference_publishing import publish_reference
from model_registry.scorer import Scorer
from serving.answers import answer_of, record_of
from serving.deployed import DeployedModel, Slot
from serving.references import References
from tests.model_registry.test_reference_data import bundle_of, made
from tests.model_registry.tiny_world import example_keys, payload, tiny_world

__all__ = ["made"]


def test_a_service_takes_what_is_published_beside_the_online_snapshot(made, tmp_path, caplog):
    settings = Settings(home=tmp_path / "home")
    bundle = bundle_of(made, tmp_path / "bundle")
    model = DeployedModel(Slot("loans", "champion", 1, bundle.hash, "2023-08-01T00:00:00+00:00", None), Scorer(bundle))
    references, path = References(settings), reference_path(settings, "loans", bundle.plan)
    references.refresh([model])
    assert model.scorer.reference_date == "2023-07-31"
    publish_reference(tiny_world().table_set, path, bundle.plan, as_of=np.datetime64("2023-09-30"))
    references.refresh([model])
    assert model.scorer.reference_date == "2023-09-30"
    path.write_text("broken")
    references.refresh([model])
    assert model.scorer.reference_date == "2023-09-30"
    assert "cannot be used" in caplog.text
    answer = model.scorer.score_rows(payload(example_keys(1)[0]), cutoff="2023-10-05")
    record = record_of(model, answer, request_id="r", payload_hash="", language="zh", asked_at=datetime.now(UTC))
    assert answer_of(record)["snapshots"] == {"reference": "2023-09-30"}
