"""The tables beside the fourteen: rates, drift and ties as sections 7.2 to 7.4 of the specification ask for them."""

import json

import numpy as np
import pandas as pd
import pytest

from core.errors import InputError
from sample_data import World, complete_data_model, generate_world
from sample_data.base import draw_base
from sample_data.business import recovery_frame
from sample_data.complete import SIZES, Size
from sample_data.identities import identifiers
from sample_data.public_records import OUTAGES

Tables = dict[str, pd.DataFrame]
N = 1_500

NAMED = (
    "enterprise", "person", "shareholder", "ent_change", "fin_statement", "vat_monthly", "tax_credit", "tax_arrears",
    "social_ins", "utility_usage", "judicial_case", "enforcement", "admin_penalty", "ip_right", "opinion",
    "guarantee_edge", "bank_agreement", "application", "decision_record", "contract", "counter_guarantee",
    "disbursement", "repay_plan", "repay_record", "post_check", "compensation", "recovery", "fee_record",
    "credit_query", "credit_report", "cr_summary", "cr_loan_account", "cr_perf", "cr_debt_hist", "cr_guar_account",
    "cr_agreement", "cr_liability", "cr_interest_arrears", "cr_public", "ind_summary", "ind_account", "ind_status24",
    "ind_liability", "ind_query", "macro_month", "org", "blacklist", "scored_monitor",
)  # fmt: skip


def test_every_table_of_the_specification_is_there(tables: Tables) -> None:
    assert set(NAMED) <= set(tables)
    assert set(tables) - set(NAMED) == {
        "cr_summary_class",
        "source_status",
        "cr_guar_sum",
        "cr_liability_bill",
        "cr_liability_guar",
    }
    assert all(len(frame) > 0 for frame in tables.values())


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("ent_change", 1.8), ("tax_credit", 5), ("tax_arrears", 0.08), ("social_ins", 50), ("utility_usage", 22),
        ("enforcement", 0.09), ("admin_penalty", 0.12), ("ip_right", 1.0), ("opinion", 0.4), ("decision_record", 1.75),
        ("counter_guarantee", 1.2), ("disbursement", 1.2), ("repay_plan", 13), ("post_check", 2.6), ("recovery", 0.065),
        ("fee_record", 1.2), ("credit_report", 4.1),
    ],
)  # fmt: skip
def test_tables_have_the_rows_per_enterprise_of_the_specification(tables: Tables, table: str, expected: float) -> None:
    assert len(tables[table]) / N == pytest.approx(expected, rel=0.2 + 2 / np.sqrt(expected * N))


def test_the_fourteen_tables_are_those_of_the_sample_project(complete: World) -> None:
    alone = generate_world(N, seed=11)
    for name in alone.table_set.names:
        frame = alone.table_set.frame(name)
        pd.testing.assert_frame_equal(complete.table_set.frame(name)[list(frame.columns)], frame, check_exact=True)
    pd.testing.assert_frame_equal(alone.oracle, complete.oracle, check_exact=True)


def test_a_seed_gives_the_same_complete_world_bit_for_bit_and_another_seed_another() -> None:
    first, again, other = (generate_world(seed=seed, size=Size(120)) for seed in (5, 5, 6))
    assert first.table_set.fingerprint == again.table_set.fingerprint
    assert first.table_set.fingerprint != other.table_set.fingerprint


def test_sizes_have_names_and_unknown_ones_are_refused() -> None:
    assert {name: size.n_enterprises for name, size in SIZES.items()} == {
        "small": 1_500,
        "demo": 20_000,
        "full": 40_000,
    }
    with pytest.raises(InputError, match="huge"):
        generate_world(size="huge")


def test_the_demo_size_keeps_the_details_of_the_reports_decided_on(tables: Tables) -> None:
    latest = generate_world(seed=3, size=Size(200, "latest")).table_set
    report = latest.frame("credit_report")
    kept = report[report["has_details"] == 1]
    assert set(latest.frame("cr_summary")["report_id"]) | set(latest.frame("ind_summary")["report_id"]) == set(
        kept["report_id"]
    )
    assert not kept.duplicated(["app_id", "subject_type"]).any()
    assert (kept["reason"] != "03").all()
    before = report[report["reason"] != "03"]
    newest = before.groupby(["app_id", "subject_type"])["report_time"].max()
    assert (newest == kept.set_index(["app_id", "subject_type"])["report_time"].reindex(newest.index)).all()
    assert len(newest) == len(kept) < len(report)


