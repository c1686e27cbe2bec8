"""The sums and states inside the credit reports, as section 7.4 of the specification asks for them."""

import numpy as np
import pandas as pd
import pytest

from sample_data import World

Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def summary(tables: Tables) -> pd.DataFrame:
    """The summaries on firms by report, with what the query said."""
    query = tables["credit_query"].dropna(subset="report_id").set_index("report_id")
    return (
        tables["cr_summary"]
        .set_index("report_id")
        .join(query[["lender_count", "loan_balance", "overdue_months_24m", "has_attention", "app_id"]])
    )


@pytest.fixture(scope="module")
def personal(tables: Tables) -> pd.DataFrame:
    """The summaries on persons by report, with what the query said."""
    query = tables["credit_query"].dropna(subset="report_id").set_index("report_id")
    return tables["ind_summary"].set_index("report_id").join(query[["hard_queries_6m", "card_usage", "query_time"]])


def _per_report(values: pd.Series, report: pd.Series, index: pd.Index) -> np.ndarray:
    return values.groupby(report).sum().reindex(index).fillna(0).to_numpy()


def test_every_query_that_found_something_has_one_report_of_the_same_time(tables: Tables) -> None:
    query, report = tables["credit_query"], tables["credit_report"]
    found = query[query["result"] == "1"]
    assert found["report_id"].notna().all()
    assert query.loc[query["result"] == "0", "report_id"].isna().all()
    joined = report.merge(found, on="query_id", suffixes=("", "_asked"))
    assert len(joined) == len(report) == len(found)
    assert (joined["report_id"] == joined["report_id_asked"]).all()
    assert (joined["report_time"] == joined["known_at"]).all()
    assert (joined["ent_id"] == joined["ent_id_asked"]).all()


def test_balances_of_the_accounts_add_up_to_the_summary(tables: Tables, summary: pd.DataFrame) -> None:
    account = tables["cr_loan_account"]
    np.testing.assert_array_equal(
        _per_report(account["ED01BJ01"], account["report_id"], summary.index), summary["EB01AJ01"]
    )
    np.testing.assert_array_equal(summary["EB01AJ01"] - summary["EB01AJ02"], summary["loan_balance"])
    assert summary["EB01AJ01"].sum() > 100_000


def test_lenders_and_classes_are_those_the_query_told(tables: Tables, summary: pd.DataFrame) -> None:
    account = tables["cr_loan_account"].query("ED01AD01 == '1' and ED01AD02 != 'C1'")
    lenders = account.groupby("report_id")["ED01AI02"].nunique().reindex(summary.index)
    np.testing.assert_array_equal(lenders, summary["lender_count"])
    has_balance = summary["loan_balance"] > 0
    np.testing.assert_array_equal((summary["EB01AJ03"] > 0)[has_balance], (summary["has_attention"] == 1)[has_balance])
    assert summary["has_attention"].sum() > 20


def test_the_totals_by_kind_and_class_are_the_sums_of_their_lines(tables: Tables, summary: pd.DataFrame) -> None:
    lines = tables["cr_summary_class"]
    is_kind, is_class = lines["EB02AD01"] != "0", lines["EB02AD02"] != "0"
    total = lines[~is_kind & ~is_class].set_index("report_id")["EB02AJ06"].reindex(summary.index)
    np.testing.assert_array_equal(total, summary["EB01AJ01"] - summary["EB01AJ02"])
    for part in (is_kind & is_class, is_kind & ~is_class, ~is_kind & is_class):
        np.testing.assert_array_equal(
            _per_report(lines.loc[part, "EB02AJ06"], lines.loc[part, "report_id"], summary.index), total
        )


def test_an_account_is_closed_exactly_where_it_has_a_closing_date_and_then_owes_nothing(tables: Tables) -> None:
    account = tables["cr_loan_account"]
    closed = account["ED01AD01"] == "2"
    np.testing.assert_array_equal(closed, account["ED01AR03"].notna())
    assert (account.loc[closed, "ED01BJ01"] == 0).all()
    assert (account["ED01AR03"] <= account["report_time"])[closed].all()
    assert (account["ED01AR01"] < account["ED01AR03"])[closed].all()
    assert (account["ED01AR01"] <= account["report_time"]).all()
    established = tables["enterprise"].set_index("ent_id")["est_date"]
    assert (account["ED01AR01"] >= account["ent_id"].map(established)).all()


