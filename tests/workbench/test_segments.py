"""Segments read from the stored tables: of the root table, of its parents, and where there are none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl.label import LabelSpec
from core.errors import InputError, NotFoundError
from warehouse.data_model import DataModel
from workbench.flows.segments import segment_columns, segment_levels
from workbench.flows.stored_columns import StoredColumns

_MODEL = {
    "tables": {
        "firm": {
            "primary_key": ["firm_id"],
            "columns": {
                "firm_id": {"type": "id", "role": "key"},
                "sector": {"type": "category", "label": {"en": "Sector", "zh": "行业"}},
                "agri": {"type": "boolean"},
                "name": {"type": "category"},
            },
        },
        "loan": {
            "primary_key": ["loan_id"],
            "late_columns": [{"columns": ["decision"], "known_at": "decided_on"}],
            "columns": {
                "loan_id": {"type": "id", "role": "key"},
                "firm_id": {"type": "id", "role": "foreign_key"},
                "channel": {"type": "category"},
                "decision": {"type": "category"},
                "decided_on": {"type": "date", "role": "known_at"},
            },
        },
    },
    "relationships": [{"parent": "firm", "parent_column": "firm_id", "child": "loan", "child_column": "firm_id"}],
}
_LABEL = LabelSpec(name="bad", root_table="loan", key_column="loan_id", column="channel")


@pytest.fixture
def tables(tmp_path: Path) -> StoredColumns:
    firms = [f"F{i}" for i in range(40)]
    pd.DataFrame(
        {"firm_id": firms, "sector": ["C", "F"] * 20, "agri": [1.0, 0.0, np.nan, 0.0] * 10, "name": firms}
    ).to_parquet(tmp_path / "firm.parquet")
    pd.DataFrame(
        {
            "loan_id": ["L1", "L2", "L3", "L4"],
            "firm_id": ["F0", "F1", "F2", "F99"],
            "channel": ["batch", "direct", None, "batch"],
            "decision": ["yes", "no", "yes", None],
            "decided_on": pd.to_datetime(["2024-01-01"] * 4),
        }
    ).to_parquet(tmp_path / "loan.parquet")
    return StoredColumns(tmp_path, DataModel.model_validate(_MODEL))


def test_levels_come_from_the_root_table_and_from_its_parents(tables: StoredColumns) -> None:
    keys = np.array(["L3", "L1", "L4", "L9"], dtype=object)
    assert segment_levels(tables, _LABEL, "loan.channel", keys).tolist() == [None, "batch", "batch", None]
    assert segment_levels(tables, _LABEL, "firm.sector", keys).tolist() == ["C", "C", None, None]
    assert segment_levels(tables, _LABEL, "firm.agri", keys).tolist() == [None, "1", None, None]


def test_left_out_columns_of_few_levels_are_offered_but_not_what_is_known_later_nor_the_label(
    tables: StoredColumns,
) -> None:
    found = segment_columns(tables, _LABEL, [])
    assert [column.name for column in found] == ["firm.sector", "firm.agri"]
    assert (found[0].text("zh"), found[1].text()) == ("行业", "firm.agri")


@pytest.mark.parametrize("name", ["loan.colour", "person.age", "channel"])
def test_a_column_that_is_not_there_is_refused_with_the_tables_to_choose_from(tables: StoredColumns, name: str) -> None:
    with pytest.raises(InputError, match="loan, firm"):
        segment_columns(tables, _LABEL, [name])


def test_a_table_or_column_that_is_not_stored_is_named(tables: StoredColumns) -> None:
    with pytest.raises(NotFoundError, match=r"loan\.colour"):
        tables.read("loan", ["loan_id", "colour"])
    with pytest.raises(NotFoundError, match="nowhere"):
        tables.read("nowhere", ["x"])
    assert tables.has("firm", "sector")
    assert not tables.has("firm", "colour")
