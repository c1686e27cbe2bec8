import numpy as np
import pandas as pd
import pytest

from core.errors import InputError
from sample_data import World, generate_world
from sample_data.dirt import DUPLICATED, SWAPPED_DATES, WRONG_UNITS
from sample_data.identities import is_valid_credit_code


@pytest.fixture(scope="module")
def dirty() -> World:
    return generate_world(size="small", seed=11, dirty=True)


def test_faults_need_a_complete_world() -> None:
    with pytest.raises(InputError, match="dirty"):
        generate_world(100, dirty=True)


def test_three_rows_in_a_thousand_stand_twice(complete: World, dirty: World) -> None:
    clean = sum(len(complete.table_set.frame(name)) for name in DUPLICATED)
    soiled = sum(len(dirty.table_set.frame(name)) for name in DUPLICATED)
    assert soiled / clean - 1 == pytest.approx(0.003, rel=0.1)
    vat = dirty.table_set.frame("vat_monthly")
    assert vat.duplicated(["ent_id", "month"]).sum() == len(vat) - len(complete.table_set.frame("vat_monthly"))


def test_two_rows_in_a_thousand_are_in_the_wrong_unit(complete: World, dirty: World) -> None:
    clean, soiled = complete.table_set.frame("vat_monthly"), dirty.table_set.frame("vat_monthly").drop_duplicates()
    both = clean.merge(soiled, on=["ent_id", "month"], suffixes=("", "_soiled")).query("sales > 0")
    ratio = both["sales_soiled"] / both["sales"]
    assert np.isclose(ratio, 1).sum() + np.isclose(ratio, 10_000).sum() == len(both)
    assert np.isclose(ratio, 10_000).mean() == pytest.approx(0.002, rel=0.3)
    assert set(WRONG_UNITS) == {"fin_statement", "vat_monthly", "application"}


def test_one_row_in_a_thousand_has_its_dates_swapped(complete: World, dirty: World) -> None:
    n_swapped = n_rows = 0
    for name, (first, second) in SWAPPED_DATES.items():
        frame = dirty.table_set.frame(name)
        n_swapped += int((frame[first] > frame[second]).sum())
        n_rows += len(frame)
        clean = complete.table_set.frame(name)
        assert (clean[first] <= clean[second]).all()
    assert n_swapped == pytest.approx(0.001 * n_rows, abs=4 * np.sqrt(0.001 * n_rows))
    assert n_swapped > 0


def test_one_credit_code_in_two_hundred_is_in_lower_case(dirty: World) -> None:
    code = dirty.table_set.frame("enterprise")["uscc"]
    is_lower = code != code.str.upper()
    assert 1 <= is_lower.sum() <= 20
    assert not code[is_lower].map(is_valid_credit_code).any()
    assert code.str.upper().map(is_valid_credit_code).all()


def test_all_else_is_as_in_the_clean_world(complete: World, dirty: World) -> None:
    for name in set(complete.table_set.names) - {*DUPLICATED, *WRONG_UNITS, *SWAPPED_DATES, "enterprise"}:
        pd.testing.assert_frame_equal(dirty.table_set.frame(name), complete.table_set.frame(name), check_exact=True)