def test_every_table_and_column_of_the_model_is_named_in_both_languages() -> None:
    model = complete_data_model()
    for name, table in model.tables.items():
        assert set(table.label) == {"en", "zh"}, name
        for column, spec in table.columns.items():
            assert set(spec.label) == {"en", "zh"}, (name, column)
            assert spec.label["zh"] != spec.label["en"]


def test_keys_are_unique_and_every_link_finds_its_parent(complete: World, tables: Tables) -> None:
    model = complete.table_set.data_model
    for name, spec in model.tables.items():
        assert spec.primary_key, name
        assert not tables[name].duplicated(spec.primary_key).any(), name
    for link in model.relationships:
        child = tables[link.child][link.child_column]
        assert child.notna().all(), str(link)
        assert child.isin(tables[link.parent][link.parent_column]).all(), str(link)


def test_nothing_is_known_before_it_happens_nor_after_the_as_of_day(complete: World) -> None:
    checked = 0
    for name in complete.table_set.names:
        known, happened = complete.table_set.known_at(name), complete.table_set.event_time(name)
        if known is None or happened is None or name == "enterprise":
            continue
        assert (known >= happened).all(), name
        assert known.max() < np.datetime64("2025-01-01"), name
        checked += 1
    assert checked > 45


def test_late_columns_are_null_exactly_where_they_are_not_known_yet(complete: World, tables: Tables) -> None:
    for name, table in complete.table_set.tables.items():
        for group in table.spec.late_columns:
            never = tables[name][group.known_at].isna()
            assert tables[name].loc[never, group.columns].isna().all().all(), name
            assert tables[name].loc[~never, group.columns[0]].notna().all(), name
            known = complete.table_set.known_at(name)
            assert known is not None
            assert (tables[name][group.known_at].to_numpy() >= known)[~never].all(), name


def test_integers_have_no_holes(complete: World, tables: Tables) -> None:
    # Parts of a table are written one after the other: a hole in one would change the column's type in the middle.
    for name, table in complete.table_set.tables.items():
        for column in table.spec.columns_of_type("integer"):
            assert tables[name][column].dtype == np.int64, (name, column)


def test_what_was_paid_out_is_what_the_contract_says(tables: Tables) -> None:
    joined = tables["disbursement"].merge(tables["contract"], on="contract_id", suffixes=("", "_signed"))
    assert len(joined) == tables["contract"]["disburse_date"].notna().sum()
    assert (joined["amount"] <= joined["amount_signed"]).all()
    assert (joined["date"] == joined["disburse_date"]).all()
    assert (joined["maturity_date"] == joined["maturity_date_signed"]).all()
    assert (joined["known_at"] == joined["disburse_known_at"]).all()


def test_the_plan_is_the_one_agreed_on_and_does_not_know_how_the_loan_ends(tables: Tables) -> None:
    plan = tables["repay_plan"].merge(tables["contract"], on="contract_id")
    assert (
        plan.groupby("contract_id")["principal"].sum().round(2) == plan.groupby("contract_id")["amount"].first()
    ).all()
    assert (plan.groupby("contract_id")["due_date"].max() == plan.groupby("contract_id")["maturity_date"].first()).all()
    record = tables["repay_plan"].merge(tables["repay_record"], on=["contract_id", "seq"], suffixes=("", "_paid"))
    assert len(record) == len(tables["repay_record"])
    np.testing.assert_array_equal(record["principal"], record["principal_due"])
    np.testing.assert_array_equal(record["interest"], record["interest_due"])
    assert (record["due_date_paid"] <= record["due_date"]).all()  # a lump sum may be called early
    assert (record["due_date_paid"] == record["due_date"]).mean() > 0.995
    assert (record["disbursement_id"] == record["disbursement_id_paid"]).all()


def test_contract_and_subrogation_follow_the_agreement_with_the_bank(tables: Tables) -> None:
    agreement = tables["bank_agreement"]
    assert len(agreement) == 40
    shares = agreement[["guarantor_share", "bank_share", "government_share", "reguarantor_share"]]
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert (shares["bank_share"] >= 0.2).all()
    assert set(agreement["grace_days"]) == {30, 60, 90}
    assert agreement["subrogation_cap"].between(0.03, 0.05).all()
    signed = tables["contract"].merge(tables["application"], on="app_id").merge(agreement, on="agreement_id")
    np.testing.assert_allclose(signed["guarantor_liability"], signed["guarantor_share"])
    assert (signed["grace_days_x"] == signed["grace_days_y"]).all()
    paid = tables["compensation"].merge(signed, on="contract_id")
    np.testing.assert_allclose(paid["government_amount"] / paid["total"], paid["government_share"], atol=0.002)
    np.testing.assert_allclose(paid["bank_amount"] / paid["total"], paid["bank_share"], atol=0.002)


