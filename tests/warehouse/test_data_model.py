import pytest

from core.errors import ConfigurationError, NotFoundError
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec

WHOLE = """
tables:
  clients:
    file: clients.csv
    label: {en: Clients, zh: 客户}
    columns:
      client_id: {type: id, role: key}
      opened: {type: date, role: event_time}
      status: {type: category}
      closed: {type: date}
    primary_key: [client_id]
    event_time: opened
    known_at_lag_days: 1.5
    late_columns: [{columns: [status], known_at: closed}]
  loans:
    columns:
      client_id: {type: id, role: foreign_key}
      amount: {type: number, unit: CNY}
relationships:
  - {parent: clients, parent_column: client_id, child: loans, child_column: client_id}
as_of: 2024-06-30
"""


def test_yaml_comes_back_as_it_went():
    model = DataModel.from_text(WHOLE)
    again = DataModel.from_text(model.to_yaml())
    assert again == model
    assert again.to_yaml() == model.to_yaml()
    assert again.tables["clients"].label["zh"] == "客户"
    model.check()


def test_a_partial_model_stays_partial():
    model = DataModel.from_text("tables: {clients: {columns: {grade: {role: ignore}}}}")
    assert DataModel.from_text(model.to_yaml()).tables["clients"].columns["grade"].model_fields_set == {"role"}


def test_fingerprint_depends_on_content_and_not_on_order():
    model = DataModel.from_text(WHOLE)
    tables = dict(reversed(model.tables.items()))
    assert model.model_copy(update={"tables": tables}).fingerprint == model.fingerprint
    changed = DataModel.from_text(WHOLE.replace("1.5", "1.25"))
    assert changed.fingerprint != model.fingerprint


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("tables:\n  a:\n    colums: {}\n", "line 3, tables.a.colums", "Extra inputs"),
        ("tables:\n  a:\n    columns:\n      x: {type: int}\n", "line 4, tables.a.columns.x.type", "'int'"),
        ("tables:\n  a: {}\n  a: {}\n", "line 3", "given twice"),
        ("tables:\n  a: [\n", "line 3", "not valid YAML"),
        ("tables: {../a: {}}", "line 1", "table name"),
        ("tables: {a: {known_at_lag_days: -1}}", "line 1, tables.a.known_at_lag_days", "greater than or equal"),
        ("tables: {a: {known_at_lag_days: '3'}}", "line 1, tables.a.known_at_lag_days", "'3'"),
        ("relationships: [{parent: a}]", "line 1, relationships.0", "Field required"),
        ("- 1", "", "valid dictionary"),
    ],
)
def test_a_fault_in_yaml_is_named_with_its_line_and_field(text, place, problem):
    with pytest.raises(ConfigurationError) as caught:
        DataModel.from_text(text, where="model.yaml")
    assert caught.value.where.startswith("model.yaml")
    assert place in caught.value.where
    assert problem in caught.value.text()


def test_yaml_never_builds_python_objects():
    with pytest.raises(ConfigurationError, match="could not determine a constructor"):
        DataModel.from_text("tables: !!python/object/apply:os.getcwd []")


def test_a_file_that_is_not_there_or_not_utf8_is_named(tmp_path):
    with pytest.raises(NotFoundError):
        DataModel.from_yaml(tmp_path / "none.yaml")
    path = tmp_path / "model.yaml"
    path.write_bytes("tables: {表: {}}".encode("gb18030"))
    with pytest.raises(ConfigurationError, match=r"model\.yaml: the file is not UTF-8 \(byte 9\)"):
        DataModel.from_yaml(path)


def _model(**table):
    columns = {"k": ColumnSpec(type="id"), "t": ColumnSpec(type="date"), "x": ColumnSpec(type="number")}
    return DataModel(tables={"a": TableSpec(columns=columns, **table)})


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"primary_key": ["z"]}, "the primary key names the column z"),
        ({"primary_key": ["k", "k"]}, "twice"),
        ({"event_time": "x"}, "must be of type date or datetime, here number"),
        ({"known_at": "z"}, "a time names the column z"),
        ({"late_columns": [{"columns": ["z"], "known_at": "t"}]}, "late columns names the column z"),
        ({"late_columns": [{"columns": ["x"], "known_at": "k"}]}, "here id"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(table, problem):
    with pytest.raises(ConfigurationError, match=problem):
        DataModel.model_validate(
            _model().model_dump() | {"tables": {"a": _model().tables["a"].model_dump() | table}}
        ).check()


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        (("a", "k", "b", "k"), "the table b, which is not in the model"),
        (("a", "z", "a", "k"), "a relationship names the column z"),
        (("a", "k", "a", "x"), "must be of one type, here id and number"),
    ],
)
def test_a_relationship_to_nothing_is_refused(link, problem):
    parent, parent_column, child, child_column = link
    relationship = Relationship(parent=parent, parent_column=parent_column, child=child, child_column=child_column)
    with pytest.raises(ConfigurationError, match=problem):
        DataModel(tables=_model().tables, relationships=[relationship]).check()


def sectors(**more):
    column = ColumnSpec(type="category", **more)
    return DataModel(tables={"firm": TableSpec(columns={"sector": column}, primary_key=[])})


def test_what_levels_are_called_comes_from_the_code_table_and_from_the_model_before_it():
    column = ColumnSpec(type="category", code_table="sector", levels={"C": {"en": "makers"}, "ZZ": {"zh": "其他"}})
    assert (column.level_names["C"], column.level_names["ZZ"]) == ({"en": "makers"}, {"zh": "其他"})
    assert column.level_names["F"]["zh"] == "批发和零售业"
    assert ColumnSpec(type="category").level_names == {}
    sectors(code_table="sector").check()
    with pytest.raises(ConfigurationError, match="has no nothing") as refused:
        sectors(code_table="nothing").check()
    assert refused.value.where == "firm, column sector"


def test_naming_levels_changes_no_fingerprint_and_survives_yaml():
    named = sectors(code_table="sector", levels={"C": {"en": "makers"}})
    assert named.fingerprint == sectors().fingerprint
    assert DataModel.from_text(named.to_yaml()) == named