def test_months_overdue_go_with_amounts_overdue_and_never_exceed_the_balance(tables: Tables) -> None:
    month = tables["cr_perf"]
    assert ((month["ED01BS02"] > 0) == (month["ED01BJ04"] > 0)).all()
    assert ((month["ED01BS02"] > 0) == (month["ED01BJ05"] > 0)).all()
    assert (month["ED01BJ05"] <= month["ED01BJ01"]).all()
    assert (month["ED01BJ05"] <= month["ED01BJ04"]).all()
    assert (month["ED01BS02"] > 0).sum() > 100


def test_the_months_overdue_are_as_many_as_the_query_counted(tables: Tables, summary: pd.DataFrame) -> None:
    month = tables["cr_perf"]
    counted = _per_report((month["ED01BS02"] > 0).astype(int), month["report_id"], summary.index)
    told = summary["overdue_months_24m"].to_numpy()
    assert (counted <= told).all()
    assert (counted == told)[told > 0].mean() > 0.98  # the rest has fewer months of history than of overdue


def test_an_account_stands_where_its_latest_month_stands(tables: Tables) -> None:
    account = tables["cr_loan_account"].set_index("ED01AI01")
    latest = tables["cr_perf"].sort_values("ED01BR01").groupby("ED01AI01").last().reindex(account.index)
    for column in ("ED01BJ01", "ED01BD01", "ED01BJ04", "ED01BJ05", "ED01BS02"):
        assert (latest[column] == account[column]).all(), column


def test_the_history_of_debt_shows_the_overdue_of_the_accounts(tables: Tables) -> None:
    history, month = tables["cr_debt_hist"], tables["cr_perf"]
    assert (history["EB02CJ01"] >= history["EB02CJ02"] + history["EB02CJ03"]).all()
    assert ((history["EB02CS05"] > 0) == (history["EB02CJ04"] > 0)).all()
    by_month = month[month["ED01BS02"] > 0].groupby(["report_id", "ED01BR01"])["ED01BJ04"].sum()
    by_month = by_month[by_month.index.get_level_values(1).is_month_end]
    told = history.set_index(["report_id", "EB02CR01"])["EB02CJ04"]
    both = by_month.index.intersection(told.index)
    assert len(both) > 100
    np.testing.assert_array_equal(told[both], by_month[both])


def test_our_own_guarantees_stand_in_the_report_as_the_contracts_have_them(tables: Tables) -> None:
    own = tables["cr_guar_account"].query("ED04AD01 == 'G1'")
    contract = tables["contract"]
    joined = own.merge(contract, left_on=["ent_id", "ED04AR01"], right_on=["ent_id", "disburse_date"], how="left")
    assert (joined["ED04AJ01"] == np.ceil(joined["amount"])).all()
    assert (joined["ED04AR02"] == joined["maturity_date"]).all()
    assert (joined["disburse_known_at"] <= joined["report_time"]).all()
    repay = tables["repay_record"].merge(joined[["contract_id", "ED04AI01", "report_time"]], on="contract_id")
    is_paid = repay["pay_date"] < repay["report_time"].dt.normalize()
    paid = repay["principal_paid"].where(is_paid, 0.0).groupby(repay["ED04AI01"]).sum()
    owed = joined["amount"] - joined["ED04AI01"].map(paid).fillna(0.0)
    is_open = (joined["ED04BD01"] == "1").to_numpy()
    np.testing.assert_array_equal(joined["ED04BJ01"][is_open], np.ceil(owed - 1e-6)[is_open])
    assert (joined["ED04BJ01"][~is_open] == 0).all()
    assert is_open.sum() > 100