def test_the_record_of_a_decision_is_the_decision(tables: Tables) -> None:
    record = tables["decision_record"].merge(tables["application"], on="app_id", suffixes=("", "_asked"))
    assert len(record) == tables["application"]["decision"].notna().sum()
    assert (record["final_result"] == record["decision"]).all()
    assert (record["decision_time"] == record["decision_time_asked"]).all()
    hits = record["rule_hits"].map(json.loads)
    np.testing.assert_array_equal(hits.map(len), record["n_hits"])
    is_hard = hits.map(lambda names: any(name.startswith("H") for name in names))
    assert is_hard.any()
    assert (record.loc[is_hard, "auto_result"] == "reject").all()
    assert (record.loc[is_hard, "final_result"] == "rejected").all()
    assert (record["override_reason"].notna() == (record["is_override"] == 1)).all()
    assert record["score"].corr(record["pd"], method="spearman") < -0.99


def test_counter_guarantees_follow_the_form(tables: Tables) -> None:
    security = (
        tables["counter_guarantee"]
        .merge(tables["contract"], on="contract_id")
        .merge(tables["application"], on="app_id")
    )
    for asked, kind in (("personal", "2"), ("corporate", "1"), ("property", "11")):
        of_kind = security[security["counter_guarantee"] == asked]
        assert of_kind.groupby("contract_id")["type"].apply(lambda kinds, kind=kind: kind in set(kinds)).all()
    assert (security.loc[security["type"] == "2", "provider_id"].str.startswith("P")).all()
    assert set(security.loc[security["counter_guarantee"] == "credit", "type"]) == {"2"}


def test_a_visit_grades_the_loan_by_its_days_overdue(tables: Tables) -> None:
    visit = tables["post_check"].merge(tables["repay_record"], on="contract_id")
    unpaid = (visit["due_date"] < visit["check_date"]) & ~(visit["pay_date"] < visit["check_date"])
    days = (visit["check_date"] - visit["due_date"]).dt.days.where(unpaid, 0)
    worst = days.groupby(visit["check_id"]).max().reindex(tables["post_check"]["check_id"]).fillna(0).to_numpy()
    expected = np.select([worst > 90, worst > 30], ["3", "2"], "1")
    np.testing.assert_array_equal(tables["post_check"]["class5"], expected)
    assert (expected != "1").sum() > 20
    special = tables["post_check"]["risk_signal"] == "special"
    np.testing.assert_array_equal(special, worst > 30)


def test_recoveries_stay_below_what_was_subrogated_and_come_after_it(tables: Tables) -> None:
    recovery = tables["recovery"].merge(tables["compensation"], on="comp_id", suffixes=("", "_paid"))
    assert (recovery["date"] > recovery["pay_date"]).all()
    by_claim = recovery.groupby("comp_id")
    assert (by_claim["amount"].sum() < by_claim["total"].first()).all()
    assert (recovery["amount"] > 0).all()


