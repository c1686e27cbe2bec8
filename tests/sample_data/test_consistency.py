import numpy as np
import pandas as pd
import pytest

from sample_data import World

EVENT_TABLES = (  # all but enterprise and person
    "shareholder", "application", "contract", "repay_record", "compensation", "fin_statement", "vat_monthly",
    "judicial_case",
    "guarantee_edge", "credit_query", "macro_month",
)  # fmt: skip


@pytest.mark.parametrize("table", EVENT_TABLES)
def test_nothing_is_known_before_it_happens_nor_after_the_as_of_day(world: World, table: str) -> None:
    tables = world.table_set
    known, happened = tables.known_at(table), tables.event_time(table)
    assert known is not None
    assert happened is not None
    assert (known >= happened).all()
    assert known.max() < np.datetime64("2025-01-01")
    assert tables.as_of == pd.Timestamp("2024-12-31")


def test_late_columns_are_null_exactly_where_they_are_not_known_yet(world: World) -> None:
    groups = [(name, group) for name, table in world.table_set.tables.items() for group in table.spec.late_columns]
    assert len(groups) == 6
    for name, group in groups:
        frame = world.table_set.frame(name)
        never = frame[group.known_at].isna()
        assert frame.loc[never, group.columns].isna().all().all()
        assert frame.loc[~never, group.columns[0]].notna().all()
        row_known = world.table_set.known_at(name)
        assert (frame[group.known_at].to_numpy() >= row_known)[~never].all()


def test_a_final_status_does_not_betray_itself_early(world: World) -> None:
    # Contracts still in force carry a status known only on the as-of day: before, all contracts look alike.
    contract = world.table_set.frame("contract")
    in_force = contract["status"] == "60"
    assert (contract.loc[in_force, "status_known_at"] == pd.Timestamp("2024-12-31")).all()
    assert (contract.loc[~in_force, "status_known_at"] > contract.loc[~in_force, "disburse_known_at"]).all()


def test_keys_are_unique_and_every_link_finds_its_parent(world: World) -> None:
    tables = world.table_set
    for name, table in tables.tables.items():
        assert not table.frame.duplicated(table.spec.primary_key).any(), name
    for link in tables.data_model.relationships:
        child = tables.frame(link.child)[link.child_column]
        assert child.notna().all()
        assert child.isin(tables.frame(link.parent)[link.parent_column]).all(), str(link)


def test_assets_are_liabilities_plus_equity(world: World) -> None:
    statement = world.table_set.frame("fin_statement")
    gap = statement["total_assets"] - statement["total_liab"] - statement["equity"]
    assert np.abs(gap).max() < 0.005
    assert (statement["short_loan"] + statement["long_loan"] <= statement["total_liab"] + 0.02).all()
    assert (statement["current_assets"] + statement["fixed_assets"] <= statement["total_assets"] + 0.02).all()


def test_revenue_only_grows_within_a_year(world: World) -> None:
    statement = world.table_set.frame("fin_statement")
    order = statement["report_type"].map({"40": 1, "50": 2, "60": 3, "10": 4})
    ordered = statement.assign(order=order, year=statement["period_end"].dt.year).sort_values(
        ["ent_id", "year", "order"]
    )
    step = ordered.groupby(["ent_id", "year"])["revenue"].diff().dropna()
    assert len(step) > 1_000
    assert (step >= 0).all()


def test_annual_statements_come_after_60_to_150_days_and_quarterly_ones_after_20_to_60(world: World) -> None:
    statement = world.table_set.frame("fin_statement")
    lag = (statement["known_at"] - statement["period_end"]).dt.days
    is_annual = statement["report_type"] == "10"
    assert lag[is_annual].between(60, 150).all()
    assert lag[~is_annual].between(20, 60).all()


def test_a_repaid_contract_repaid_its_principal(world: World) -> None:
    contract, repay = world.table_set.frame("contract"), world.table_set.frame("repay_record")
    paid = repay.groupby("contract_id")["principal_paid"].sum().reindex(contract["contract_id"]).to_numpy()
    released = (contract["status"] == "90").to_numpy()
    assert released.sum() > 1_000
    np.testing.assert_allclose(paid[released], contract["amount"].to_numpy()[released], atol=0.005)
    assert (paid[~released] <= contract["amount"].to_numpy()[~released] + 0.005)[~np.isnan(paid[~released])].all()


