"""New rows are put to the old ones by their keys; whole tables replace old ones; other columns are refused."""

import pandas as pd
import pytest

from core.errors import ConfigurationError
from warehouse.data_model import DataModel
from warehouse.merging import merge
from warehouse.table_set import TableSet

MODEL = """
tables:
  firms: {primary_key: [firm_id], columns: {firm_id: {type: id, role: key}, sector: {type: category}}}
  notes: {columns: {firm_id: {type: id, role: foreign_key}, stars: {type: number}}}
relationships: [{parent: firms, parent_column: firm_id, child: notes, child_column: firm_id}]
"""


def table_set(firms: list[tuple[str, str]], notes: list[tuple[str, float]], model: str = MODEL) -> TableSet:
    frames = {
        "firms": pd.DataFrame(firms, columns=["firm_id", "sector"]),
        "notes": pd.DataFrame(notes, columns=["firm_id", "stars"]),
    }
    return TableSet.from_frames(frames, DataModel.from_text(model))


OLD = table_set([("a", "C"), ("b", "F"), ("c", "C")], [("a", 1.0), ("b", 2.0)])


def test_a_row_with_a_known_key_takes_the_place_of_the_old_one() -> None:
    new = table_set([("d", "A"), ("b", "E")], [("a", 3.0)])
    merged, findings = merge(OLD, new, {"firms", "notes"})
    assert merged.frame("firms").to_numpy().tolist() == [["a", "C"], ["c", "C"], ["d", "A"], ["b", "E"]]
    assert merged.frame("notes")["stars"].tolist() == [1.0, 2.0, 3.0]  # without a key every row is a new one
    assert [(item.where, dict(item.message.values)) for item in findings] == [
        ("firms", {"n": 2, "m": 1}),
        ("notes", {"n": 1, "m": 0}),
    ]


def test_a_table_that_is_read_whole_takes_the_place_of_the_old_one_and_others_stay() -> None:
    new = table_set([("z", "A")], [("a", 3.0)])
    merged, findings = merge(OLD, new, {"notes"})
    assert merged.frame("firms")["firm_id"].tolist() == ["z"]
    assert len(merged.frame("notes")) == 3
    assert len(findings) == 1
    assert OLD.frame("firms")["firm_id"].tolist() == ["a", "b", "c"]


def test_merging_nothing_changes_nothing() -> None:
    merged, findings = merge(OLD, TableSet({}, DataModel()), {"firms", "notes"})
    assert merged.fingerprint == OLD.fingerprint
    assert findings == ()


def test_a_column_of_another_type_is_refused_by_name() -> None:
    other = MODEL.replace("stars: {type: number}", "stars: {type: integer}")
    with pytest.raises(ConfigurationError, match="stars"):
        merge(OLD, table_set([("a", "C")], [("a", 3.0)], other), {"notes"})
