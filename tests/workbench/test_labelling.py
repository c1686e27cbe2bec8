"""The label by clicking: what the form counts is what the feature step trains on, whatever the grain."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from automl.rolls import RollSpec
from core.errors import InputError
from workbench.flows import features, importing, labelling, projects
from workbench.flows.context import Context, open_context
from workbench.flows.importing import ColumnProfile, TableProfile
from workbench.flows.rolls_guess import guess_rolls
from workbench.flows.spec import ProjectSpec

NAME = "guarantees"


def _write(folder: Path, n: int = 260) -> None:
    """Contracts of a year with twelve instalments; the worse the risk, the later paid, and some are subrogated."""
    rng = np.random.default_rng(3)
    risk = rng.normal(size=n)
    begun = pd.Timestamp("2019-01-05") + pd.to_timedelta(rng.integers(0, 900, n), "D")
    contracts, repayments, subrogations = [], [], []
    for i in range(n):
        name = f"C{i:04d}"
        contracts.append(
            (name, f"E{i % 200:04d}", begun[i], begun[i] + pd.Timedelta(370, "D"), round(float(risk[i]), 3))
        )
        for month in range(1, 13):
            late = max(0, int(rng.normal(12 * risk[i] - 6, 12)))
            due = begun[i] + pd.Timedelta(30 * month, "D")
            repayments.append((f"R{i:04d}{month:02d}", name, due, due + pd.Timedelta(late, "D"), late))
            if late > 45 and rng.random() < 0.3:
                subrogations.append((f"S{len(subrogations):04d}", name, due + pd.Timedelta(60, "D")))
                break
    names = {
        "contract": (contracts, ["contract_id", "ent_id", "disburse_date", "release_date", "risk"]),
        "repay_record": (repayments, ["repay_id", "contract_id", "due_date", "pay_date", "overdue_days"]),
        "compensation": (subrogations, ["comp_id", "contract_id", "pay_date"]),
    }
    for table, (rows, columns) in names.items():
        pd.DataFrame(rows, columns=columns).to_csv(folder / f"{table}.csv", index=False)


@pytest.fixture
def project(ctx: Context, tmp_path: Path) -> str:
    owner = open_context(ctx.settings)
    folder = tmp_path / "tables"
    folder.mkdir()
    _write(folder)
    late = {"columns": ["release_date"], "known_at": "release_date"}
    spec = ProjectSpec.model_validate({
        "name": NAME,
        "data": {"as_of": "2023-06-30", "tables": {
            "contract": {"primary_key": ["contract_id"], "event_time": "disburse_date", "late_columns": [late],
                         "columns": {"release_date": {"type": "date", "role": "known_at"}}},
            "repay_record": {"primary_key": ["repay_id"], "event_time": "due_date",
                             "late_columns": [{"columns": ["overdue_days"], "known_at": "pay_date"}]},
            "compensation": {"primary_key": ["comp_id"], "event_time": "pay_date"},
        }},
        "features": {"windows": ["6m"], "max_features": 30, "ignore": {"contract": ["release_date"]}},
    })  # fmt: skip
    projects.create(owner, spec)
    importing.run(owner, NAME, folder)
    owner.database.dispose()
    return NAME


def _late(least: int) -> dict[str, object]:
    condition = {"column": "overdue_days", "op": ">", "value": least}
    return {"table": "repay_record", "time": "due_date", "offset_days": least + 1, "where": [condition]}


def _panel() -> dict[str, object]:
    begin = {"table": "contract", "column": "disburse_date"}
    return {
        "name": "behaviour", "root_table": "contract", "key_column": "contract_id", "entity_column": "ent_id",
        "cutoff": {"monthly": {"start": begin, "end": {"table": "contract", "column": "release_date"}}},
        "bad_when": [_late(30), {"table": "compensation", "time": "pay_date"}], "indeterminate_when": [_late(20)],
        "performance_window_months": 6,
    }  # fmt: skip


def test_contract_months_are_counted_saved_and_become_features(ctx: Context, project: str) -> None:
    owner = open_context(ctx.settings)
    spec = labelling.parse(_panel())
    shown = labelling.preview(ctx, project, spec)
    assert {"good", "bad", "indeterminate", "already_bad"} <= set(shown.counts)
    assert shown.problem is None
    labelling.save(owner, project, spec)
    assert projects.spec(ctx, project).labels == [spec]
    result = features.run(owner, project)
    labels, split = features.labels(owner, project), features.split(owner, project)
    assert result.certificate.passed  # also where a contract is seen at a dozen cutoffs
    assert {str(state): n for state, n in labels.counts().items()} == shown.counts
    assert pd.Series(labels.keys).value_counts().max() > 6
    assert split.kind == "out_of_time"
    last = labels.ends[split.train].max()
    assert last <= labels.cutoffs[split.out_of_time].min()  # an embargo of one performance window
    owner.database.dispose()


def test_a_definition_that_nothing_can_be_learnt_from_is_counted_all_the_same(ctx: Context, project: str) -> None:
    values = {**_panel(), "bad_when": [_late(4_000)], "indeterminate_when": []}
    shown = labelling.preview(ctx, project, labelling.parse(values))
    assert shown.problem is not None
    assert shown.problem.code == "label_one_class"
    assert shown.counts["good"] > 100


def test_a_form_that_is_not_whole_says_what_is_missing(ctx: Context) -> None:
    with pytest.raises(InputError, match="bad_when needs performance_window_months"):
        labelling.parse({**_panel(), "performance_window_months": None})


def test_vintages_and_roll_rates_are_found_in_the_tables(ctx: Context, project: str) -> None:
    rolls, is_chosen = labelling.rolls_chosen(ctx, project)
    assert rolls == RollSpec(
        table="repay_record", contract_column="contract_id", due_column="due_date", paid_column="pay_date",
        subrogation_table="compensation", subrogation_column="pay_date",
    )  # fmt: skip
    assert not is_chosen
    rates = labelling.rolls(ctx, project, rolls)
    assert sum(map(sum, rates.counts)) > 1_000
    values = {**_panel(), "cutoff": {"column": "disburse_date"}, "performance_window_months": 12}
    study = labelling.study(ctx, project, labelling.parse(values))
    assert [item.months for item in study.maturities] == [12, 15, 18]
    assert study.maturities[0].share <= study.maturities[1].share <= study.maturities[2].share


def test_where_instalments_lie_is_chosen_and_kept_and_given_back(ctx: Context, project: str) -> None:
    owner = open_context(ctx.settings)
    guessed, _ = labelling.rolls_chosen(ctx, project)
    assert guessed is not None
    by_days = guessed.model_copy(update={"paid_column": None, "overdue_days_column": "overdue_days"})
    labelling.choose_rolls(owner, project, by_days)
    assert labelling.rolls_chosen(ctx, project) == (by_days, True)
    assert ProjectSpec.from_yaml(projects.spec(ctx, project).to_yaml()).rolls == by_days
    # Paid so many days late, or paid on that day: one and the same in these tables.
    assert labelling.rolls(ctx, project, by_days) == labelling.rolls(ctx, project, guessed)
    for wrong, said in (("due_column", "holds no dates"), ("contract_column", "no columns nothing")):
        value = "repay_id" if wrong == "due_column" else "nothing"
        with pytest.raises(InputError, match=said):
            labelling.choose_rolls(owner, project, by_days.model_copy(update={wrong: value}))
    labelling.choose_rolls(owner, project, None)
    assert labelling.rolls_chosen(ctx, project) == (guessed, False)
    with pytest.raises(ValidationError, match="paid_column and overdue_days_column"):
        RollSpec(table="repay_record", contract_column="contract_id", due_column="due_date")
    owner.database.dispose()


def _columns(**types: str) -> tuple[ColumnProfile, ...]:
    return tuple(
        ColumnProfile(name, {}, kind, "feature", None, 0.0, 9, None, None, None, ()) for name, kind in types.items()
    )


def _table(name: str, n_rows: int, *key: str, **types: str) -> TableProfile:
    return TableProfile(name, {}, n_rows, key, None, None, None, None, _columns(**types))


def test_instalments_are_found_under_other_names_and_not_where_there_are_none(ctx: Context, project: str) -> None:
    result = importing.stored(ctx, project)
    assert result is not None
    chinese = (
        _table("还款计划", 900, "流水号", 流水号="id", 借据号="id", 应还日期="date", 实还日期="date", 金额="number"),
        _table("代偿", 9, "代偿编号", 代偿编号="id", 借据号="id", 代偿日="date"),
    )
    assert guess_rolls(replace(result, tables=chinese)) == RollSpec(
        table="还款计划", contract_column="借据号", due_column="应还日期", paid_column="实还日期",
        subrogation_table="代偿", subrogation_column="代偿日",
    )  # fmt: skip
    # What begins to be overdue is not when it was due, and a table of contracts is not one of instalments.
    misleading = (
        _table("events", 90, "event_id", event_id="id", loan_id="id", overdue_since="date", paid_on="date"),
        _table("loans", 900, "loan_id", loan_id="id", due_date="date", repaid_on="date"),
        _table("postings", 99, loan_id="id", due_on="date", days_late="integer"),
    )
    assert guess_rolls(replace(result, tables=misleading)) == RollSpec(
        table="postings", contract_column="loan_id", due_column="due_on", overdue_days_column="days_late"
    )
    assert guess_rolls(replace(result, tables=misleading[:2])) is None