def test_a_subrogation_pays_what_was_still_owed_and_its_shares_add_up(world: World) -> None:
    compensation, repay = world.table_set.frame("compensation"), world.table_set.frame("repay_record")
    shares = compensation[["guarantor_amount", "bank_amount", "government_amount", "reguarantor_amount"]]
    np.testing.assert_allclose(shares.sum(axis=1), compensation["total"], atol=0.005)
    np.testing.assert_allclose(compensation["principal"] + compensation["interest"], compensation["total"], atol=0.005)
    assert (shares >= 0).all().all()
    amount = world.table_set.frame("contract").set_index("contract_id")["amount"]
    paid = repay.groupby("contract_id")["principal_paid"].sum()
    owed = compensation["contract_id"].map(amount) - compensation["contract_id"].map(paid).fillna(0.0)
    np.testing.assert_allclose(compensation["principal"], owed, atol=0.005)


def test_a_subrogation_comes_only_after_the_grace_of_the_bank(world: World) -> None:
    compensation = world.table_set.frame("compensation")
    grace = compensation["contract_id"].map(world.table_set.frame("contract").set_index("contract_id")["grace_days"])
    assert ((compensation["pay_date"] - compensation["overdue_date"]).dt.days >= grace).all()
    assert (compensation["apply_date"] <= compensation["pay_date"]).all()


def test_days_overdue_are_counted_to_the_day_they_ended(world: World) -> None:
    repay, compensation = world.table_set.frame("repay_record"), world.table_set.frame("compensation")
    ended = repay["pay_date"].fillna(repay["contract_id"].map(compensation.set_index("contract_id")["pay_date"]))
    ended = ended.fillna(world.table_set.as_of)
    np.testing.assert_array_equal(repay["overdue_days"], (ended - repay["due_date"]).dt.days.clip(lower=0))
    assert (repay["known_at"] >= ended.clip(upper=world.table_set.as_of)).all()
    assert (repay["pay_date"].isna() == (repay["principal_paid"] + repay["interest_paid"] == 0)).all()


def test_times_of_a_loan_follow_one_another(world: World) -> None:
    contract = world.table_set.frame("contract").merge(world.table_set.frame("application"), on="app_id")
    assert (contract["decision"] == "approved").all()
    assert contract["app_id"].is_unique
    assert (contract["decision_time"] > contract["app_time"]).all()
    assert (contract["sign_date"] > contract["decision_time"].dt.normalize()).all()
    disbursed = contract.dropna(subset="disburse_date")
    assert (disbursed["disburse_date"] >= disbursed["sign_date"]).all()
    assert (disbursed["amount_x"] <= disbursed["amount_y"].clip(lower=5)).all()


def test_reports_are_queried_before_the_application_and_after_the_consent(world: World) -> None:
    query = world.table_set.frame("credit_query").merge(world.table_set.frame("application"), on="app_id")
    before = query["reason"] != "03"
    assert (query.loc[before, "known_at"] < query.loc[before, "app_time"]).all()
    assert (query.loc[~before, "known_at"] > query.loc[~before, "app_time"]).all()
    assert (query["auth_date"] <= query["query_time"]).all()
    assert (query["ent_id_x"] == query["ent_id_y"]).all()


def test_nothing_happens_to_a_firm_before_it_exists(world: World) -> None:
    established = world.table_set.frame("enterprise").set_index("ent_id")["est_date"]
    for table, time in (("application", "app_time"), ("vat_monthly", "month"), ("fin_statement", "period_end"),
                        ("judicial_case", "filing_date"), ("shareholder", "since")):  # fmt: skip
        frame = world.table_set.frame(table)
        assert (frame[time] >= frame["ent_id"].map(established)).all(), table


def test_shares_of_a_firm_add_up_to_one_and_its_controller_holds_one(world: World) -> None:
    holder, firms = world.table_set.frame("shareholder"), world.table_set.frame("enterprise")
    np.testing.assert_allclose(holder.groupby("ent_id")["ratio"].sum(), 1.0)
    first = holder[holder["seq"] == 1].set_index("ent_id")["person_id"]
    assert (firms["ent_id"].map(first) == firms["controller_id"]).all()
    assert (holder["person_id"].isna() == (holder["holder_type"] == "2")).all()


def test_nobody_guarantees_himself_and_bad_debtors_are_seen_only_during_the_guarantee(world: World) -> None:
    edge = world.table_set.frame("guarantee_edge")
    assert (edge["from_ent"] != edge["to_ent"]).all()
    assert (edge["end_date"] > edge["start_date"]).all()
    seen = edge.dropna(subset="class5")
    assert len(seen) > 10
    assert (seen["class5_known_at"] > seen["start_date"]).all()


def test_rings_close(world: World) -> None:
    ring = world.table_set.frame("guarantee_edge").query("guarantee_type == 'mutual'")
    members = set(ring["from_ent"])
    assert members == set(ring["to_ent"])
    assert len(members) / 3_000 == pytest.approx(0.11, abs=0.01)
