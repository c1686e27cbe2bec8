"""The data model under people's hands: counted on all rows, corrected edit by edit, compared in words, put together."""

import datetime as dt

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigurationError, InputError
from core.findings import Severity
from warehouse.data_model import DataModel, Relationship
from warehouse.importing import import_tables
from warehouse.inference import infer_data_model
from warehouse.modelling.checking import check_model, circles
from warehouse.modelling.differences import differences
from warehouse.modelling.edits import apply_edit
from warehouse.modelling.evidence import Evidence, StoredTables, key_evidence, link_candidates, link_evidence
from warehouse.modelling.facts import as_facts, as_model, completed, put_together
from warehouse.modelling.remodelling import remodel
from warehouse.table_set import TableSet


@pytest.fixture
def shop(tmp_path):
    """Clients and their orders: one order in ten names a client that is not there, two name none."""
    rng = np.random.default_rng(3)
    clients = pd.DataFrame({"client_id": [f"{n:03d}" for n in range(60)], "city": list("ABC") * 20})
    owner = clients["client_id"].to_numpy(dtype=object)[rng.integers(0, 60, 400)]
    owner[::10] = "999"
    owner[[5, 6]] = None
    orders = pd.DataFrame(
        {
            "order_id": [f"o{n}" for n in range(400)],
            "client_id": owner,
            "placed_on": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, 400), unit="D"),
            "seen_on": pd.Timestamp("2024-05-01"),
            "amount": rng.integers(1, 9, 400).astype(float),
        }
    )
    frames = {"clients": clients, "orders": orders}
    table_set = TableSet.from_frames(frames, infer_data_model(frames))
    table_set.save(tmp_path / "tables")
    return table_set, StoredTables(tmp_path / "tables")


LINK = Relationship(parent="clients", parent_column="client_id", child="orders", child_column="client_id")


def test_links_are_counted_as_sql_counts_them(shop):
    _, stored = shop
    found = link_evidence(stored, LINK)
    orders, clients = (f"'{stored.folder}/{name}.parquet'" for name in ("orders", "clients"))
    sql = f"""select count(*), count(*) filter (client_id is null),
                     count(*) filter (client_id is not null and client_id not in (select client_id from {clients})),
                     count(distinct client_id) filter (client_id in (select client_id from {clients}))
              from {orders}"""
    assert (found.n_rows, found.n_null, found.n_orphans, found.n_parents_used) == duckdb.sql(sql).fetchall()[0]
    assert found.examples == (("999", 40),)
    assert found.matched == pytest.approx(1 - 42 / 400)


