"""The leakage proof holds of everything that the credit group proposes: conditions, ratios, stacks."""

from features.leakage import prove_no_leakage
from features.planning import make_plan
from features.proposal import propose
from features.spec import FeatureSpec
from tests.features.worlds import Recipe, make_world


def test_nothing_that_the_credit_group_proposes_leaks():
    world = make_world(Recipe(seed=6, n_firms=12, n_applications=60, n_loans=150, n_payments=600, late=True))
    applications = world.frame("application")
    rows = {"keys": applications["application_id"].to_numpy(), "cutoffs": applications["asked_on"].to_numpy()}
    spec = FeatureSpec(
        primitives=["credit", "all"], max_depth=3, max_features=20_000, windows=["6m", "24m"],
        pairs=[{"table": "payment", "column": "paid", "second": "due"},
               {"table": "loan", "column": "status", "second": "recovered"}],
    )  # fmt: skip
    definitions = propose(world, "application", spec, **rows)
    assert {bool(item.where) + 2 * bool(item.stack) + 4 * bool(item.against) for item in definitions} == {0, 1, 2, 4}
    plan = make_plan(world, "application", "application_id", definitions, **rows)
    certificate = prove_no_leakage(world, plan, rows["keys"], rows["cutoffs"], seed=1, n_cutoffs=10, rows_per_cutoff=10)
    assert certificate.is_clean
    assert certificate.n_control_detected == certificate.n_control_cases > 0
