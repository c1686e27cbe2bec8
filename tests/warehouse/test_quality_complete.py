"""The complete sample world, clean and with the faults that it can be given, against what differs between the two."""

import numpy as np
import pytest

from sample_data import generate_world
from sample_data.complete import Size
from warehouse.quality import assess
from warehouse.standard import load

STANDARD = load()
NOT_REAL = {("enterprise", "region_code", "unknown_code")}  # the world may invent its counties
PLANTED_UNITS = [
    ("fin_statement", "total_assets"),
    ("fin_statement", "revenue"),
    ("vat_monthly", "sales"),
    ("vat_monthly", "vat_paid"),
]


@pytest.fixture(scope="module")
def worlds():
    return {dirty: generate_world(seed=5, size=Size(600, "latest"), dirty=dirty).table_set for dirty in (False, True)}


@pytest.fixture(scope="module")
def reports(worlds):
    return {dirty: assess(table_set, STANDARD) for dirty, table_set in worlds.items()}


@pytest.fixture(scope="module")
def counts(reports):
    """Count by table, column and code of what is not just to know, in the clean world and in the dirty one."""
    return {
        dirty: {
            (finding.table, finding.column, finding.code): finding.count
            for finding in report.findings
            if finding.severity != "info"
        }
        for dirty, report in reports.items()
    }


def test_every_table_of_the_world_is_one_of_the_standard_and_every_column_too(reports):
    different = [finding for finding in reports[False].findings if finding.dimension == "standard"]
    assert [finding.finding.text() for finding in different] == []


def test_the_clean_world_raises_few_alarms(counts):
    """Some 560 columns, and what draws attention is rare by nature or meant, such as the queries of March 2024."""
    alarms = set(counts[False]) - NOT_REAL
    assert len(alarms) <= 10
    assert {code for _, _, code in alarms} <= {"level_shift", "dates_out_of_order", "duplicate_rows"}


def slips(worlds, table, column):
    """Return how many rows of the dirty table hold ten thousand times what the clean one has under their key."""
    key = worlds[True].spec(table).primary_key
    clean, dirty = (worlds[is_dirty].frame(table)[[*key, column]] for is_dirty in (False, True))
    both = dirty.merge(clean.drop_duplicates(key), on=key, suffixes=("", "_clean"))
    return int((both[column] > 5_000 * both[f"{column}_clean"].clip(lower=1e-9)).sum())


@pytest.mark.parametrize(("table", "column"), PLANTED_UNITS)
def test_yuan_among_ten_thousand_yuan_are_found(worlds, counts, table, column):
    """But for one in fifty: at the end of a firm in decline, where yuan stand 500 times above its median, not 2,900."""
    expected = slips(worlds, table, column)
    found = counts[True][table, column, "unit_slip"]
    assert expected > 0
    assert 0 <= expected - found <= max(1, 0.02 * expected)


@pytest.mark.parametrize("table", ["fin_statement", "repay_record", "credit_query", "cr_loan_account", "ind_account"])
def test_rows_loaded_twice_are_found(worlds, counts, table):
    (key,) = worlds[True].spec(table).primary_key
    expected = int(worlds[True].frame(table)[key].duplicated().sum())
    assert expected > 2
    assert counts[True][table, key, "value_repeated"] == expected
    assert counts[True][table, "", "duplicate_rows"] == expected + counts[False].get((table, "", "duplicate_rows"), 0)


@pytest.mark.parametrize("table", ["vat_monthly", "social_ins", "utility_usage"])
def test_keys_of_several_columns_that_come_twice_are_found(worlds, counts, table):
    key = worlds[True].spec(table).primary_key
    expected = len(worlds[True].frame(table)) - len(worlds[True].frame(table)[key].drop_duplicates())
    assert expected > 20
    assert counts[True][table, ", ".join(key), "key_repeated"] == expected


def test_small_letters_and_swapped_dates_are_found(worlds, counts):
    codes = worlds[True].frame("enterprise")["uscc"]
    assert counts[True].get(("enterprise", "uscc", "small_letters"), 0) == (codes != codes.str.upper()).sum()
    rights = worlds[True].frame("ip_right")
    swapped = int((rights["apply_date"] > rights["grant_date"]).sum())
    assert counts[True].get(("ip_right", "apply_date, grant_date", "out_of_order"), 0) == swapped
    statements = worlds[True].frame("fin_statement")
    wrong = np.flatnonzero(statements["period_end"] >= statements["known_at"])
    assert counts[True].get(("fin_statement", "period_end, known_at", "out_of_order"), 0) == len(wrong)
    assert swapped + len(wrong) > 0


def test_faults_lower_the_scores(reports):
    assert reports[True].score < reports[False].score