def test_a_subrogation_before_the_report_shows_as_a_claim_under_collection(complete: World, tables: Tables) -> None:
    claim = tables["cr_loan_account"].query("ED01AD02 == 'C1'")
    paid = tables["compensation"].groupby("ent_id")["pay_date"].min()
    report = tables["credit_report"].query("subject_type == '1'")
    after = report[report["ent_id"].map(paid) < report["report_time"].dt.normalize()]
    assert set(claim["report_id"]) == set(after["report_id"])
    assert (claim["ED01AD05"] == "41").all()
    assert (claim["ED01AD06"] == "50").all()
    assert (claim["ED01BJ01"] >= 1).all()


def test_the_guarantees_given_stand_in_the_report_of_the_guarantor(tables: Tables, summary: pd.DataFrame) -> None:
    liability, edge = tables["cr_liability"], tables["guarantee_edge"].set_index("edge_id")
    np.testing.assert_array_equal(liability["ED070J01"], liability["edge_id"].map(edge["amount"]))
    np.testing.assert_array_equal(liability["ED070J02"], liability["edge_id"].map(edge["balance"]))
    assert (liability["edge_id"].map(edge["from_ent"]) == liability["ent_id"]).all()
    assert (liability["edge_id"].map(edge["known_at"]) < liability["report_time"]).all()
    assert ((liability["ED070S01"] > 0) == (liability["ED070J03"] > 0)).all()
    seen = (
        tables["credit_report"]
        .query("subject_type == '1'")
        .merge(edge.reset_index(), left_on="ent_id", right_on="from_ent")
    )
    day = seen["report_time"].dt.normalize()
    assert ((seen["known_at"] < day) & (seen["end_date"] >= day)).sum() == len(liability)


def _sums(tables: Tables, summary: pd.DataFrame, *columns: str) -> np.ndarray:
    """Add up columns ``table.element`` of the lines of each report."""
    named = [column.split(".") for column in columns]
    return np.sum(
        [_per_report(tables[name][code], tables[name]["report_id"], summary.index) for name, code in named], axis=0
    )


def test_obligations_for_others_add_up_to_the_summary(tables: Tables, summary: pd.DataFrame) -> None:
    # Loans and discounted bills together (EB05A), guarantees by themselves (EB05B).
    for element, columns in {
        "EB05AJ03": ("cr_liability.ED070J01", "cr_liability_bill.ED080J01"),
        "EB05AJ04": ("cr_liability.ED070J02", "cr_liability_bill.ED080J02"),
        "EB05BS02": ("cr_liability_guar.ED090S01",),
        "EB05BJ01": ("cr_liability_guar.ED090J01",),
        "EB05BJ02": ("cr_liability_guar.ED090J02",),
    }.items():
        total = _sums(tables, summary, *columns)
        np.testing.assert_array_equal(total, summary[element], err_msg=element)
        assert total.sum() > 0
    for grades, of_loans, of_guarantees in ((["2"], "EB05AJ05", "EB05BJ03"), (["3", "4", "5"], "EB05AJ06", "EB05BJ04")):
        graded = {
            name: tables[name][tables[name][grade].isin(grades)]
            for name, grade in (
                ("cr_liability", "ED070D08"), ("cr_liability_bill", "ED080D04"), ("cr_liability_guar", "ED090D04")
            )
        }  # fmt: skip
        total = _sums(graded, summary, "cr_liability.ED070J02", "cr_liability_bill.ED080J02")
        np.testing.assert_array_equal(total, summary[of_loans])
        np.testing.assert_array_equal(_sums(graded, summary, "cr_liability_guar.ED090J02"), summary[of_guarantees])


def test_balances_of_guarantees_add_up_to_the_summary(tables: Tables, summary: pd.DataFrame) -> None:
    total = _sums(tables, summary, "cr_guar_account.ED04BJ01", "cr_guar_sum.ED050J01")
    np.testing.assert_array_equal(total, summary["EB01AJ05"])


