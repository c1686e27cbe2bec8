"""What can be seen before a loan knows no more of its outcome than the true probability does."""

import numpy as np
import pandas as pd
import pytest

Tables = dict[str, pd.DataFrame]


def _z(values: pd.Series, loans: pd.DataFrame) -> float:
    """Return how many standard deviations the values lie from being unrelated to outcome minus probability."""
    known = values.notna().to_numpy()
    centred = values[known] - values[known].mean()
    p, bad = loans.loc[known, "p12"], loans.loc[known, "is_bad"]
    return float((centred * (bad - p)).sum() / np.sqrt((centred**2 * p * (1 - p)).sum()))


def _before(tables: Tables, table: str, loans: pd.DataFrame, time: str = "known_at") -> pd.DataFrame:
    asked = loans[["ent_id", "app_time"]].rename_axis("asked_for").reset_index()
    joined = tables[table].merge(asked, on="ent_id")
    return joined[joined[time] < joined["app_time"]]


@pytest.fixture(scope="module")
def asked(tables: Tables, complete_loans: pd.DataFrame) -> pd.DataFrame:
    return complete_loans.merge(tables["application"][["app_id", "app_time"]], on="app_id").set_index(
        complete_loans.index
    )


@pytest.mark.parametrize(
    ("table", "column", "time"),
    [
        ("social_ins", "insured_count", "known_at"),
        ("social_ins", "in_arrears", "known_at"),
        ("utility_usage", "electricity_kwh", "known_at"),
        ("opinion", "sentiment", "known_at"),
        ("post_check", "check_id", "known_at"),
        ("ent_change", "change_id", "known_at"),
        ("scored_monitor", "pd", "known_at"),
        ("decision_record", "pd", "decision_time"),
        ("cr_summary", "EB02AJ03", "report_time"),
        ("cr_loan_account", "ED01AI01", "report_time"),
        ("ind_summary", "PC02DS03", "report_time"),
        ("ind_query", "ind_query_id", "report_time"),
        ("blacklist", "blacklist_id", "listed_date"),
        ("fee_record", "amount", "known_at"),
    ],
)
def test_what_was_known_before_the_application_says_nothing_beyond_the_true_probability(
    tables: Tables, asked: pd.DataFrame, table: str, column: str, time: str
) -> None:
    seen = _before(tables, table, asked, time).groupby("asked_for")[column]
    values = seen.count() if tables[table][column].dtype == object else seen.mean()
    known = values.reindex(asked.index)
    if tables[table][column].dtype == object:
        known = known.fillna(0)
    assert abs(_z(known, asked)) < 4


def test_after_the_disbursement_the_visits_do_know(tables: Tables, asked: pd.DataFrame) -> None:
    # The control: the same measure on what is seen later finds the outcome.
    signal = (tables["post_check"]["risk_signal"] != "normal").astype(float)
    worst = signal.groupby(tables["post_check"]["contract_id"]).max()
    assert _z(worst.reindex(asked.index).fillna(0.0), asked) > 8
