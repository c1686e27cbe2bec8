import hashlib
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from core.errors import InputError
from core.i18n import Message
from core.progress import CallbackProgress
from sample_data import WORLD_VERSION, World, generate_world


def test_a_seed_gives_the_same_world_bit_for_bit_and_another_seed_another() -> None:
    first, again, other = (generate_world(200, seed=seed) for seed in (5, 5, 6))
    assert first.table_set.fingerprint == again.table_set.fingerprint
    pd.testing.assert_frame_equal(first.oracle, again.oracle, check_exact=True)
    assert first.table_set.fingerprint != other.table_set.fingerprint


def test_too_few_enterprises_are_refused_with_the_figure_given() -> None:
    with pytest.raises(InputError, match="n_enterprises=3"):
        generate_world(3)


def test_progress_rises_to_one() -> None:
    seen: list[float] = []

    def note(fraction: float, message: Message) -> None:
        assert message.text("zh") != message.text("en")
        seen.append(fraction)

    generate_world(50, progress=CallbackProgress(note))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_memory_stays_within_what_the_number_of_enterprises_explains() -> None:
    tracemalloc.start()
    generate_world(500)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500 * 100_000  # 2 GB at 20,000


def test_rates_lie_in_the_bands_of_the_trade(world: World, loans: pd.DataFrame) -> None:
    tables = world.table_set
    application = tables.frame("application")
    decided = application["decision"].dropna()
    assert 1.6 < len(application) / 3_000 < 2.0
    assert 0.66 < (decided == "approved").mean() < 0.76
    assert 0.017 < loans["is_subrogated"].mean() < 0.042
    assert 1.8 < loans["is_bad"].mean() / loans["is_subrogated"].mean() < 2.7
    assert 0.35 < (application.merge(loans, on="app_id")["first_guarantee"] == 0).mean() < 0.55
    assert 0.72 < (loans["term_months"] == 12).mean() < 0.84
    assert loans["loan_rate"].between(0.033, 0.055).all()
    assert loans["fee_rate"].between(0.003, 0.012).all()
    assert loans["amount"].max() <= 1_000


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("person", 1.6), ("shareholder", 2.1), ("contract", 1.2), ("repay_record", 13), ("compensation", 0.030),
        ("fin_statement", 4.5), ("judicial_case", 0.54), ("guarantee_edge", 0.40), ("credit_query", 4.6),
    ],
)  # fmt: skip
def test_tables_have_the_rows_per_enterprise_of_the_specification(world: World, table: str, expected: float) -> None:
    # judicial_case holds the enforcement cases (0.09 per firm) beside the suits (0.45); compensation holds the
    # subrogations after month 12 too, which are counted in tens here.
    tolerance = 0.2 + 2 / np.sqrt(expected * 3_000)
    assert len(world.table_set.frame(table)) / 3_000 == pytest.approx(expected, rel=tolerance)


def test_histories_reach_two_years_back_from_the_first_application(world: World) -> None:
    vat = world.table_set.frame("vat_monthly")
    assert vat["month"].min() == pd.Timestamp("2017-01-31")
    assert world.table_set.frame("application")["app_time"].min() >= pd.Timestamp("2019-01-01")
    per_firm = vat.groupby(["taxpayer_type", "ent_id"]).size().groupby("taxpayer_type").mean()
    assert per_firm["general"] > 2.5 * per_firm["small"]
    small = vat[vat["taxpayer_type"] == "small"]
    assert set(small["month"].dt.month) == {3, 6, 9, 12}


def test_the_label_by_the_tables_is_the_outcome_that_was_drawn(loans: pd.DataFrame) -> None:
    bad, subrogated = ["overdue_cured", "subrogated"], ["subrogated"]
    assert (loans["is_bad"] == loans["outcome"].isin(bad)).all()
    assert (loans["is_subrogated"] == loans["outcome"].isin(subrogated)).all()


def test_the_drawn_outcomes_follow_the_true_probabilities(world: World, loans: pd.DataFrame) -> None:
    # Calibration in thirds: the sum of probabilities is what is expected, within four standard deviations.
    for _, third in loans.groupby(pd.qcut(loans["p12"], 3, labels=False)):
        spread = np.sqrt((third["p12"] * (1 - third["p12"])).sum())
        assert abs(third["is_bad"].sum() - third["p12"].sum()) < 4 * spread
    assert (world.oracle["p12"] > world.oracle["p12_subrogation"]).all()


def test_the_attainable_auc_leaves_a_model_something_to_find(loans: pd.DataFrame) -> None:
    later = loans[loans["disburse_date"] >= "2022-01-01"]
    assert 0.74 < roc_auc_score(later["is_bad"], later["p12"]) < 0.84


