import json

import numpy as np
import pandas as pd
import pytest

from warehouse.data_model import DataModel
from warehouse.profile import profile
from warehouse.table_set import TableSet

MODEL = DataModel.from_text(
    """
tables:
  clients:
    label: {zh: 客户}
    columns: {client_id: {type: id, role: key}, none: {type: number}}
    primary_key: [client_id]
  loans:
    columns:
      client_id: {type: id, role: foreign_key}
      amount: {type: number, unit: CNY}
      grade: {type: category}
      signed: {type: date, role: event_time}
    event_time: signed
relationships: [{parent: clients, parent_column: client_id, child: loans, child_column: client_id}]
"""
)


@pytest.fixture
def loans():
    random = np.random.default_rng(7)
    amount = random.lognormal(3, 1, 500)
    amount[:50] = np.nan
    return pd.DataFrame(
        {
            "client_id": ["1"] * 496 + ["9", "9", None, "2"],
            "amount": amount,
            "grade": ["A"] * 300 + ["B"] * 150 + [None] * 50,
            "signed": pd.to_datetime(["2024-01-05"] * 100 + ["2024-03-07"] * 390 + [None] * 10),
        }
    )


@pytest.fixture
def figures(loans):
    clients = pd.DataFrame({"client_id": ["1", "2", "3", "4"], "none": np.full(4, np.nan)})
    return profile(TableSet.from_frames({"clients": clients, "loans": loans}, MODEL))


def column(figures, name):
    return next(column for table in figures.tables for column in table.columns if column.name == name)


def test_numbers_are_described_as_pandas_describes_them(figures, loans):
    amount = column(figures, "amount")
    described = loans["amount"].describe()
    assert (amount.minimum, amount.maximum) == (described["min"], described["max"])
    assert amount.mean == pytest.approx(described["mean"])
    assert amount.median == pytest.approx(described["50%"])
    assert (amount.n_missing, amount.missing_rate, amount.n_distinct, amount.unit) == (50, 0.1, 450, "CNY")
    assert sum(amount.bin_counts) == 450
    assert len(amount.bin_edges) == len(amount.bin_counts) + 1


def test_texts_show_their_most_frequent_values(figures):
    grade = column(figures, "grade")
    assert [(top.value, top.count, round(top.share, 3)) for top in grade.top] == [("A", 300, 0.667), ("B", 150, 0.333)]
    assert column(figures, "client_id").top == ()


def test_times_show_their_reach_and_rows_per_month(figures):
    table = figures.tables[1]
    assert (table.first_event, table.last_event) == ("2024-01-05T00:00:00", "2024-03-07T00:00:00")
    assert table.months == (("2024-01", 100), ("2024-03", 390))
    assert column(figures, "signed").maximum == "2024-03-07T00:00:00"


def test_links_count_orphans_nulls_and_childless_parents(figures):
    (link,) = figures.links
    assert (link.n_rows, link.n_orphans, link.n_null, link.n_childless) == (500, 2, 1, 2)


def test_an_empty_column_has_no_figures_and_all_is_json(figures):
    none = column(figures, "none")
    assert (none.missing_rate, none.mean, none.minimum, none.bin_counts) == (1, None, None, ())
    assert json.loads(json.dumps(figures.to_json(), allow_nan=False))["tables"][0]["label"] == {"zh": "客户"}
