"""Each sign of a trap is seen where it is, and not where a column is merely good."""

from dataclasses import replace

import numpy as np
import pytest

from core.findings import Severity
from features.raw_columns import RawColumn, UndatedRows
from features.separation import Separation
from features.trap_checks import Rows, check_column, check_separation
from features.undated import check_undated

RNG = np.random.default_rng(11)
N = 1_000
Y = (np.arange(N) % 5 == 0).astype(float)
BAD = Y == 1
CUTOFFS = np.datetime64("2020-01-01", "ns") + np.arange(N) * np.timedelta64(1, "D")
ROWS = Rows(Y, CUTOFFS)
COLUMN = RawColumn("loan", "term", "number", np.zeros(N), RNG.permutation(N))


def found(values, kind="number", name="term", **changes):
    values = np.asarray(values, dtype=np.float64)
    return {
        item.code: item
        for item in check_column(replace(COLUMN, kind=kind, column=name, values=values, **changes), ROWS)
    }


def strong(findings):
    return {code for code, item in findings.items() if item.severity is Severity.BAD}


def test_filled_in_only_when_bad():
    late = np.where(BAD & (RNG.random(N) < 0.9), RNG.normal(size=N), np.nan)
    assert strong(found(late)) == {"filled_when_bad"}
    assert "100.0% are bad" in found(late)["filled_when_bad"].text()


def test_empty_only_when_bad():
    assert strong(found(np.where(BAD, np.nan, RNG.normal(size=N)))) == {"empty_when_bad"}


def test_missing_more_often_among_the_bads_is_no_trap():
    assert not found(np.where(RNG.random(N) < 0.2 + 0.4 * Y, np.nan, RNG.normal(size=N)))


def test_an_amount_that_only_bad_rows_have():
    written_off = np.where(BAD & (RNG.random(N) < 0.95), RNG.integers(1, 90_000, N), 0)
    assert strong(found(written_off)) == {"tell_tale_value"}
    assert "differs from 0" in found(written_off)["tell_tale_value"].text()


def test_a_grade_that_only_bad_rows_have():
    grade = np.where(BAD & (RNG.random(N) < 0.8), 3, RNG.integers(0, 3, N))
    findings = found(grade, "category", levels=("A", "B", "C", "D"))
    assert strong(findings) == {"tell_tale_value"}
    assert "is D in" in findings["tell_tale_value"].text()


def test_a_grade_that_is_merely_good_is_no_trap():
    grade = np.where(RNG.random(N) < 0.6 * Y, 3, RNG.integers(0, 4, N))
    assert not found(grade, "category", levels=("A", "B", "C", "D"))


def test_a_round_term_overwritten_when_the_case_ended():
    agreed = RNG.integers(1, 30, N) * 12
    term = np.where(BAD, agreed - RNG.integers(1, 11, N), agreed)
    assert strong(found(term)) == {"overwritten_later"}
    assert "no multiple of 12" in found(term)["overwritten_later"].text()
    assert not found(np.where(RNG.random(N) < 0.2, agreed + 1, agreed))


def test_a_date_that_only_some_have_and_that_lies_after_the_cutoff_is_an_event():
    days = np.where(RNG.random(N) < 0.3, RNG.integers(10, 900, N), np.nan)
    assert strong(found(days, "time")) == {"date_after_cutoff"}


def test_a_date_after_the_cutoff_that_all_have_may_be_a_plan():
    findings = found(RNG.integers(10, 900, N), "time")
    assert (set(findings), strong(findings)) == ({"date_after_cutoff"}, set())
    assert not found(-RNG.integers(0, 900, N), "time")


@pytest.mark.parametrize(
    ("values", "name", "severity"),
    [
        (1_000_000_007 + 3 * np.arange(N), "case", Severity.BAD),
        (RNG.permutation(90_000)[:N] * 10 + 7, "LoanNr", Severity.WATCH),
        (RNG.permutation(90_000)[:N] * 10 + 7, "loan_no", Severity.BAD),
        (RNG.permutation(90_000)[:N] * 10 + 7, "合同编号", Severity.BAD),
    ],
)
def test_a_number_that_names_the_row(values, name, severity):
    assert found(values, name=name)["identifier"].severity is severity


def test_a_number_that_follows_the_file_names_the_row():
    assert "row number" in found(COLUMN.positions * 7 + 1)["identifier"].text()


def test_a_category_that_nearly_all_rows_have_to_themselves_names_the_row():
    findings = found(np.arange(N), "category", levels=tuple(map(str, range(N))))
    assert strong(findings) == {"identifier"}


def test_names_that_features_look_for_words_in_name_no_row():
    assert not found(np.arange(N), "category", levels=tuple(map(str, range(N))), is_in_words=True)


def test_quantities_and_what_many_cases_share_name_no_row():
    assert not found(RNG.permutation(9_000)[:N] * 100)  # rounded amounts
    assert not found(RNG.normal(size=N))  # fractions
    assert not found(np.arange(N) % 40 * 10 + 7, positions=np.arange(N) % 40)  # the firm's own number


def test_a_number_that_runs_with_the_calendar():
    findings = found(2_000 + np.arange(N) // 100)
    assert (set(findings), strong(findings)) == ({"runs_with_time"}, set())


def test_an_ordinary_column_passes():
    assert not found(RNG.normal(size=N) + Y)
    assert not found(np.full(N, np.nan))


@pytest.mark.parametrize(
    ("best", "severity"),
    [
        (Separation(0.96, 0.93, 0.98), Severity.BAD),
        (Separation(0.96, 0.86, 0.99), Severity.WATCH),
        (Separation(0.96, 0.70, 0.99), None),
        (Separation(0.80, 0.79, 0.81), None),
    ],
)
def test_what_separates_alone_is_judged_by_the_lower_end_of_its_interval(best, severity):
    finding = check_separation("loan.term", best, 1)
    assert (finding and (finding.code, finding.severity)) == (severity and ("single_feature", severity))


CASES = np.repeat(np.arange(N), 3)
INSTALMENT = np.round(RNG.random(N) * 9_000, 2)


def below(numbers, of_cases):
    return UndatedRows("order", CASES, {"amount": numbers}, {"payments": of_cases})


def test_undated_rows_with_the_cases_own_number_belong_to_the_case():
    amounts = np.round(RNG.random(3 * N) * 9_000, 2)
    amounts[::3] = np.where(RNG.random(N) < 0.6, INSTALMENT, amounts[::3])
    finding = check_undated(below(amounts, INSTALMENT))
    assert (finding.code, finding.severity) == ("undated_rows_of_the_case", Severity.BAD)
    assert "amount equals the case's own payments" in finding.text()


def test_undated_rows_without_it_are_only_to_be_looked_at():
    finding = check_undated(below(np.round(RNG.random(3 * N) * 9_000, 2), INSTALMENT))
    assert (finding.code, finding.severity) == ("undated_table", Severity.WATCH)


def test_an_identifier_that_both_tables_carry_is_no_such_number():
    number = 10 * np.arange(N) + 7.0
    assert check_undated(below(number[CASES], number)).code == "undated_table"
