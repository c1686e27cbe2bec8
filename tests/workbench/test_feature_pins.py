"""What a person keeps stays in, what a person leaves out stays out, and both are undone."""

from pathlib import Path

import pytest

from tests.workbench.lending import lending_project
from workbench.flows import feature_choice, feature_pins, features
from workbench.flows.context import Context


@pytest.fixture
def project(ctx: Context, tmp_path: Path) -> str:
    return lending_project(ctx, tmp_path / "data")


def test_a_drop_is_undone_and_a_kept_feature_left_out(ctx: Context, project: str) -> None:
    first = features.run(ctx, project)
    kept = first.kept[0].alias
    dropped = next(row.alias for row in first.dropped if row.code in ("correlated", "noise", "rank", "weak"))
    feature_pins.keep(ctx, project, [dropped])
    feature_pins.drop(ctx, project, [kept, "no_such_feature"])
    again = features.run(ctx, project)
    assert dropped in {row.alias for row in again.kept}
    assert {row.code for row in again.dropped if row.alias == kept} == {"by_hand"}
    assert "no_such_feature" in next(f for f in again.findings if f.code == "unknown_pin").text()

    feature_pins.undo(ctx, project, [dropped, kept, "no_such_feature"])
    choice = feature_choice.chosen(ctx, project)
    assert (choice.keep, choice.drop) == ([], [])
    assert [row.alias for row in features.run(ctx, project).kept] == [row.alias for row in first.kept]


def test_a_feature_is_on_one_list_at_most(ctx: Context, project: str) -> None:
    feature_pins.keep(ctx, project, ["a", "b"])
    choice = feature_pins.drop(ctx, project, ["a"])
    assert (choice.keep, choice.drop) == (["b"], ["a"])
