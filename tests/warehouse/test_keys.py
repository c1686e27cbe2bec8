import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.inference import infer_data_model, raw_table_of_frame
from warehouse.keys import KeyTable, infer_primary_key


def links_of(model):
    return sorted(str(link) for link in model.relationships)


def links(frames):
    return links_of(infer_data_model(frames))


def key(name="t", **columns):
    return infer_data_model({name: pd.DataFrame(columns)}).tables[name].primary_key


def test_an_identifier_that_is_unique_is_the_key():
    assert key("loans", amount=[1.0, 2.0, 3.0], loan_id=[7, 8, 9], client_id=[4, 5, 6]) == ["loan_id"]


def test_the_first_column_is_a_key_where_it_is_unique_whatever_its_name():
    assert key(number=[5, 6, 7], other=[1, 1, 2]) == ["number"]
    assert key(other=[1, 1, 2], number=[5, 6, 7]) == []


def test_numbers_with_fractions_and_dates_are_no_single_key():
    assert key(x=[1.5, 2.5, 3.5], y=[1, 1, 1]) == []
    assert key(day=pd.to_datetime(["2024-01-01", "2024-01-02"]), y=[1, 1]) == []


def test_identifier_and_period_are_a_key_together():
    assert key(x=[1.5, 1.5, 1.5], client_id=["a", "a", "b"], month=[1, 2, 1]) == ["client_id", "month"]
    days = pd.to_datetime(["2024-01-31", "2024-02-29", "2024-01-31"])
    assert key(client_id=["a", "a", "b"], month_end=days) == ["client_id", "month_end"]


def test_three_columns_are_tried_and_the_smallest_set_wins():
    columns = {"a_id": ["x", "x", "x", "x"], "b_id": ["p", "p", "q", "q"], "line": [1, 2, 1, 2]}
    assert key(**columns) == ["b_id", "line"]
    columns = {"a_id": list("xxyyxxyy"), "b_id": list("pqpqpqpq"), "line": [1, 1, 1, 1, 2, 2, 2, 2]}
    assert key(**columns) == ["a_id", "b_id", "line"]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40))
def test_a_key_found_is_unique_and_without_nulls_on_all_rows(rows):
    frame = pd.DataFrame(rows, columns=["a_id", "b_id", "period"]).astype({"a_id": str, "b_id": str})
    table = KeyTable(raw_table_of_frame("t", frame), frame, {"a_id": "id", "b_id": "id", "period": "integer"}, [])
    found = infer_primary_key(table)
    if found:
        assert not frame[found].duplicated().any()
    else:
        assert frame.duplicated().any()


CLIENTS = pd.DataFrame({"client_id": np.arange(1, 41), "x": 1.5})


@pytest.mark.parametrize("column", ["client_id", "guarantor_client_id"])
def test_a_column_that_ends_like_the_key_refers_to_it(column):
    loans = pd.DataFrame({"loan_id": np.arange(60), column: np.arange(60) % 40 + 1})
    assert links({"clients": CLIENTS, "loans": loans}) == [f"loans.{column} -> clients.client_id"]


def test_a_key_named_id_is_referred_to_by_the_name_of_its_table():
    clients = CLIENTS.rename(columns={"client_id": "id"})
    loans = pd.DataFrame({"id": np.arange(60), "client_id": np.arange(60) % 40 + 1})
    assert links({"clients": clients, "loans": loans}) == ["loans.client_id -> clients.id"]


def test_a_name_alone_is_not_enough_where_values_are_not_there():
    loans = pd.DataFrame({"loan_id": np.arange(60), "client_id": np.arange(60) + 1000})
    assert links({"clients": CLIENTS, "loans": loans}) == []


def test_small_numbers_do_not_refer_by_chance():
    loans = pd.DataFrame(
        {"loan_id": np.arange(100, 160), "kind_id": np.arange(60) % 12 + 1, "sex": np.arange(60) % 2 + 1}
    )
    assert links({"clients": CLIENTS, "loans": loans}) == []


def test_coded_identifiers_refer_by_their_values():
    clients = pd.DataFrame({"client_id": [f"E{row}" for row in range(40)]})
    edges = pd.DataFrame({"edge_no": np.arange(60), "guarantor_no": [f"E{row % 40}" for row in range(60)]})
    assert links({"clients": clients, "edges": edges}) == ["edges.guarantor_no -> clients.client_id"]


def test_a_table_with_the_same_key_is_the_annex_of_the_table_named_after_it():
    profile = pd.DataFrame({"client_id": np.arange(1, 31), "score": np.arange(30) * 0.5})
    assert links({"profile": profile, "clients": CLIENTS}) == ["profile.client_id -> clients.client_id"]


def test_the_short_form_of_a_table_name_makes_its_key_and_refers_to_it():
    uscc = [f"91330100{row:010d}" for row in range(40)]
    firms = pd.DataFrame({"uscc": uscc, "ent_id": [f"E{row}" for row in range(40)]})
    edges = pd.DataFrame({"edge_id": np.arange(60), "from_ent": [f"E{row % 40}" for row in range(60)]})
    assert links({"enterprise": firms, "edges": edges}) == ["edges.from_ent -> enterprise.ent_id"]


def test_links_never_run_in_a_circle():
    a = pd.DataFrame({"a_id": np.arange(20), "b_id": np.arange(20)})
    b = pd.DataFrame({"b_id": np.arange(20), "a_id": np.arange(20)})
    assert len(links({"a": a, "b": b})) == 1


def test_keys_and_what_refers_to_them_are_identifiers():
    loans = pd.DataFrame({"loan_id": np.arange(60), "client_id": np.arange(60) % 40 + 1})
    model = infer_data_model({"clients": CLIENTS.rename(columns={"client_id": "number"}), "loans": loans})
    assert model.tables["clients"].columns["number"].type == "id"
    assert (model.tables["loans"].columns["client_id"].type, links_of(model)) == (
        "id",
        ["loans.client_id -> clients.number"],
    )