@given(st.lists(st.tuples(st.sampled_from("ab") | st.none(), st.integers(0, 3) | st.none()), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_keys_are_counted_as_pandas_counts_them(tmp_path_factory, rows):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("rows")
    pq.write_table(
        pa.table({"x": pa.array([x for x, _ in rows], pa.string()), "y": pa.array([y for _, y in rows], pa.int64())}),
        folder / "t.parquet",
    )
    found = key_evidence(StoredTables(folder), "t", ("x", "y"))
    frame = pd.DataFrame(rows, columns=["x", "y"])
    whole = frame.dropna()
    assert found.n_null == len(frame) - len(whole)
    assert found.n_repeated == int(whole.duplicated().sum())
    assert found.is_key == (not frame.isna().any(axis=None) and not frame.duplicated().any())


def test_numbers_and_texts_are_one_key_and_lost_zeros_are_named(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": ["1", "2", "3"], "code": ["001", "002", "003"]}), tmp_path / "firms.parquet")
    pq.write_table(pa.table({"firm": pa.array([1.0, 3.0, None]), "code": [1, 2, 9]}), tmp_path / "loans.parquet")
    stored = StoredTables(tmp_path)
    link = Relationship(parent="firms", parent_column="id", child="loans", child_column="firm")
    assert (link_evidence(stored, link).n_orphans, link_evidence(stored, link).n_null) == (0, 1)
    columns = {"id": {"type": "id"}, "code": {"type": "id"}}
    model = DataModel.model_validate(
        {
            "tables": {
                "firms": {"columns": columns, "primary_key": ["code"]},
                "loans": {"columns": {"firm": {"type": "id"}, "code": {"type": "id"}}},
            },
            "relationships": [{"parent": "firms", "parent_column": "code", "child": "loans", "child_column": "code"}],
        }
    )
    found = check_model(Evidence(stored), model)
    assert [(item.code, item.severity) for item in found.findings] == [("leading_zeros", Severity.BAD)]
    assert "2 of 3 rows would find their firms" in found.findings[0].text()


def test_candidates_stand_by_the_share_of_rows_that_find_a_parent(shop):
    table_set, stored = shop
    found = link_candidates(stored, table_set.data_model, "orders", "client_id")
    assert [(item.link.parent, round(item.matched, 3)) for item in found] == [("clients", 0.895)]
    assert link_candidates(stored, table_set.data_model, "clients", "city") == []


def test_a_check_finds_broken_keys_unknown_names_wrong_types_and_circles(shop):
    table_set, stored = shop
    model = table_set.data_model
    repeated = apply_edit(model, {"do": "set_key", "table": "orders", "columns": ["client_id", "placed_on"]})
    codes = {item.code: item for item in check_model(Evidence(stored), repeated).findings}
    assert set(codes) == {"key_not_unique", "key_has_nulls", "orphan_rows", "null_foreign_key"}
    n_twice = table_set.frame("orders")[["client_id", "placed_on"]].dropna().duplicated().sum()
    assert f"{n_twice} of 400 rows repeat a value" in codes["key_not_unique"].text()
    assert not check_model(Evidence(stored), repeated).fits

    text = model.to_yaml().replace("city:", "town:").replace("seen_on:", "looked_on:", 1)
    unknown = check_model(Evidence(stored), DataModel.from_text(text))
    assert {"unknown_column", "column_not_in_model"} <= {item.code for item in unknown.findings}

    number = apply_edit(model, {"do": "set_column", "table": "orders", "column": "client_id", "field": "type",
                                "value": "number"})  # fmt: skip
    assert "model_contradicts_itself" in {item.code for item in check_model(Evidence(stored), number).findings}

    back = apply_edit(model, {"do": "set_link", "child": "clients", "column": "city", "parent": "orders"})
    found = check_model(Evidence(stored), back)
    assert [item.code for item in found.findings].count("cyclic_links") == 1
    assert circles(back.relationships) == [["clients", "orders"]]


def test_edits_keep_roles_and_types_in_step(shop):
    model = shop[0].data_model
    assert model.tables["orders"].columns["client_id"].role == "foreign_key"
    unlinked = apply_edit(model, {"do": "set_link", "child": "orders", "column": "client_id", "parent": None})
    assert unlinked.tables["orders"].columns["client_id"].role == "feature"
    assert unlinked.relationships == []
    again = apply_edit(unlinked, {"do": "set_link", "child": "orders", "column": "client_id", "parent": "clients"})
    assert completed(again) == completed(model)
    late = apply_edit(model, {"do": "set_late", "table": "orders", "column": "amount", "known_at": "seen_on"})
    assert [group.model_dump() for group in late.tables["orders"].late_columns] == [
        {"columns": ["amount"], "known_at": "seen_on"}
    ]
    untimed = apply_edit(model, {"do": "set_event_time", "table": "orders", "column": None})
    assert untimed.tables["orders"].columns["placed_on"].role == "feature"
    assert untimed.tables["orders"].event_time is None


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"do": "set_key", "table": "orders", "columns": ["nr"]}, "orders: table orders has no column nr"),
        ({"do": "set_key", "table": "bills", "columns": []}, "bills: there is no such table"),
        ({"do": "set_colour", "table": "orders"}, "there is no edit called 'set_colour'"),
        ({"do": "set_key", "table": "orders"}, "the edit set_key cannot be read"),
        ({"do": "set_column", "table": "orders", "column": "amount", "field": "role", "value": "key"}, "said of the"),
        (
            {"do": "set_column", "table": "orders", "column": "amount", "field": "role", "value": "hero"},
            "cannot be rea",
        ),
        ({"do": "set_known_at", "table": "orders", "column": "seen_on", "lag_days": 3}, "not both"),
        ({"do": "set_known_at", "table": "orders", "column": None, "lag_days": -1}, "cannot be read"),
        ({"do": "set_link", "child": "orders", "column": "order_id", "parent": "orders"}, "cannot refer to itself"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused_in_words(shop, edit, said):
    with pytest.raises(ConfigurationError, match=said):
        apply_edit(shop[0].data_model, edit)


def test_differences_are_told_in_words_of_both_languages(shop):
    old = shop[0].data_model
    new = old
    for edit in (
        {"do": "set_column", "table": "orders", "column": "amount", "field": "unit", "value": "10k CNY"},
        {"do": "set_column", "table": "orders", "column": "amount", "field": "feature_unit", "value": "CNY"},
        {"do": "set_column", "table": "clients", "column": "city", "field": "role", "value": "forbidden"},
        {"do": "set_known_at", "table": "orders", "column": None, "lag_days": 15},
        {"do": "set_link", "child": "orders", "column": "client_id", "parent": None},
    ):
        new = apply_edit(new, edit)
    assert [item.text() for item in differences(old, new)] == [
        "clients.city: the role is forbidden, was feature",
        "orders: rows are known 15 days after the event, was 0",
        "orders.client_id: refers to nothing, referred to clients.client_id",
        "orders.amount: the unit of its features is CNY, was none",
        "orders.amount: the unit is 10k CNY, was none",
    ]
    assert "models made before keep theirs" in str(differences(old, new)[3].effect.text("en"))
    assert differences(old, new)[0].text("zh") == "clients.city: 角色为 禁止使用，原为 特征"
    assert str(differences(old, new)[2].effect.text("en")) == "no feature comes from across this link any more"
    assert differences(new, new) == ()


def test_a_completed_model_says_the_same_and_its_text_reads_back_letter_by_letter(shop):
    model = completed(shop[0].data_model)
    assert model.fingerprint == shop[0].data_model.fingerprint
    text = model.to_yaml()
    assert DataModel.from_text(text) == model
    assert DataModel.from_text(text).to_yaml() == text
    dated = as_model({**as_facts(model), ("as_of",): dt.date(2024, 6, 1)})
    assert DataModel.from_text(dated.to_yaml()) == dated


EDITS = st.sampled_from(
    [
        {"do": "set_column", "table": "orders", "column": "amount", "field": "unit", "value": "CNY"},
        {"do": "set_column", "table": "orders", "column": "amount", "field": "unit", "value": "percent"},
        {"do": "set_column", "table": "orders", "column": "amount", "field": "feature_unit", "value": "ratio"},
        {"do": "set_column", "table": "orders", "column": "amount", "field": "role", "value": "ignore"},
        {"do": "set_key", "table": "orders", "columns": []},
        {"do": "set_macro", "table": "orders", "is_macro": True},
        {"do": "set_link", "child": "orders", "column": "client_id", "parent": None},
        {"do": "set_late", "table": "orders", "column": "amount", "known_at": "seen_on"},
        {"do": "set_event_time", "table": "orders", "column": "seen_on"},
        {"do": "set_label", "table": "clients", "label": {"zh": "客户"}},
    ]
)
BASE = infer_data_model(
    {
        "clients": pd.DataFrame({"client_id": ["1", "2"], "city": ["A", "B"]}),
        "orders": pd.DataFrame(
            {
                "order_id": ["a", "b", "c"],
                "client_id": ["1", "1", "2"],
                "placed_on": pd.to_datetime(["2024-01-01"] * 3),
                "seen_on": pd.to_datetime(["2024-01-02"] * 3),
                "amount": [1.0, 2.0, 3.0],
            }
        ),
    }
)


@given(st.lists(EDITS, max_size=4), st.lists(EDITS, max_size=4))
@settings(max_examples=20, deadline=None)
def test_what_two_people_change_is_put_together_and_nothing_is_lost(mine, theirs):
    base = completed(BASE)
    here, there = base, base
    for edit in mine:
        here = completed(apply_edit(here, edit))
    for edit in theirs:
        there = completed(apply_edit(there, edit))
    put, conflicts = put_together(as_facts(base), as_facts(here), as_facts(there))
    for fact in {*as_facts(base), *as_facts(here), *as_facts(there)}:
        was, ours, others = (as_facts(side).get(fact) for side in (base, here, there))
        assert put.get(fact) == (ours if ours != was else others)
        assert (fact in conflicts) == (ours != was and others not in (was, ours))
    assert put_together(as_facts(base), as_facts(here), as_facts(base))[0] == as_facts(here)
    assert as_model(put_together(as_facts(base), as_facts(base), as_facts(there))[0]) == there


def test_stored_tables_go_by_another_model_without_their_source(shop):
    table_set, _ = shop
    model = apply_edit(table_set.data_model, {"do": "set_column", "table": "orders", "column": "amount",
                                              "field": "type", "value": "category"})  # fmt: skip
    model = apply_edit(model, {"do": "set_known_at", "table": "orders", "column": None, "lag_days": 2})
    found = remodel(table_set, model)
    assert set(found.table_set.frame("orders")["amount"]) <= set("12345678")
    lag = found.table_set.known_at("orders") - found.table_set.event_time("orders")
    assert set(lag) == {np.timedelta64(2, "D")}
    assert {item.code for item in found.findings} >= {"orphan_rows", "null_foreign_key"}
    with pytest.raises(InputError, match="not of type number"):
        wrong = {"do": "set_column", "table": "clients", "column": "city", "field": "type", "value": "number"}
        remodel(table_set, apply_edit(model, wrong))
    with pytest.raises(ConfigurationError, match="the stored tables do not have it"):
        remodel(table_set, DataModel.from_text(model.to_yaml().replace("    seen_on:", "    left_on:", 1)))


def test_an_import_that_no_longer_fits_the_saved_model_is_found_and_not_refused(tmp_path):
    (tmp_path / "clients.csv").write_text("client_id,grade,age\nk1,1,30\nk2,2,41\nk3,3,50\n", "utf-8")
    (tmp_path / "loans.csv").write_text("loan_id,client_id,paid_on\nl1,k1,2024-01-02\nl2,k3,2024-01-05\n", "utf-8")
    saved = completed(import_tables(tmp_path).data_model)
    for field, unit in (("unit", "CNY"), ("feature_unit", "10k CNY")):
        saved = apply_edit(saved, {"do": "set_column", "table": "clients", "column": "grade", "field": field,
                                   "value": unit})  # fmt: skip
    (tmp_path / "loans.csv").unlink()
    (tmp_path / "clients.csv").write_text("client_id,grade,town\nk1,1,X\nk2,n/a 5,Y\nk3,3,X\n", "utf-8")
    (tmp_path / "bills.csv").write_text("bill_id,client_id\nb1,k1\nb2,k2\nb3,k2\n", "utf-8")
    found = import_tables(tmp_path, saved, is_saved=True)
    misfits = {(item.code, item.where) for item in found.findings if item.code.startswith("model_")}
    assert misfits == {
        ("model_table_missing", "loans"),
        ("model_table_new", "bills"),
        ("model_column_missing", "clients.age"),
        ("model_column_new", "clients.town"),
        ("model_type_differs", "clients.grade"),
    }
    assert [str(link) for link in found.data_model.relationships] == ["bills.client_id -> clients.client_id"]
    grade = found.data_model.tables["clients"].columns["grade"]
    assert (grade.type in ("category", "text"), grade.unit, grade.feature_unit) == (True, "CNY", None)
    with pytest.raises(InputError, match="no file for the table loans"):
        import_tables(tmp_path, saved)
    (tmp_path / "clients.csv").write_text("client_id,grade,age\nk1,1,30\nk1,2,41\n", "utf-8")
    with pytest.raises(InputError, match="repeat a value of the key client_id"):
        import_tables(tmp_path, saved, is_saved=True)