def test_acceptances_and_letters_of_credit_are_one_line_per_bank_and_kind(tables: Tables) -> None:
    line = tables["cr_guar_sum"]
    assert (line[["ED050J02", "ED050J03", "ED050J04", "ED050J05"]].sum(axis=1) == line["ED050J01"]).all()
    assert not line.duplicated(["report_id", "ED050I02", "ED050D02"]).any()
    assert set(line["ED050D02"]) == {"61", "51"}
    assert (line["ED050S01"] >= 1).all()
    assert set(tables["cr_guar_account"]["ED04AD03"]) == {"01", "72"}  # no bill stands in both


def test_discounted_bills_and_guarantees_of_others_are_graded_by_what_is_overdue(tables: Tables) -> None:
    bill, guarantee = tables["cr_liability_bill"], tables["cr_liability_guar"]
    np.testing.assert_array_equal(bill["ED080D04"] != "1", bill["ED080J03"] > 0)
    assert (bill["ED080J04"] <= bill["ED080J02"]).all()
    assert (bill["ED080J02"] <= bill["ED080J05"]).all()
    assert (guarantee["ED090J02"] <= guarantee["ED090J03"]).all()
    assert (guarantee["ED090J01"] <= guarantee["ED090J03"]).all()
    assert len(bill) > 100 < len(guarantee)


def test_keys_name_the_report_and_the_number_within_it(tables: Tables) -> None:
    for name, key, unit in (
        ("cr_loan_account", "ED01AI01", "ED01"),
        ("cr_guar_sum", "ED050I01", "ED05"),
        ("ind_account", "PD01AI01", "PD01"),
    ):
        frame = tables[name]
        assert frame[key].is_unique
        assert (frame[key].str.partition("-")[0] == frame["report_id"]).all()
        assert frame[key].str.partition("-")[2].str.fullmatch(unit + r"\d{3}").all()


def test_lines_are_used_within_their_limits(tables: Tables, summary: pd.DataFrame) -> None:
    line = tables["cr_agreement"]
    assert (line["ED060J04"] <= line["ED060J01"]).all()
    for limit, used, left in (("EB040J01", "EB040J02", "EB040J03"), ("EB040J04", "EB040J05", "EB040J06")):
        np.testing.assert_array_equal(summary[limit] - summary[used], summary[left])
    is_revolving = line["ED060D03"] == "1"
    total = _per_report(line["ED060J01"][is_revolving], line["report_id"][is_revolving], summary.index)
    np.testing.assert_array_equal(total, summary["EB040J04"])


def test_public_records_were_known_before_the_report(tables: Tables, summary: pd.DataFrame) -> None:
    record = tables["cr_public"]
    for number, segment in ((2, "EF01"), (3, "EF02"), (4, "EF03"), (5, "EF04")):
        counted = _per_report((record["segment"] == segment).astype(int), record["report_id"], summary.index)
        np.testing.assert_array_equal(counted, summary[f"EB01BS{number:02d}"])
    for segment, table in (("EF01", "tax_arrears"), ("EF03", "enforcement"), ("EF04", "admin_penalty")):
        source = tables[table].set_index(tables[table].columns[0])
        part = record[record["segment"] == segment]
        assert (part["source_id"].map(source["known_at"]) < part["report_time"]).all()
        assert (part["source_id"].map(source["ent_id"]) == part["ent_id"]).all()
        assert len(part) > 20


def test_interest_in_arrears_belongs_to_an_account_overdue(tables: Tables) -> None:
    overdue = tables["cr_loan_account"].query("ED01BS02 > 0")
    assert set(tables["cr_interest_arrears"]["report_id"]) <= set(overdue["report_id"])
    assert (tables["cr_interest_arrears"]["ED030J01"] > 0).all()


def test_cards_are_used_as_the_query_told(tables: Tables, personal: pd.DataFrame) -> None:
    has_card = personal["PC02HS02"] > 0
    np.testing.assert_array_equal(has_card, personal["card_usage"].notna())
    gap = (personal["PC02HJ04"] / personal["PC02HJ01"] - personal["card_usage"])[has_card]
    assert gap.abs().max() < 0.5 / 3_000 + 5e-5
    card = tables["ind_account"].query("PD01AD01 == 'R2'")
    np.testing.assert_array_equal(
        _per_report(card["PD01AJ02"], card["report_id"], personal.index), personal["PC02HJ01"]
    )


