"""The proof finds nothing in the engine, and finds what leaks."""

from dataclasses import replace

import numpy as np
import pytest

import features.leakage
from core.errors import InputError
from features.definitions import FeatureDefinition
from features.leakage import LeakageCertificate, prove_no_leakage
from features.planning import make_plan
from tests.features.test_engine import asked, definitions
from tests.features.worlds import UP, Recipe, make_world


@pytest.fixture(scope="module")
def world():
    return make_world(
        Recipe(seed=9, n_firms=20, n_applications=60, n_loans=300, n_payments=500, late=True, lag_days=9.0)
    )


def prove(world, found=None, n_cutoffs=8):
    keys, cutoffs = asked(world)
    plan = make_plan(world, "application", "application_id", found or definitions(), keys=keys, cutoffs=cutoffs)
    return prove_no_leakage(world, plan, keys, cutoffs, seed=1, n_cutoffs=n_cutoffs)


def test_the_engine_is_clean_and_the_control_would_have_noticed(world):
    certificate = prove(world)
    assert certificate.is_clean
    assert certificate.n_values_differing == 0
    assert len(certificate.cutoffs) == 8
    assert min(certificate.n_records_changed, certificate.n_records_deleted, certificate.n_records_added) > 100
    assert certificate.n_late_values_changed > 100
    assert certificate.n_control_detected == certificate.n_control_cases > 0
    assert LeakageCertificate.from_json(certificate.to_json()) == certificate


def test_cutoffs_that_include_are_found_out(world, monkeypatch):
    honest = features.leakage.compute
    monkeypatch.setattr(features.leakage, "compute", lambda *args, **_: honest(*args, inclusive=True))
    found = [item for item in definitions() if item.path[:1] == (UP,)]
    certificate = prove(replace_times(world), found)
    assert not certificate.is_clean
    assert certificate.n_values_differing > 0
    assert certificate.differing_features


def replace_times(world):
    """Put the applications exactly on records, where including the cutoff matters."""
    loans = world.frame("loan")
    application = world.frame("application").copy()
    application["asked_on"] = (loans["made_at"] + np.timedelta64(9, "D")).to_numpy()[: len(application)]
    application["firm_id"] = loans["firm_id"].to_numpy()[: len(application)]
    tables = {**world.tables, "application": replace(world.tables["application"], frame=application)}
    return replace(world, tables=tables)


def test_without_records_to_put_a_cutoff_on_the_control_says_so(world):
    certificate = prove(world, [FeatureDefinition.create((), "amount", "identity")])
    assert (certificate.control_passed, certificate.is_clean) == (None, True)


def test_without_rows_there_is_nothing_to_prove(world):
    plan = make_plan(world, "application", "application_id", definitions())
    with pytest.raises(InputError, match="no rows with a cutoff"):
        prove_no_leakage(world, plan, np.array([]), np.array([], dtype="datetime64[ns]"), seed=1)


def test_where_all_rows_share_a_cutoff_the_moments_come_from_the_records(world):
    keys, cutoffs = asked(world)
    one_day = np.full(len(cutoffs), cutoffs.max())
    plan = make_plan(world, "application", "application_id", definitions(), keys=keys, cutoffs=one_day)
    certificate = prove_no_leakage(world, plan, keys, one_day, seed=1, n_cutoffs=12)
    assert certificate.is_clean
    assert len(certificate.cutoffs) >= 12
    assert certificate.cutoffs[0] < "2021-03" < "2022-10" < certificate.cutoffs[-1]
    assert min(certificate.n_records_changed, certificate.n_records_deleted, certificate.n_records_added) > 100
    assert certificate.n_late_values_changed > 100


def test_records_of_few_days_are_proved_at_days_between_too():
    monthly = make_world(Recipe(seed=3, n_firms=5, n_applications=20, n_loans=200, days=90, step_hours=24 * 30))
    keys, cutoffs = asked(monthly)
    one_day = np.full(len(cutoffs), cutoffs.max() + np.timedelta64(40, "D"))
    plan = make_plan(monthly, "application", "application_id", definitions(), keys=keys, cutoffs=one_day)
    assert len(prove_no_leakage(monthly, plan, keys, one_day, seed=1, n_cutoffs=12).cutoffs) >= 12


def test_a_leak_at_an_earlier_day_is_found_though_all_rows_share_a_cutoff(world, monkeypatch):
    honest = features.leakage.compute
    monkeypatch.setattr(features.leakage, "compute", lambda *args, **_: honest(*args, inclusive=True))
    keys, cutoffs = asked(world)
    found = [item for item in definitions() if item.path[:1] == (UP,)]
    one_day = np.full(len(cutoffs), cutoffs.max())
    plan = make_plan(world, "application", "application_id", found, keys=keys, cutoffs=one_day)
    assert prove_no_leakage(world, plan, keys, one_day, seed=1, n_cutoffs=20).n_values_differing > 0
