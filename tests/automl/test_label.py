"""Labels against tables small enough to work out by hand."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from automl.label import Labels, LabelSpec, build_labels, check_classes, summary
from automl.labelling import build
from core.errors import InputError
from warehouse.data_model import ColumnSpec, DataModel, LateColumns, Relationship, TableSpec
from warehouse.table_set import TableSet

N = 40


def _columns(**types: str) -> dict[str, ColumnSpec]:
    return {name: ColumnSpec(type=kind) for name, kind in types.items()}


def _column_world(values: list[object], kind: str = "category", **more: list[object]) -> TableSet:
    n = len(values)
    frame = pd.DataFrame(
        {"id": [f"k{i}" for i in range(n)], "asked": pd.date_range("2020-01-01", periods=n), "outcome": values, **more}
    )
    spec = TableSpec(
        columns={**_columns(id="id", asked="date", outcome=kind), **_columns(**dict.fromkeys(more, "id"))},
        primary_key=["id"],
        event_time="asked",
    )
    return TableSet.from_frames({"loan": frame}, DataModel(tables={"loan": spec}))


def _spec(**changes: object) -> LabelSpec:
    settings = {
        "name": "bad", "root_table": "loan", "key_column": "id", "cutoff": {"column": "asked"}, "column": "outcome",
        "bad_values": ["CHGOFF"],
    }  # fmt: skip
    return LabelSpec.model_validate({**settings, **changes})


def _outcomes(n_bad: int, n_good: int) -> list[object]:
    return ["CHGOFF"] * n_bad + ["PIF"] * n_good


def test_label_column_gives_bad_good_and_unlabelled() -> None:
    values = [*_outcomes(12, 15), None]
    labels = build_labels(_column_world(values), _spec())
    assert labels.y[:12].tolist() == [1.0] * 12
    assert labels.y[12:27].tolist() == [0.0] * 15
    assert np.isnan(labels.y[27])
    assert (labels.n_bad, labels.n_good, len(labels.labelled)) == (12, 15, 27)
    assert "unlabelled" in {finding.code for finding in labels.findings}
    assert summary(labels)["n_unlabelled"] == 1


@pytest.mark.parametrize("kind, values", [("category", ["1", "0"]), ("integer", [1, 0]), ("boolean", [1.0, 0.0])])
def test_zero_and_one_need_no_bad_values_whatever_their_type(kind: str, values: list[object]) -> None:
    labels = build_labels(_column_world([values[0]] * 10 + [values[1]] * 20, kind), _spec(bad_values=[]))
    assert (labels.n_bad, labels.n_good) == (10, 20)


def test_values_that_are_neither_good_nor_bad_are_indeterminate() -> None:
    values = ["B"] * 10 + ["D"] * 5 + ["A"] * 20 + ["C"] * 3
    labels = build_labels(_column_world(values), _spec(bad_values=["B", "D"], good_values=["A"]))
    assert (labels.n_bad, labels.n_good, int(np.isnan(labels.y).sum())) == (15, 20, 3)


@pytest.mark.parametrize(
    "values, code",
    [
        (_outcomes(0, 30), "label_one_class"),
        (_outcomes(30, 0), "label_one_class"),
        ([None] * 30, "label_missing"),
        (_outcomes(9, 30), "label_too_few"),
        (_outcomes(30, 9), "label_too_few"),
        ([*_outcomes(20, 20), "OTHER"], "label_not_binary"),
    ],
)
def test_labels_that_nothing_can_be_learnt_from_are_refused(values: list[object], code: str) -> None:
    with pytest.raises(InputError) as caught:
        build_labels(_column_world(values), _spec())
    assert caught.value.code == code


def test_numbers_that_are_not_zero_and_one_are_refused_without_bad_values() -> None:
    with pytest.raises(InputError, match="must have two classes, but has 3 values: 0, 1, 2"):
        build_labels(_column_world([0, 1, 2] * 10, "integer"), _spec(bad_values=[]))


@pytest.mark.parametrize("n_bad, is_warned", [(49, True), (50, False)])
def test_fewer_than_fifty_of_a_class_are_warned_about_with_the_width_of_the_interval(
    n_bad: int, is_warned: bool
) -> None:
    labels = build_labels(_column_world(_outcomes(n_bad, 80)), _spec())
    found = [finding for finding in labels.findings if finding.code == "few_labels"]
    assert bool(found) == is_warned
    if found:
        assert "cannot be known" in found[0].text()
        # Hanley and McNeil (1982) for AUC .75, 49 bads, 80 goods: standard error 0.0458.
        assert "±.09" in found[0].text()


def test_no_cutoff_is_refused() -> None:
    with pytest.raises(InputError, match="no cutoff") as caught:
        build_labels(_column_world(_outcomes(20, 20)), _spec(cutoff=None))
    assert caught.value.code == "no_cutoff"


def test_a_labelled_row_without_cutoff_is_refused_and_named() -> None:
    tables = _column_world(_outcomes(20, 20))
    tables.frame("loan").loc[3, "asked"] = pd.NaT
    with pytest.raises(InputError, match="k3"):
        build_labels(tables, _spec())


def test_an_unlabelled_row_without_cutoff_is_left_out_and_counted() -> None:
    tables = _column_world([*_outcomes(20, 20), None])
    tables.frame("loan").loc[40, "asked"] = pd.NaT
    labels = build_labels(tables, _spec())
    assert len(labels) == 40
    assert "rows_without_cutoff" in {finding.code for finding in labels.findings}


def test_a_cutoff_that_is_no_time_is_refused() -> None:
    with pytest.raises(InputError, match="must hold times"):
        build_labels(_column_world(_outcomes(20, 20)), _spec(cutoff={"column": "outcome"}))


def test_one_date_serves_all_rows() -> None:
    labels = build_labels(_column_world(_outcomes(20, 20)), _spec(cutoff={"date": "2020-02-21"}))
    assert set(labels.cutoffs) == {np.datetime64("2020-02-21", "ns")}


def test_two_rows_of_one_key_and_cutoff_are_refused() -> None:
    tables = _column_world(_outcomes(20, 20), customer=[f"c{i // 2}" for i in range(40)])
    with pytest.raises(InputError, match="repeat the key and cutoff") as caught:
        build_labels(tables, _spec(key_column="customer", cutoff={"date": "2021-01-01"}))
    assert caught.value.code == "duplicate_rows"


def test_two_rows_of_one_entity_and_cutoff_stay_and_are_reported() -> None:
    tables = _column_world(_outcomes(20, 20), customer=[f"c{i // 2}" for i in range(40)])
    labels = build_labels(tables, _spec(entity_column="customer", cutoff={"date": "2021-01-01"}))
    assert labels.entities[:4].tolist() == ["c0", "c0", "c1", "c1"]
    assert "same_entity_and_cutoff" in {finding.code for finding in labels.findings}


def test_unknown_table_and_column_are_named() -> None:
    with pytest.raises(InputError, match="table nothing does not exist"):
        build_labels(_column_world(_outcomes(20, 20)), _spec(root_table="nothing"))
    with pytest.raises(InputError, match="column nothing does not exist"):
        build_labels(_column_world(_outcomes(20, 20)), _spec(column="nothing"))


@pytest.mark.parametrize("changes", [{"column": None}, {"bad_when": [{"table": "pay", "time": "due"}]}, {"cutoff": {}}])
def test_contradictory_specifications_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _spec(**changes)


# Events. Application a_i of firm e_(i // 2) leads to contract c_i, paid out ten days later; its instalments are due
# 100 and 500 days after that. Window: 12 months from paying out; bad: more than 30 days overdue, or called.


def _event_world() -> TableSet:
    asked = pd.Timestamp("2019-01-01") + pd.to_timedelta(np.arange(N) * 20, unit="D")
    paid_out = asked + pd.Timedelta(days=10)
    applications = pd.DataFrame(
        {"app": [f"a{i}" for i in range(N)], "firm": [f"e{i // 2}" for i in range(N)], "asked": asked}
    )
    contracts = pd.DataFrame({"con": [f"c{i}" for i in range(N)], "app": applications["app"], "paid_out": paid_out})
    contracts = contracts.drop(index=N - 1)  # the last application was refused
    instalments = pd.DataFrame(
        {
            "con": np.repeat([f"c{i}" for i in range(N)], 2),
            "due": np.repeat(paid_out, 2) + pd.to_timedelta(np.tile([100, 500], N), unit="D"),
            "late": np.where(np.arange(2 * N) % 4 < 2, 45.0, 5.0),  # both instalments of even contracts
        }
    )
    calls = pd.DataFrame(
        {"con": ["c1", "c3"], "at": [paid_out[1] + pd.Timedelta(days=200), paid_out[3] + pd.Timedelta(days=400)]}
    )
    tables = {
        "application": TableSpec(
            columns=_columns(app="id", firm="id", asked="date"), primary_key=["app"], event_time="asked"
        ),
        "contract": TableSpec(
            columns=_columns(con="id", app="id", paid_out="date"), primary_key=["con"], event_time="paid_out"
        ),
        "instalment": TableSpec(
            columns=_columns(con="id", due="date", late="number"), event_time="due", known_at_lag_days=30
        ),
        "call": TableSpec(columns=_columns(con="id", at="date"), event_time="at"),
    }
    links = [
        Relationship(parent="application", parent_column="app", child="contract", child_column="app"),
        Relationship(parent="contract", parent_column="con", child="instalment", child_column="con"),
        Relationship(parent="contract", parent_column="con", child="call", child_column="con"),
    ]
    model = DataModel(tables=tables, relationships=links)
    frames = {"application": applications, "contract": contracts, "instalment": instalments, "call": calls}
    return TableSet.from_frames(frames, model)


def _event_spec(**changes: object) -> LabelSpec:
    settings = {
        "name": "bad", "root_table": "application", "key_column": "app", "entity_column": "firm",
        "cutoff": {"column": "asked"}, "start": {"table": "contract", "column": "paid_out"},
        "performance_window_months": 12,
        "bad_when": [
            {"table": "instalment", "time": "due", "offset_days": 30,
             "where": [{"column": "late", "op": ">", "value": 30}]},
            {"table": "call", "time": "at"},
        ],
    }  # fmt: skip
    return LabelSpec.model_validate({**settings, **changes})


def test_events_reach_the_root_through_the_relationships_and_count_inside_the_window_only() -> None:
    labels = build_labels(_event_world(), _event_spec())
    even = [float(i % 2 == 0) for i in range(N)]
    even[1] = 1.0  # called after 200 days; the call of contract 3 after 400 days is outside
    assert labels.y[: N - 1].tolist() == even[: N - 1]


def test_the_window_starts_at_paying_out_and_a_refused_application_has_none() -> None:
    labels = build_labels(_event_world(), _event_spec())
    assert labels.starts[0] == np.datetime64("2019-01-11")
    assert labels.ends[0] == np.datetime64("2020-01-11")
    assert np.isnat(labels.starts[N - 1])
    assert np.isnan(labels.y[N - 1])
    assert not labels.mature[N - 1]


def test_windows_that_have_not_closed_carry_no_label() -> None:
    # Window of contract i closes on 2020-01-11 + 20 i days; 30 days of lag until the last instalment in it is known.
    labels = build_labels(_event_world(), _event_spec(), as_of=pd.Timestamp("2021-06-30"))
    closed = [i for i in range(N - 1) if labels.ends[i] + np.timedelta64(30, "D") <= np.datetime64("2021-06-30")]
    assert labels.labelled.tolist() == closed
    assert 0 < len(closed) < N - 1
    assert "immature" in {finding.code for finding in labels.findings}


def _with_table(tables: TableSet, name: str, spec: TableSpec, frame: pd.DataFrame) -> TableSet:
    model = tables.data_model.model_copy(update={"tables": {**tables.data_model.tables, name: spec}})
    return TableSet.from_frames({other: tables.frame(other) for other in tables.tables} | {name: frame}, model)


def test_a_window_is_mature_only_when_its_last_event_would_be_known() -> None:
    tables = _event_world()
    slow = tables.spec("call").model_copy(update={"known_at_lag_days": 300.0})
    late = _with_table(tables, "call", slow, tables.frame("call"))
    # The window of contract 1 closes on 2020-01-31; 300 days later is 2020-11-26.
    assert np.isnan(build(late, _event_spec(), pd.Timestamp("2020-11-25")).y[1])
    assert build(late, _event_spec(), pd.Timestamp("2020-11-26")).y[1] == 1.0


def test_an_event_known_after_the_day_does_not_count() -> None:
    tables = _event_world()
    calls = tables.frame("call").assign(told=pd.to_datetime(["2021-03-01", "2020-06-01"]))
    spec = TableSpec(columns=_columns(con="id", at="date", told="date"), event_time="at", known_at="told")
    late = _with_table(tables, "call", spec, calls)
    assert build(late, _event_spec(), pd.Timestamp("2021-02-28")).y[1] == 0.0
    assert build(late, _event_spec(), pd.Timestamp("2021-03-01")).y[1] == 1.0


def test_columns_filled_in_after_the_day_are_not_seen() -> None:
    tables = _event_world()
    instalments = tables.frame("instalment").assign(settled=lambda frame: frame["due"] + pd.Timedelta(days=2_000))
    spec = tables.spec("instalment").model_copy(
        update={
            "columns": _columns(con="id", due="date", late="number", settled="date"),
            "late_columns": [LateColumns(columns=["late"], known_at="settled")],
        }
    )
    late = _with_table(tables, "instalment", spec, instalments)
    # Once all is known nothing changes; before the column is filled in, nobody is seen to be late.
    assert build_labels(late, _event_spec()).n_bad == build_labels(tables, _event_spec()).n_bad
    with pytest.raises(InputError, match=r"label bad has 1 bads"):
        build_labels(late, _event_spec(), as_of=pd.Timestamp("2022-06-01"))


def test_a_cutoff_after_the_start_of_the_window_costs_the_label() -> None:
    tables = _event_world()
    tables.frame("application").loc[0, "asked"] = pd.Timestamp("2019-02-01")
    labels = build_labels(tables, _event_spec())
    assert np.isnan(labels.y[0])
    assert "cutoff_after_start" in {finding.code for finding in labels.findings}


def test_a_table_without_a_way_to_the_root_is_refused() -> None:
    tables = _event_world()
    alone = tables.data_model.model_copy(update={"relationships": tables.data_model.relationships[:2]})
    frames = {name: tables.frame(name) for name in tables.tables}
    with pytest.raises(InputError, match="no relationship leads from table call"):
        build_labels(TableSet.from_frames(frames, alone), _event_spec())


@pytest.mark.parametrize(
    "condition, wanted",
    [
        ({"op": "in", "value": [45]}, True),
        ({"op": "not_in", "value": [45]}, False),
        ({"op": "==", "value": "45"}, True),
        ({"op": "!=", "value": 45.0}, False),
        ({"op": ">=", "value": 45}, True),
        ({"op": "<", "value": 45}, False),
        ({"op": "not_null"}, None),
    ],
)
def test_conditions_select_events(condition: dict[str, object], wanted: bool | None) -> None:
    event = {"table": "instalment", "time": "due", "where": [{"column": "late", **condition}]}
    if wanted is None:
        with pytest.raises(InputError, match="one class"):
            build_labels(_event_world(), _event_spec(bad_when=[event]))
        return
    labels = build_labels(_event_world(), _event_spec(bad_when=[event]))
    assert labels.y[0] == float(wanted)
    assert labels.y[1] == float(not wanted)


def test_forbidden_columns_are_those_of_the_root_that_are_the_label() -> None:
    assert _spec().forbidden_columns() == {"loan": ["outcome"]}
    assert _event_spec().forbidden_columns() == {}
    own = _event_spec(
        root_table="contract", key_column="con", entity_column=None, cutoff={"date": "2020-01-01"},
        bad_when=[{"table": "contract", "time": "failed", "where": [{"column": "status", "op": "==", "value": "x"}]}],
    )  # fmt: skip
    assert own.forbidden_columns() == {"contract": ["failed", "status", "paid_out"]}


def test_labels_survive_save_and_load(tmp_path) -> None:  # type: ignore[no-untyped-def]
    labels = build_labels(_event_world(), _event_spec())
    labels.save(tmp_path)
    again = Labels.load(tmp_path)
    for name in ("keys", "entities", "cutoffs", "y", "starts", "ends", "mature"):
        np.testing.assert_array_equal(getattr(again, name), getattr(labels, name))
    assert again.spec == labels.spec
    assert again.findings == labels.findings


def test_taking_all_labelled_rows_keeps_their_classes() -> None:
    labels = build_labels(_event_world(), _event_spec())
    kept = check_classes(labels.take(labels.labelled))
    assert (kept.n_bad, kept.n_good) == (labels.n_bad, labels.n_good)
