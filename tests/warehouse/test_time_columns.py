import pytest

from warehouse.time_columns import infer_times


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (["invoice_date"], ("invoice_date", None)),
        (["month_end"], ("month_end", None)),
        (["birth_date", "apply_date"], ("apply_date", None)),
        (["sign_date", "end_date", "maturity_date"], ("sign_date", None)),
        (["period_end", "published_at"], ("period_end", "published_at")),
        (["published_at", "period_end"], ("period_end", "published_at")),
        (["filing_date", "published_on"], ("filing_date", "published_on")),
        (["reported_date"], ("reported_date", None)),
        (["成立日期"], (None, None)),
        (["签约日期", "到期日期", "入库时间"], ("签约日期", "入库时间")),
        ([], (None, None)),
    ],
)
def test_names_decide_among_dates(dates, expected):
    assert tuple(infer_times({"x": "number", **dict.fromkeys(dates, "date")})) == expected
