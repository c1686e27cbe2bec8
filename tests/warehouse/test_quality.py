"""Faults planted in the sample world are found with the right counts, and the clean world has none."""

import json
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest

from core.errors import CancelledError
from core.findings import Severity
from core.i18n import Message
from core.progress import CallbackProgress
from sample_data import generate_world
from warehouse.quality import QualityReport, assess
from warehouse.standard import load
from warehouse.table_set import Table, TableSet

STANDARD = load()
Change = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


@pytest.fixture(scope="module")
def world() -> TableSet:
    return generate_world(2_000, seed=3).table_set


@pytest.fixture(scope="module")
def clean(world) -> QualityReport:
    return assess(world, STANDARD)


def replaced(table_set: TableSet, **frames: pd.DataFrame) -> TableSet:
    tables = {name: Table(table.spec, frames.get(name, table.frame)) for name, table in table_set.tables.items()}
    return TableSet(tables, table_set.data_model)


def found(report: QualityReport, least: Severity = Severity.WATCH) -> dict[tuple[str, str, str], int]:
    """Return count by table, column and code, of what is not just to know."""
    order = list(Severity)
    return {
        (finding.table, finding.column, finding.code): finding.count
        for finding in report.findings
        if order.index(finding.severity) >= order.index(least)
    }


def test_the_clean_world_has_the_one_fault_it_was_given(clean):
    """In March 2024 the queries of three weeks are ten times too many; that is written into the world."""
    assert set(found(clean)) == {("credit_query", "hard_queries_6m", "level_shift")}
    assert [table.name for table in clean.tables if table.score < 100] == ["credit_query"]
    assert clean.score > 99
    assert [table.standard_table for table in clean.tables] == [table.name for table in clean.tables]


def test_nothing_of_the_clean_world_is_only_to_know_but_growth_without_a_year_before(clean):
    to_know = set(found(clean, Severity.INFO)) - set(found(clean))
    assert to_know <= {("vat_monthly", "sales_yoy", "missing_rate_drift")}


def rows_of(frame: pd.DataFrame, random: np.random.Generator, n: int) -> np.ndarray:
    return np.sort(random.choice(len(frame), n, replace=False))


def set_values(column: str, n: int, value: object) -> Change:
    def change(frame, random):
        frame.iloc[rows_of(frame, random, n), frame.columns.get_loc(column)] = value
        return frame

    return change


def multiply(column: str, n: int, factor: float) -> Change:
    def change(frame, random):
        filled = np.flatnonzero(frame[column].to_numpy() > 0)
        rows = np.sort(random.choice(filled, n, replace=False))
        frame[column] = frame[column].astype(float)
        frame.iloc[rows, frame.columns.get_loc(column)] *= factor
        return frame

    return change


def map_texts(column: str, n: int, function: Callable[[str], str]) -> Change:
    def change(frame, random):
        rows = rows_of(frame, random, n)
        frame.iloc[rows, frame.columns.get_loc(column)] = [function(text) for text in frame[column].iloc[rows]]
        return frame

    return change


def swap(one: str, other: str, n: int) -> Change:
    def change(frame, random):
        both = np.flatnonzero(frame[one].notna() & frame[other].notna() & (frame[one] != frame[other]))
        rows = np.sort(random.choice(both, n, replace=False))
        first, second = frame[one].to_numpy().copy(), frame[other].to_numpy().copy()
        first[rows], second[rows] = second[rows], first[rows].copy()
        return frame.assign(**{one: first, other: second})

    return change


def load_twice(n: int, key: str) -> Change:
    def change(frame, random):
        again = frame.iloc[rows_of(frame, random, n)].copy()
        again[key] = [f"again{number}" for number in range(n)]
        return pd.concat([frame, again], ignore_index=True)

    return change


def other_check(code: str) -> str:
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    return code[:17] + alphabet[(alphabet.index(code[17]) + 1) % 31]