def test_recovery_is_slow_and_faster_with_a_pledged_property() -> None:
    # Over 4,000 subrogations of 2018, a quarter of them with a property pledged: no table of a small world has so many.
    n = 4_000
    base = draw_base(50, seed=2)
    claim = pd.DataFrame({"comp_id": identifiers("K", n), "contract_id": identifiers("C", n), "ent_id": "E000001"})
    claim = claim.assign(total=100.0, pay_date=pd.Timestamp("2018-01-01"))
    is_pledged = np.arange(n) % 4 == 0
    security = pd.DataFrame({"contract_id": claim["contract_id"], "type": np.where(is_pledged, "11", "2")})
    recovery = recovery_frame(base, claim, security)
    months = (recovery["date"] - pd.Timestamp("2018-01-01")).dt.days / 30.44
    pledged = recovery["contract_id"].isin(claim["contract_id"][is_pledged])

    def share(where: "pd.Series[bool]", n_claims: int) -> float:
        return float(recovery.loc[where, "amount"].sum() / (100 * n_claims))

    assert share(~pledged & (months <= 12), 3 * n // 4) == pytest.approx(0.12, abs=0.02)
    assert share(~pledged & (months <= 36), 3 * n // 4) == pytest.approx(0.30, abs=0.02)
    assert share(pledged & (months <= 36), n // 4) == pytest.approx(0.55, abs=0.03)


def test_fees_are_those_of_the_contract(tables: Tables) -> None:
    fee = tables["fee_record"].query("type == '1'").merge(tables["contract"], on="contract_id")
    expected = fee["amount_y"] * fee["fee_rate"] * fee["term_months"] / 12
    np.testing.assert_allclose(fee["amount_x"], expected, atol=0.0051)


def test_the_guarantors_bear_what_is_owed(tables: Tables) -> None:
    org = tables["org"]
    np.testing.assert_allclose(org["leverage"], org["liability_balance"] / org["net_assets"], atol=5e-4)
    assert org["leverage"].between(0, 15).all()
    day = pd.Timestamp("2023-06-30")
    contract = tables["contract"].set_index("contract_id")
    paid_off = tables["compensation"].query("pay_date <= @day")["contract_id"]
    running = contract[(contract["disburse_date"] <= day) & ~contract.index.isin(paid_off)]
    repay = tables["repay_record"]
    repaid = repay[repay["pay_date"] <= day].groupby("contract_id")["principal_paid"].sum()
    owed = running["amount"] - repaid.reindex(running.index).fillna(0)
    borne = (
        (owed * running["guarantor_liability"])
        .groupby(running["app_id"].map(tables["application"].set_index("app_id")["org_id"]))
        .sum()
    )
    told = org[org["month"] == day].set_index("org_id")["liability_balance"]
    np.testing.assert_allclose(told, borne.reindex(told.index).fillna(0), atol=0.02)


def test_only_loans_in_force_are_monitored(tables: Tables) -> None:
    score = tables["scored_monitor"].merge(tables["contract"], on="contract_id")
    assert (score["scored_at"] > score["disburse_date"]).all()
    assert not (score["scored_at"] >= score["release_date"]).any()
    assert score["scored_at"].dt.is_quarter_end.all()
    assert score["pd"].between(0, 1).all()
    overdue = tables["post_check"].query("class5 != '1'")["contract_id"]
    assert score.loc[score["contract_id"].isin(overdue), "pd"].mean() > 1.5 * score["pd"].mean()


def test_tax_grades_follow_quality_and_new_firms_get_m(complete: World, tables: Tables) -> None:
    grade = tables["tax_credit"]
    quality = complete.oracle.groupby(tables["application"]["ent_id"].to_numpy())["quality"].mean()
    mean = grade["ent_id"].map(quality).groupby(grade["grade"]).mean()
    assert mean["A"] > mean["B"] > mean["M"] > mean["C"] > mean["D"]
    established = tables["enterprise"].set_index("ent_id")["est_date"].dt.year
    is_new = grade["year_end"].dt.year - grade["ent_id"].map(established) <= 1
    assert (grade.loc[is_new, "grade"] == "M").all()
    assert ((grade["known_at"].dt.month == 4) & (grade["known_at"].dt.year == grade["year_end"].dt.year + 1)).all()


def test_electricity_comes_from_july_2021_for_works_shops_and_restaurants(tables: Tables) -> None:
    usage, firm = tables["utility_usage"], tables["enterprise"].set_index("ent_id")
    assert set(usage["ent_id"].map(firm["sector"])) == set("CHF")
    first = usage.groupby("ent_id")["known_at"].min()
    application = tables["application"]
    has_any = application["ent_id"].map(first) < application["app_time"]
    assert has_any[application["app_time"] < "2021-07-01"].mean() == pytest.approx(0.04, abs=0.03)
    assert has_any[application["app_time"] >= "2022-01-01"].mean() == pytest.approx(0.44, abs=0.05)


@pytest.mark.parametrize(
    ("table", "column", "mean", "spread"),
    [("social_ins", "insured_count", 0.02, 0.163), ("utility_usage", "electricity_kwh", 0.02, 0.27)],
)
def test_growth_on_the_year_before_spreads_as_the_specification_says(
    tables: Tables, table: str, column: str, mean: float, spread: float
) -> None:
    # Spread: noise 0.15 and 0.06 quality, noise 0.24 and 0.09 quality; quality has a spread of about 0.97.
    wide = tables[table].pivot(index="ent_id", columns="month", values=column)
    # By the first month known: firms that are large in every month are those that grew.
    large = wide[wide.bfill(axis=1).iloc[:, 0] > 30] if column == "insured_count" else wide
    growth = np.log(large).diff(12, axis=1).to_numpy()
    growth = growth[~np.isnan(growth)]
    assert len(growth) > 2_000
    assert growth.mean() == pytest.approx(mean, abs=0.05)
    assert growth.std() == pytest.approx(spread, rel=0.2)


def test_the_shock_of_2022_shows_in_the_electricity(tables: Tables) -> None:
    wide = np.log(tables["utility_usage"].pivot(index="ent_id", columns="month", values="electricity_kwh"))
    growth = wide.diff(12, axis=1).mean()
    assert growth["2022-08":"2023-03"].mean() < growth["2024-01":"2024-11"].mean() - 0.02


def test_eight_to_sixteen_in_a_hundred_firms_give_no_access_to_social_insurance(tables: Tables) -> None:
    # 12% by the specification; firms that only just came give nothing yet.
    missing = 1 - tables["enterprise"]["ent_id"].isin(tables["social_ins"]["ent_id"]).mean()
    assert missing == pytest.approx(0.12, abs=0.04)


def test_three_firms_of_four_have_no_intellectual_property(tables: Tables) -> None:
    has_any = tables["enterprise"]["ent_id"].isin(tables["ip_right"]["ent_id"])
    assert 1 - has_any.mean() == pytest.approx(0.75, abs=0.05)
    high_tech = tables["enterprise"]["high_tech"] == 1
    assert has_any[high_tech].mean() > 2 * has_any[~high_tech].mean()


def test_a_feed_that_stands_still_says_so_and_tells_nothing(tables: Tables) -> None:
    for source, spans in OUTAGES.items():
        known = tables[source]["known_at"]
        status = tables["source_status"].query("source == @source").set_index("month")["outage_days"]
        days = sum((pd.Timestamp(last) - pd.Timestamp(first)).days + 1 for first, last in spans)
        assert status.sum() == days
        for first, last in spans:
            assert not known.between(first, last).any()
            assert status[pd.Timestamp(first) + pd.offsets.MonthEnd(0)] > 0


def test_enforcement_records_are_the_enforcement_cases(tables: Tables) -> None:
    record = tables["enforcement"].merge(tables["judicial_case"], on="case_id", suffixes=("", "_case"))
    assert (record["case_type"] == "enforcement").all()
    assert (record["ent_id"] == record["ent_id_case"]).all()
    assert (record["target_cny"] == record["amount_cny"]).all()
    assert (record["date"] == record["filing_date"]).all()
    lag = (record["known_at_case"] >= record["date"]).all()
    assert lag
    assert (record["executed_cny"].dropna() <= record["target_cny"][record["executed_cny"].notna()]).all()


def test_who_was_subrogated_for_or_is_dishonest_stands_on_the_blacklist(tables: Tables) -> None:
    listed = tables["blacklist"]
    own = listed[listed["source"] == "platform"]
    assert set(own["ent_id"]) <= set(tables["compensation"]["ent_id"])
    assert set(own["reason"]) <= {"fraud", "subrogated"}
    dishonest = tables["enforcement"].query("enforcement_type == 'dishonest'")
    assert set(listed.loc[listed["source"] == "court", "ent_id"]) <= set(dishonest["ent_id"])
    first = tables["compensation"].groupby("ent_id")["pay_date"].min()
    assert (own["listed_date"] > own["ent_id"].map(first)).all()


def test_nothing_happens_to_a_firm_before_it_exists(tables: Tables) -> None:
    established = tables["enterprise"].set_index("ent_id")["est_date"]
    for table, time in (("ent_change", "change_date"), ("admin_penalty", "date"), ("opinion", "date"),
                        ("social_ins", "month"), ("utility_usage", "month"), ("ip_right", "apply_date"),
                        ("tax_arrears", "stat_date")):  # fmt: skip
        assert (tables[table][time] >= tables[table]["ent_id"].map(established)).all(), table


def test_names_come_in_english_and_change_nothing_else() -> None:
    chinese, english = (generate_world(seed=4, size=Size(80), names=names).table_set for names in ("zh", "en"))
    assert english.frame("enterprise")["ent_name"].str.fullmatch(r"[A-Z][A-Za-z ]+ Co\., Ltd\. \(virtual\)").all()
    assert english.frame("person")["person_name"].str.fullmatch(r"[A-Z][a-z]+ X\. [A-Z][a-z]+ \(virtual\)").all()
    assert english.frame("org")["org_name"].str.endswith("(virtual)").all()
    named = {"ent_name", "person_name", "org_name", "before_change", "after_change"}
    for name in chinese.names:
        columns = [column for column in chinese.frame(name).columns if column not in named]
        pd.testing.assert_frame_equal(chinese.frame(name)[columns], english.frame(name)[columns], check_exact=True)