def test_hard_queries_of_half_a_year_are_as_many_as_the_query_counted(tables: Tables, personal: pd.DataFrame) -> None:
    asked = tables["ind_query"]
    ago = (asked["report_time"].dt.normalize() - asked["PH010R01"]).dt.days
    is_hard = asked["PH010Q03"].isin(["02", "03", "08"]) & (ago <= 182)
    counted = _per_report(is_hard.astype(int), asked["report_id"], personal.index)
    is_bug = personal["query_time"].between("2024-03-04", "2024-03-25")
    np.testing.assert_array_equal(counted[~is_bug], personal["hard_queries_6m"][~is_bug])
    assert (ago > 0).all()


def test_counts_of_queries_are_tenfold_for_three_weeks_of_march_2024(tables: Tables, personal: pd.DataFrame) -> None:
    asked = tables["ind_query"]
    counted = _per_report((asked["PH010Q03"] == "01").astype(int), asked["report_id"], personal.index)
    is_bug = personal["query_time"].between("2024-03-04", "2024-03-25").to_numpy()
    assert is_bug.sum() > 5
    np.testing.assert_array_equal(personal["PC05BS06"], counted * np.where(is_bug, 10, 1))


def test_the_last_of_24_states_is_a_digit_exactly_where_something_is_overdue(tables: Tables) -> None:
    account, state = tables["ind_account"].set_index("PD01AI01"), tables["ind_status24"]
    latest = state.sort_values("PD01DR03").groupby("PD01AI01")["PD01DD01"].last().reindex(account.index)
    is_digit = latest.isin(list("1234567"))
    np.testing.assert_array_equal(is_digit, account["PD01CJ06"] > 0)
    np.testing.assert_array_equal(latest[is_digit].astype(int), account["PD01CS02"][is_digit].clip(upper=7))
    assert is_digit.sum() > 20
    assert state.groupby("PD01AI01").size().max() == 24
    assert set(state["PD01DD01"]) <= set("N*C1234567")


def test_a_run_of_states_rises_by_one_month_after_month(tables: Tables) -> None:
    state = tables["ind_status24"].sort_values(["PD01AI01", "PD01DR03"])
    digit = pd.to_numeric(state["PD01DD01"], errors="coerce").fillna(0)
    before = digit.groupby(state["PD01AI01"]).shift(fill_value=0)
    is_first = state["PD01AI01"] != state["PD01AI01"].shift()
    rising = digit[(digit > 0) & ~is_first]
    assert (rising == (before[rising.index] + 1).clip(upper=7)).all()


def test_details_reach_as_far_as_the_specification_says(tables: Tables) -> None:
    n = len(tables["credit_report"])
    assert len(tables["cr_loan_account"]) / n == pytest.approx(6.5, rel=0.15)
    assert len(tables["cr_perf"]) / len(tables["cr_loan_account"]) == pytest.approx(8, rel=0.15)
    assert len(tables["cr_debt_hist"]) / n == pytest.approx(12, rel=0.15)
    assert len(tables["ind_account"]) / n == pytest.approx(4, rel=0.15)


def test_weak_owners_are_overdue_more_often(complete: World, tables: Tables, personal: pd.DataFrame) -> None:
    application = tables["credit_report"].set_index("report_id")["app_id"].reindex(personal.index)
    owner = application.map(complete.oracle.set_index("app_id")["owner"])
    assert personal.loc[owner < -0.5, "PC02DS03"].mean() > 1.5 * personal.loc[owner > 0.5, "PC02DS03"].mean()


def test_loans_of_others_are_graded_by_their_months_overdue(tables: Tables) -> None:
    liability = tables["ind_liability"]
    by_grade = liability.groupby("PD03AD05")["PD03AS01"]
    assert by_grade.max()["1"] <= 1  # ours may be some days late
    assert by_grade.min()["2"] >= 1
    assert by_grade.min()["3"] >= 4
    assert (liability["PD03AJ02"] <= liability["PD03AJ01"]).all()