PLANTED: Mapping[tuple[str, str, str], tuple[Change, int]] = {
    ("enterprise", "uscc", "invalid_credit_code"): (map_texts("uscc", 12, other_check), 12),
    ("enterprise", "uscc", "small_letters"): (
        lambda frame, _: frame.assign(
            uscc=[code.lower() if at < 400 and code != code.lower() else code for at, code in enumerate(frame["uscc"])]
        ),
        -1,
    ),
    ("enterprise", "scale", "unknown_code"): (set_values("scale", 17, "小型"), 17),
    ("enterprise", "ent_name", "value_missing"): (set_values("ent_name", 9, None), 9),
    ("enterprise", "industry_code", "wrong_pattern"): (set_values("industry_code", 6, "Z12"), 6),
    ("application", "amount", "unit_slip"): (multiply("amount", 8, 1e4), 8),
    ("fin_statement", "short_loan", "unit_slip"): (multiply("short_loan", 20, 1e4), 20),
    ("vat_monthly", "vat_paid", "unit_slip"): (multiply("vat_paid", 240, 1e4), 240),
    ("contract", "loan_rate", "unit_slip"): (multiply("loan_rate", 5, 100), 5),
    ("contract", "loan_rate", "above_maximum"): (multiply("loan_rate", 5, 100), 5),
    ("application", "term_months", "below_minimum"): (set_values("term_months", 4, -12), 4),
    ("contract", "sign_date, known_at", "out_of_order"): (swap("sign_date", "known_at", 5), 5),
    ("contract", "disburse_date, disburse_known_at", "dates_out_of_order"): (
        swap("disburse_date", "disburse_known_at", 4),
        4,
    ),
    ("vat_monthly", "month, known_at", "out_of_order"): (swap("month", "known_at", 120), 120),
    ("application", "", "duplicate_rows"): (load_twice(11, "app_id"), 11),
    ("repay_record", "contract_id", "orphan_rows"): (set_values("contract_id", 70, "C9999999"), 70),
    ("compensation", "total, principal, interest", "sum_differs"): (
        lambda frame, _: frame.assign(interest=frame["interest"] + 5 * (np.arange(len(frame)) < 6)),
        6,
    ),
    ("fin_statement", "total_assets, total_liab, equity", "sum_differs"): (
        lambda frame, _: frame.assign(equity=frame["equity"] + 1e3 * (np.arange(len(frame)) % 500 == 0)),
        19,
    ),
    ("shareholder", "ratio", "above_maximum"): (multiply("ratio", 3, 100), 3),
    ("application", "purpose", "empty_column"): (lambda frame, _: frame.assign(purpose=None), 3_594),
}


@pytest.fixture(scope="module")
def tables(world) -> Callable[[str, Change], QualityReport]:
    """Assess the world with one changed table."""

    def changed(table: str, change: Change) -> TableSet:
        frame = change(world.frame(table).copy(), np.random.default_rng(11))
        return replaced(world, **{table: frame})

    return changed


@pytest.fixture(scope="module")
def planted(world, tables) -> dict[tuple[str, str, str], tuple[int, QualityReport]]:
    """Assess, for each fault, only the table it is in and the tables that it refers to."""
    reports = {}
    for place, (change, expected) in PLANTED.items():
        changed = tables(place[0], change)
        reports[place] = (expected, assess(only(changed, place[0]), STANDARD))
    return reports


def only(table_set: TableSet, name: str) -> TableSet:
    """Return the table with its parents, and a model that names no other."""
    model = table_set.data_model
    links = model.parents_of(name)
    names = {name, *(link.parent for link in links)}
    kept = {each: table for each, table in model.tables.items() if each in names}
    small = model.model_copy(update={"tables": kept, "relationships": links})
    return TableSet({each: table_set.tables[each] for each in kept}, small)


@pytest.mark.parametrize("place", PLANTED, ids=" ".join)
def test_a_planted_fault_is_found_and_counted(planted, world, place):
    expected, report = planted[place]
    if expected < 0:
        expected = sum(code != code.lower() for code in world.frame("enterprise")["uscc"].iloc[:400])
    assert found(report)[place] == expected


@pytest.mark.parametrize("place", PLANTED, ids=" ".join)
def test_a_planted_fault_lowers_the_score_of_its_table_and_of_no_other(planted, place):
    _, report = planted[place]
    assert [table.name for table in report.tables if table.score < 100] == [place[0]]
    assert 0 <= report.score < 100


