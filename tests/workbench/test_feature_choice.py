"""A choice is changed click by click, checked by the house's own rules, kept with a trail, and taken back."""

import pytest

from core.audit import AuditRecord, AuditTrail
from core.errors import ConfigurationError, PermissionDeniedError
from features.primitives.vocabulary import AGGREGATIONS, GROUPS, TRANSFORMS
from features.spec import FeatureSpec
from tests.workbench.conftest import VIEWER
from workbench.flows import feature_choice, projects
from workbench.flows.context import Context
from workbench.flows.spec import ProjectSpec


@pytest.fixture
def project(ctx: Context) -> str:
    given = {"name": "p", "features": {"windows": ["6m"], "ignore": {"loans": ["purpose"]}}}
    return projects.create(ctx, ProjectSpec.model_validate(given)).name


def trail(ctx: Context) -> list[AuditRecord]:
    return [record for record in AuditTrail(ctx.database).records() if record.action == "feature.choose"]


def test_each_primitive_stands_in_one_group() -> None:
    listed = [name for names in feature_choice.primitive_groups().values() for name in names]
    assert sorted(listed) == sorted({*AGGREGATIONS, *TRANSFORMS})


def test_a_saved_choice_is_read_back_and_the_trail_says_what_changed(ctx: Context, project: str) -> None:
    choice = feature_choice.with_window(feature_choice.chosen(ctx, project), " 45D ")
    feature_choice.save(ctx, project, choice)
    assert feature_choice.chosen(ctx, project).windows == ["6m", "45d"]
    record = trail(ctx)[-1]
    assert record.details["changes"] == {"windows": {"before": ["6m"], "after": ["6m", "45d"]}}


def test_saving_what_is_there_already_writes_nothing(ctx: Context, project: str) -> None:
    feature_choice.save(ctx, project, feature_choice.chosen(ctx, project))
    assert not trail(ctx)


def test_a_reset_brings_the_defaults_and_the_trail_keeps_what_was(ctx: Context, project: str) -> None:
    assert feature_choice.reset(ctx, project) == FeatureSpec() == feature_choice.chosen(ctx, project)
    record = trail(ctx)[-1]
    assert record.details["changes"]["ignore"]["before"] == {"loans": ["purpose"]}


def test_who_may_not_build_features_may_not_choose_them(ctx: Context, project: str) -> None:
    with pytest.raises(PermissionDeniedError):
        feature_choice.save(ctx.acting_as(VIEWER), project, FeatureSpec(max_depth=3))
    assert feature_choice.chosen(ctx, project).max_depth == 2


@pytest.mark.parametrize("text", ["", "6", "0d", "18 months", "m6", "-3d"])
def test_what_is_no_window_is_refused_in_words(text: str) -> None:
    with pytest.raises(ConfigurationError, match="such as 30d, 6m or 2y"):
        feature_choice.with_window(FeatureSpec(), text)


def test_a_window_twice_is_one_window() -> None:
    assert feature_choice.with_window(FeatureSpec(windows=["6m"]), "6m").windows == ["6m"]


def test_tables_and_columns_go_out_and_come_back() -> None:
    one = feature_choice.with_column(FeatureSpec(), "loans", "purpose", is_used=False)
    two = feature_choice.with_column(one, "loans", "amount", is_used=False)
    assert two.ignore == {"loans": ["amount", "purpose"]}
    out = feature_choice.with_table(two, "loans", is_used=False)
    assert out.ignore == {"loans": []}
    assert feature_choice.with_column(out, "loans", "amount", is_used=True) == out
    assert feature_choice.with_table(out, "loans", is_used=True).ignore == {}
    assert feature_choice.with_column(one, "loans", "purpose", is_used=True).ignore == {}


@pytest.mark.parametrize("name", list(GROUPS))
def test_a_preset_is_recognised_by_its_members(name: str) -> None:
    assert feature_choice.preset_of(FeatureSpec(primitives=list(GROUPS[name]))) == name
    assert feature_choice.preset_of(FeatureSpec(primitives=["count"])) is None


def test_a_wrong_value_names_its_field() -> None:
    with pytest.raises(ConfigurationError) as caught:
        feature_choice.changed(FeatureSpec(), max_depth=7)
    assert caught.value.where == "max_depth"


def test_a_preset_brings_its_extras_and_leaving_one_primitive_out_keeps_them() -> None:
    credit = feature_choice.with_preset(FeatureSpec(max_depth=3), "credit")
    assert credit.chosen_ratios == (("6m", "24m"),)
    own = feature_choice.with_primitives(credit, [name for name in credit.chosen if name != "herfindahl"])
    assert set(credit.chosen) - set(own.chosen) == {"herfindahl"}
    assert (own.chosen_ratios, own.chosen_levels, own.chosen_stack) == ((("6m", "24m"),), 3, ("mean", "max"))
    back = feature_choice.with_primitives(own, credit.chosen)
    assert back == credit
    plain = feature_choice.with_primitives(FeatureSpec(), ["count", "sum"])
    assert (plain.chosen, plain.chosen_ratios, plain.chosen_levels) == (("count", "sum"), (), 0)


def test_counterparties_stay_whatever_else_is_chosen() -> None:
    on = feature_choice.with_counterparties(FeatureSpec(), is_used=True)
    for other in (feature_choice.with_preset(on, "credit"), feature_choice.with_primitives(on, ["count"])):
        assert other.chosen_counterparties == ("sum", "mean", "max")
        assert feature_choice.with_counterparties(other, is_used=False).chosen_counterparties == ()
    assert feature_choice.preset_of(feature_choice.with_preset(on, "credit")) == "credit"