def test_approved_applications_are_better_than_all(world: World) -> None:
    decided = world.table_set.frame("application").merge(world.oracle, on="app_id").dropna(subset="decision")
    approved = decided[decided["decision"] == "approved"]
    assert approved["p12_subrogation"].mean() < 0.7 * decided["p12_subrogation"].mean()


def test_the_shock_of_2022_shows_in_the_losses_and_in_the_sales(world: World, loans: pd.DataFrame) -> None:
    year = loans["disburse_date"].dt.year
    assert loans.loc[year == 2022, "p12"].mean() > 1.4 * loans.loc[year <= 2021, "p12"].mean()
    growth = world.table_set.frame("vat_monthly").groupby("month")["sales_yoy"].mean()
    assert growth["2022-06":"2023-01"].mean() < growth["2021-06":"2022-01"].mean() - 0.05


def test_the_batch_channel_takes_over_in_july_2022(world: World) -> None:
    application = world.table_set.frame("application")
    is_after = application["app_time"] >= "2022-07-01"
    before = application.loc[~is_after, "channel"].value_counts(normalize=True)
    after = application.loc[is_after, "channel"].value_counts(normalize=True)
    assert before["batch"] == pytest.approx(0.08, abs=0.02)
    assert after["batch"] == pytest.approx(0.55, abs=0.04)
    assert float(((after - before) * np.log(after / before)).sum()) > 0.8  # population stability index
    medians = application[is_after].groupby("channel")["amount"].median()
    assert medians["batch"] < 0.7 * medians["direct"]


def test_the_size_codes_move_down_by_one_in_2024(world: World) -> None:
    application = world.table_set.frame("application")
    is_new = application["app_time"] >= "2024-01-01"
    assert set(application.loc[~is_new, "scale"]) == {"3", "4", "5"}
    assert set(application.loc[is_new, "scale"]) == {"2", "3", "4"}


def test_the_query_count_is_tenfold_for_three_weeks_of_march_2024(world: World) -> None:
    persons = (
        world.table_set.frame("credit_query").query("subject_type == '2'").set_index("query_time")["hard_queries_6m"]
    )
    faulty = persons.sort_index()["2024-03-04":"2024-03-24"]
    sound = persons.sort_index()["2024-01-01":"2024-03-03"]
    assert (faulty % 10 == 0).all()
    assert faulty.mean() > 5 * sound.mean()


def test_the_new_invoices_lift_declared_sales_by_six_percent(world: World) -> None:
    vat = world.table_set.frame("vat_monthly").query("taxpayer_type == 'general' and sales > 0")
    wide = np.log(vat.pivot(index="ent_id", columns="month", values="sales"))
    step = (wide["2023-10-31"] - wide["2022-10-31"]).mean() - (wide["2023-09-30"] - wide["2022-09-30"]).mean()
    assert step == pytest.approx(np.log(1.06), abs=0.02)


def test_credit_takes_the_place_of_collateral(world: World) -> None:
    application = world.table_set.frame("application")
    on_credit = (application["counter_guarantee"] == "credit").groupby(application["app_time"].dt.year).mean()
    assert on_credit[2019] == pytest.approx(0.35, abs=0.06)
    assert on_credit[2024] == pytest.approx(0.70, abs=0.06)


def test_weak_and_micro_firms_hand_in_fewer_statements(world: World) -> None:
    firms = world.table_set.frame("enterprise")
    has_one = firms["ent_id"].isin(world.table_set.frame("fin_statement")["ent_id"])
    assert 0.15 < 1 - has_one[firms["scale"] == "5"].mean() < 0.50
    assert has_one[firms["scale"] != "5"].mean() > has_one[firms["scale"] == "5"].mean() + 0.1


def test_credit_records_are_missing_for_some(world: World) -> None:
    query = world.table_set.frame("credit_query")
    firms, persons = query[query["subject_type"] == "1"], query[query["subject_type"] == "2"]
    assert firms["lender_count"].isna().mean() == pytest.approx(0.06, abs=0.02)
    assert persons["card_usage"].isna().mean() == pytest.approx(0.08, abs=0.02)
    assert (firms["lender_count"].isna() == (firms["result"] == "0")).all()


def test_the_tables_of_the_sample_project_are_the_ones_people_know() -> None:
    # All values, as text: a change here changes every demo, figure and test that rests on the sample project, and is a
    # new version of the world.
    digest = hashlib.sha256()
    tables = generate_world(400, seed=5).table_set
    for name in tables.names:
        digest.update(name.encode())
        digest.update(tables.frame(name).to_csv(index=False).encode())
    expected = "04b5b166fda03723a0fc9a1167e6a06fa9904adccce61b658074542e1a297107"
    assert (WORLD_VERSION, digest.hexdigest()) == (2, expected)