@pytest.mark.parametrize("place", PLANTED, ids=" ".join)
def test_a_planted_fault_raises_no_alarm_elsewhere(planted, place):
    """Other columns of the table stay quiet, but for those that the fault itself puts at odds."""
    _, report = planted[place]
    columns = set(place[1].split(", "))
    strangers = {
        other for other in found(report) if other[1] and not columns & set(other[1].split(", ")) and other != place
    }
    assert strangers == set()


def late_months(frame: pd.DataFrame, column: str, start: str, end: str) -> np.ndarray:
    return ((frame[column] >= start) & (frame[column] < end)).to_numpy()


def test_a_feed_that_stands_still_is_stale(world, tables):
    """VAT returns may be 100 days old; those known after 30 June 2024 are cut off, 184 days before the data ends."""
    cut = tables("vat_monthly", lambda frame, _: frame[frame["known_at"] <= "2024-06-30"].reset_index(drop=True))
    report = assess(only(cut, "vat_monthly"), STANDARD)
    (finding,) = [finding for finding in report.findings if finding.code == "stale_table"]
    newest = cut.frame("vat_monthly")["known_at"].max()
    assert (finding.message.values["age"], finding.message.values["allowed"]) == (
        (pd.Timestamp("2024-12-31") - newest).days,
        100,
    )


def test_without_a_standard_the_usual_gap_between_rows_says_what_is_stale(tables):
    cut = tables("application", lambda frame, _: frame[frame["app_time"] < "2024-03-01"].reset_index(drop=True))
    assert ("application", "", "stale_table") in found(assess(only(cut, "application")))


def test_months_that_were_not_imported_are_missing(tables, world):
    def drop(frame, random):  # in the other months of the quarter small taxpayers file nothing
        gone = late_months(frame, "month", "2022-04-01", "2022-06-01") & (random.random(len(frame)) < 0.98)
        return frame[~gone].reset_index(drop=True)

    changed = tables("vat_monthly", drop)
    n_gone = len(world.frame("vat_monthly")) - len(changed.frame("vat_monthly"))
    report = assess(only(changed, "vat_monthly"), STANDARD)
    (finding,) = [finding for finding in report.findings if finding.code == "missing_months"]
    assert finding.message.values["month"] == "2022-04, 2022-05"
    assert finding.count == pytest.approx(n_gone, rel=0.15)


def test_a_column_that_is_no_longer_sent_drifts(tables):
    """From July to September 2023 four in ten returns come without the tax paid."""
    n_lost = 0

    def lose(frame, random):
        nonlocal n_lost
        lost = late_months(frame, "month", "2023-07-01", "2023-10-01") & (random.random(len(frame)) < 0.4)
        n_lost = int(lost.sum())
        return frame.assign(vat_paid=frame["vat_paid"].mask(lost))

    report = assess(only(tables("vat_monthly", lose), "vat_monthly"), STANDARD)
    (finding,) = [
        finding for finding in report.findings if finding.code == "missing_rate_drift" and finding.severity == "watch"
    ]
    assert (finding.message.values["start"], finding.message.values["end"]) == ("2023-07", "2023-09")
    assert (finding.column, finding.count) == ("vat_paid", n_lost)


def test_a_month_in_another_unit_shifts_the_level(tables):
    def shift(frame, random):
        rows = late_months(frame, "month", "2023-03-01", "2023-04-01")
        return frame.assign(sales=frame["sales"] * np.where(rows, 10, 1))

    report = assess(only(tables("vat_monthly", shift), "vat_monthly"), STANDARD)
    (finding,) = [finding for finding in report.findings if finding.code == "level_shift"]
    assert (finding.column, finding.message.values["month"]) == ("sales", "2023-03")
    assert float(finding.message.values["factor"]) == pytest.approx(10, rel=0.2)


