import numpy as np
import pandas as pd
import yaml

from automl.label import build_labels
from sample_data import DEMO_PROJECT, World
from workbench.flows.spec import ProjectSpec


def test_every_table_and_column_is_named_in_both_languages(world: World) -> None:
    for name, table in world.table_set.tables.items():
        assert set(table.spec.label) == {"en", "zh"}, name
        for column, spec in table.spec.columns.items():
            assert set(spec.label) == {"en", "zh"}, (name, column)
            assert spec.label["zh"].strip() != spec.label["en"]


def test_the_project_is_a_whole_specification() -> None:
    project = ProjectSpec.from_yaml(DEMO_PROJECT.read_text(encoding="utf-8"))
    assert [label.name for label in project.labels] == ["overdue_30_or_subrogated_12m", "subrogated_12m"]
    for table, columns in project.features.ignore.items():
        assert set(columns) <= set(project.data.tables[table].columns)


def test_the_labels_of_the_project_are_those_worked_out_by_hand(world: World, loans: pd.DataFrame) -> None:
    project = ProjectSpec.from_yaml(DEMO_PROJECT.read_text(encoding="utf-8"))
    by_application = loans.set_index("app_id")
    for spec, column in zip(project.labels, ("is_bad", "is_subrogated"), strict=True):
        labels = build_labels(world.table_set, spec)
        known = labels.labelled
        assert set(labels.keys[known]) == set(by_application.index)
        np.testing.assert_array_equal(labels.y[known], by_application.loc[labels.keys[known], column].astype(float))


def test_what_is_decided_after_the_application_is_late_or_unlinked() -> None:
    tables = yaml.safe_load(DEMO_PROJECT.read_text(encoding="utf-8"))["data"]["tables"]
    late = {column for group in tables["application"]["late_columns"] for column in group["columns"]}
    assert late == {"decision"}
    late = {column for group in tables["contract"]["late_columns"] for column in group["columns"]}
    assert {"status", "release_date", "disburse_date", "maturity_date"} == late