def test_times_after_the_data_ends_and_before_1900_cannot_be(tables):
    def change(frame, _):
        known, established = frame["known_at"].to_numpy().copy(), frame["filing_date"].to_numpy().copy()
        known[:3], established[10:14] = np.datetime64("2031-01-01"), np.datetime64("1899-12-31")
        return frame.assign(known_at=known, filing_date=established)

    codes = found(assess(only(tables("judicial_case", change), "judicial_case"), STANDARD))
    assert codes["judicial_case", "known_at", "future_dates"] == 3
    assert codes["judicial_case", "filing_date", "early_dates"] == 4


def test_sample_rows_show_key_and_column_and_hide_persons(world, tables):
    changed = tables("person", lambda frame, _: frame.assign(education="大学"))
    (person,) = assess(only(changed, "person"), STANDARD).tables
    (unknown,) = [finding for finding in person.findings if finding.code == "unknown_code"]
    assert unknown.samples[0] == {"row": "0", "person_id": "P000001", "education": "大学"}
    twice = replaced(changed, person=pd.concat([changed.frame("person")] * 2, ignore_index=True))
    (person,) = assess(only(twice, "person"), STANDARD).tables
    (repeated,) = [finding for finding in person.findings if finding.code == "value_repeated"]
    assert (repeated.severity, repeated.count) == ("bad", len(world.frame("person")))


def test_rows_loaded_twice_are_shown_with_the_names_hidden(tables):
    """A table without a key shows its first columns, names among them."""
    again = tables("person", load_twice(3, "person_id"))
    model = again.data_model
    spec = model.tables["person"].model_copy(update={"primary_key": []})
    frame = again.frame("person").drop(columns="person_id").copy()
    spec = spec.model_copy(update={"columns": {name: spec.columns[name] for name in frame}})
    alone = TableSet(
        {"person": Table(spec, frame)}, model.model_copy(update={"tables": {"person": spec}, "relationships": []})
    )
    (finding,) = [each for each in assess(alone, STANDARD).findings if each.code == "duplicate_rows"]
    assert finding.count == 3
    for sample in finding.samples:
        name = frame["person_name"].iloc[int(sample["row"])]
        assert sample["person_name"] == name[0] + "*" * (len(name) - 1)
        assert sample["id_hash"].count("*") == 28
        assert sample["education"] == frame["education"].iloc[int(sample["row"])]


def test_a_report_goes_to_json_and_back(clean, planted):
    for report in (clean, *(report for _, report in planted.values())):
        assert QualityReport.from_json(json.loads(json.dumps(report.to_json(), allow_nan=False))) == report


def test_a_score_is_the_product_of_its_dimensions_and_says_why(planted):
    _, report = planted["repay_record", "contract_id", "orphan_rows"]
    table = report.table("repay_record")
    rates = {score.dimension: score.rate for score in table.dimensions}
    share = 70 / table.profile.n_rows
    assert rates["integrity"] == share
    assert sum(rates.values()) == share
    assert table.score == pytest.approx(100 * 0.5 ** (share / 0.05), abs=0.01)
    assert report.score == pytest.approx(np.mean([each.score for each in report.tables]), abs=0.01)
    reason, *others = [message.text("zh") for message in table.explanation()]
    assert reason.startswith("关联完整性") and "70" in reason
    assert all("未发现问题" in other for other in others)


def test_a_person_may_stop_the_assessment(world):
    def stop(fraction: float, message: Message) -> None:
        if fraction > 0.5:
            raise CancelledError(message)

    with pytest.raises(CancelledError, match="checking the table"):
        assess(world, STANDARD, progress=CallbackProgress(stop))


def test_a_person_may_stop_the_comparison_with_the_standard_at_any_column(world):
    asked = []

    def stop(fraction: float, message: Message) -> None:
        if "data standard" in message.text("en"):
            asked.append((fraction, message.text("en")))
            if len(asked) == 40:
                raise CancelledError(message)

    with pytest.raises(CancelledError, match="comparing the table"):
        assess(world, STANDARD, progress=CallbackProgress(stop))
    assert len({text for _, text in asked}) < 10 < len(asked)  # told column by column, not only table by table
    assert 0.2 <= asked[0][0] <= asked[-1][0] < 0.4


def test_the_same_data_and_rules_give_the_same_report(world, clean):
    again = assess(only(world, "contract"), STANDARD).table("contract")
    assert again == clean.table("contract")
