"""The data model in versions: saved by one, held against all rows, put on what another saved, signed by a third."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.audit import AuditTrail
from core.errors import ConfigurationError, ConflictError, InputError, NotFoundError, PermissionDeniedError
from core.identity import Actor
from features.definitions import FeatureDefinition, PathStep
from features.matrix import build_matrix
from features.planning import make_plan
from tests.workbench.conftest import ANALYST, OPERATOR, REVIEWER, VIEWER
from tests.workbench.lending import lending_project
from warehouse.data_model import DataModel
from workbench.flows import (
    data_models,
    deployment,
    features,
    importing,
    model_desk,
    model_signing,
    projects,
    training,
)  # fmt: skip
from workbench.flows.context import Context
from workbench.flows.results import to_json
from workbench.flows.spec import ApprovalSpec

MEI = Actor("mei", frozenset({"analyst"}))
UNIT = {"do": "set_column", "table": "payments", "column": "amount_cny", "field": "unit", "value": "CNY"}
ROLE = {"do": "set_column", "table": "clients", "column": "sector", "field": "role", "value": "forbidden"}


@pytest.fixture
def project(ctx: Context, tmp_path: Path) -> str:
    return lending_project(ctx, tmp_path / "source", n_clients=150)


def test_features_come_in_the_unit_that_is_confirmed_and_the_tables_stay_as_they_are(
    ctx: Context, project: str
) -> None:
    column = {**UNIT, "field": "feature_unit", "value": "10k CNY"}
    desk = model_desk.edit(ctx, project, column)
    (against,) = [one for one in data_models.check(ctx, project, desk.model).findings if one.severity == "bad"]
    assert (against.code, against.where) == ("model_contradicts_itself", "payments, column amount_cny")
    assert "in the unit – cannot be converted to 10k CNY" in str(against.message)
    desk = model_desk.edit(ctx, project, UNIT)
    assert data_models.check(ctx, project, desk.model).fits
    assert "payments.amount_cny: the unit of its features is 10k CNY, was none" in [one.text() for one in desk.changes]
    before = importing.tables(ctx, project).frame("payments")["amount_cny"]
    model_desk.save(ctx, project)
    data_models.apply(ctx, project)
    after = importing.tables(ctx, project)
    assert after.frame("payments")["amount_cny"].equals(before)
    payments = PathStep("down", "payments", "client_id", "client_id")
    items = [FeatureDefinition.create((payments,), "amount_cny", "max", window=None)]
    plan = make_plan(after, "clients", "client_id", items)
    assert set(plan.units.values()) == {"10k CNY"}
    keys = after.frame("clients")["client_id"].to_numpy()
    largest = build_matrix(after, plan, keys, np.full(len(keys), np.datetime64("2024-09-01"))).values[:, 0]
    assert 0.05 < np.nanmax(largest) < 0.09  # payments of 100 to 900 yuan


def test_a_correction_is_saved_put_to_the_tables_and_signed_by_another(ctx: Context, project: str) -> None:
    assert data_models.current_number(ctx, project) == 0
    assert "payments" in data_models.text(ctx, project)
    model_desk.edit(ctx, project, UNIT)
    desk = model_desk.edit(ctx, project, ROLE)
    assert [item.text() for item in desk.changes] == [
        "clients.sector: the role is forbidden, was feature",
        "payments.amount_cny: the unit is CNY, was none",
    ]
    assert len(model_desk.undo(ctx, project).changes) == 1
    assert len(model_desk.redo(ctx, project).changes) == 2
    saved = model_desk.save(ctx, project, note="units agreed with finance")
    assert (saved.number, saved.base, saved.author, saved.state) == (1, 0, "lin", "saved")
    assert model_desk.open_desk(ctx, project).changes == ()
    assert projects.spec(ctx, project).data == DataModel()  # the version holds it now

    assert importing.version_of_stored(ctx, project) is None
    before = importing.stored(ctx, project)
    after = data_models.apply(ctx, project)
    assert after.data_model_version == 1
    assert before is not None
    assert after.fingerprint != before.fingerprint
    amount = next(item for item in after.table("payments").columns if item.name == "amount_cny")
    assert amount.unit == "CNY"
    assert [item.code for item in after.findings].count("orphan_rows") == 1

    with pytest.raises(PermissionDeniedError, match=r"model\.review"):
        data_models.approve(ctx, project, 1)
    author_who_reviews = replace(ctx, actor=Actor("lin", frozenset({"analyst", "reviewer"})))
    with pytest.raises(PermissionDeniedError, match="somebody else"):
        data_models.approve(author_who_reviews, project, 1)
    reviewer = ctx.acting_as(REVIEWER)
    assert [item.where for item in data_models.difference(reviewer, project, 0, 1)] == [
        "clients.sector", "payments.amount_cny",
    ]  # fmt: skip
    with pytest.raises(InputError, match="reason"):
        data_models.refuse(reviewer, project, 1, note=" ")
    signed = data_models.approve(reviewer, project, 1, note="seen")
    assert (signed.state, signed.reviewed_by, signed.review_note) == ("approved", "wang", "seen")
    with pytest.raises(ConflictError, match="approved"):
        data_models.refuse(reviewer, project, 1, note="no")
    actions = [record.action for record in AuditTrail(ctx.database).records()]
    assert sorted(action for action in actions if action.startswith("data_model")) == [
        "data_model.approved", "data_model.save",
    ]  # fmt: skip


def test_features_record_the_version_they_were_made_under(ctx: Context, project: str) -> None:
    model_desk.edit(ctx, project, ROLE)
    model_desk.save(ctx, project)
    data_models.apply(ctx, project)
    data_models.approve(ctx.acting_as(REVIEWER), project, 1)
    result = features.run(ctx, project)
    assert result.data_model is not None
    assert (result.data_model.number, result.data_model.state, result.data_model.reviewed_by) == (1, "approved", "wang")
    assert result.data_model.fingerprint == data_models.version(ctx, project, 1).fingerprint
    assert not any(item.column == "sector" for item in (*result.kept, *result.dropped))
    assert features.stored(ctx, project) == result


class AsRegistered:
    """A registry that holds one version, made of features under a version of the data model."""

    def __init__(self, info: dict[str, Any]) -> None:
        self.info = info
        self.deployed: list[str] = []

    def bundle(self, project: str, number: int) -> "AsRegistered":  # noqa: ARG002 - the one version
        return self

    def deploy(self, project: str, version: int, slot: str, **_: object) -> None:  # noqa: ARG002
        self.deployed.append(slot)
        raise NotFoundError("no more of it here")


def test_a_project_that_asks_for_it_trains_and_answers_only_under_a_signed_data_model(
    ctx: Context, project: str
) -> None:
    rule = ApprovalSpec(data_model=True)
    model_desk.edit(ctx, project, ROLE)
    model_desk.save(ctx, project)
    data_models.apply(ctx, project)
    built = features.run(ctx, project)
    assert model_signing.unsigned(ctx, project) is None  # nobody asks for it
    projects.write_spec(ctx, project, projects.spec(ctx, project).model_copy(update={"approvals": rule}))
    with pytest.raises(ConflictError, match="version 1 of the data model, saved by lin, is not signed") as refused:
        training.run(ctx, project)
    assert refused.value.code == "data_model_not_approved"
    assert "workbench model approve 1" in str(refused.value.fix)
    registry = AsRegistered({"data_model_version": to_json(built.data_model)})
    operator = replace(ctx, actor=OPERATOR)
    operator.__dict__["registry"] = registry
    with pytest.raises(ConflictError, match="not signed"):
        deployment.deploy(operator, project, 1, reason="it is good")
    with pytest.raises(NotFoundError):
        deployment.deploy(operator, project, 1, slot="shadow", reason="nobody reads its answers")
    data_models.approve(ctx.acting_as(REVIEWER), project, 1)
    assert model_signing.unsigned(ctx, project) is None
    with pytest.raises(NotFoundError):
        deployment.deploy(operator, project, 1, reason="it is good")
    assert registry.deployed == ["shadow", "champion"]
    registry.info.clear()  # a model whose data model was only inferred
    with pytest.raises(ConflictError, match="under none that was saved"):
        deployment.deploy(operator, project, 1, reason="it is good")


def test_two_people_edit_and_the_second_loses_nothing(ctx: Context, project: str) -> None:
    mei = ctx.acting_as(MEI)
    model_desk.edit(ctx, project, UNIT)
    model_desk.edit(mei, project, {**UNIT, "value": "10k CNY"})
    model_desk.edit(mei, project, ROLE)
    assert model_desk.others(ctx, project) == ["mei"]
    model_desk.save(ctx, project)
    desk = model_desk.open_desk(mei, project)
    assert desk.is_behind
    with pytest.raises(ConflictError) as refused:
        model_desk.save(mei, project)
    assert (refused.value.code, "lin saved version 1" in str(refused.value)) == ("model_changed", True)
    assert [item.text() for item in refused.value.findings] == ["payments.amount_cny: the unit is CNY, was none"]
    assert model_desk.open_desk(mei, project).changes == desk.changes

    merged = model_desk.rebase(mei, project)
    assert (merged.base, merged.is_behind) == (1, False)
    assert [(item.where, item.mine.text(), item.theirs.text()) for item in merged.conflicts] == [
        ("payments.amount_cny", "the unit is 10k CNY, was none", "the unit is CNY, was none")
    ]
    assert [item.text() for item in merged.changes] == [
        "clients.sector: the role is forbidden, was feature", "payments.amount_cny: the unit is 10k CNY, was CNY",
    ]  # fmt: skip
    settled = model_desk.take_theirs(mei, project, merged.conflicts[0].fact)
    assert settled.conflicts == ()
    assert [item.where for item in settled.changes] == ["clients.sector"]
    assert model_desk.save(mei, project).number == 2
    assert [(item.number, item.author) for item in data_models.versions(ctx, project)] == [
        (2, "mei"), (1, "lin"), (0, "lin"),
    ]  # fmt: skip


def test_a_model_the_rows_speak_against_is_not_saved(ctx: Context, project: str) -> None:
    model_desk.edit(ctx, project, {"do": "set_key", "table": "payments", "columns": ["client_id"]})
    with pytest.raises(ConfigurationError) as refused:
        model_desk.save(ctx, project)
    assert refused.value.code == "model_does_not_fit"
    assert [item.code for item in refused.value.findings] == ["key_not_unique"]
    assert data_models.versions(ctx, project) == []
    assert model_desk.open_desk(ctx, project).can_undo
    with pytest.raises(ConflictError, match="says the same"):
        data_models.save(ctx, project, data_models.model(ctx, project), base=0)
    with pytest.raises(PermissionDeniedError):
        model_desk.edit(ctx.acting_as(VIEWER), project, UNIT)


def test_a_later_import_goes_by_the_version_and_what_no_longer_fits_is_found(
    ctx: Context, project: str, tmp_path: Path
) -> None:
    model_desk.edit(ctx, project, UNIT)
    model_desk.edit(ctx, project, {"do": "set_event_time", "table": "payments", "column": None})
    model_desk.save(ctx, project)
    data_models.apply(ctx, project)
    again = importing.run(ctx, project, tmp_path / "source")
    assert again.data_model_version == 1
    assert again.table("payments").event_time is None  # what was taken away is not inferred again
    assert not [item for item in again.findings if item.code.startswith("model_")]
    assert model_desk.open_desk(ctx, project).base == 1

    path = tmp_path / "source" / "payments.csv"
    path.write_text(path.read_text("utf-8").replace("days_late", "delay", 1), "utf-8")
    changed = importing.run(ctx, project, tmp_path / "source")
    assert {(item.code, item.where) for item in changed.findings if item.code.startswith("model_")} == {
        ("model_column_missing", "payments.days_late"), ("model_column_new", "payments.delay"),
    }  # fmt: skip
    desk = model_desk.open_desk(ctx, project)
    assert "delay" in desk.model.tables["payments"].columns
    assert data_models.save(ctx, project, desk.model, base=1).number == 2


def test_a_file_names_the_version_it_was_made_from(ctx: Context, project: str) -> None:
    text = data_models.text(ctx, project, with_header=True)
    assert data_models.base_of_text(text) == 0
    assert data_models.read_text(text) == data_models.model(ctx, project)
    with pytest.raises(ConfigurationError, match=r"my\.yaml, line 3, tables\.payments\.colour"):
        data_models.read_text("tables:\n  payments:\n    colour: red\n", where="my.yaml")
    desk = model_desk.replace_with(ctx, project, text.replace("role: feature", "role: ignore", 1))
    assert len(desk.changes) == 1
    assert ctx.actor == ANALYST


def test_the_commands_show_check_save_tell_and_sign(
    ctx: Context, project: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    from core.identity import SYSTEM
    from workbench.cli import main

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["model", *arguments])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    ctx.identity.create_user("wang", "wang-only-here-1", ("reviewer",), by=SYSTEM)
    code, shown, _ = run("show")
    assert code == 0
    path = tmp_path / "model.yaml"
    path.write_text(shown.replace("role: feature", "role: personal", 1), "utf-8")
    code, said, _ = run("check", str(path), "--json")
    assert code == 0
    assert json.loads(said)["links"][0]["n_orphans"] == 24
    assert run("save", str(path), "--note", "personal")[0] == 0
    code, said, _ = run("diff")
    assert "version 1 says 1 things otherwise than version 0" in said
    assert "the role is personal, was feature (no feature is made of it any more)" in said
    code, _, wrong = run("save", str(path))
    assert (code, "yours was made from version 0" in wrong) == (1, True)
    path.write_text(shown.replace("primary_key:\n    - payment_id", "primary_key:\n    - client_id"), "utf-8")
    code, said, _ = run("check", str(path))
    assert (code, "repeat a value of the key client_id" in said) == (1, True)
    assert run("approve", "--as", "wang", "--language", "zh")[1].strip() == "第 1 版：已批准（wang）"
    assert json.loads(run("list", "--json")[1])["versions"][0]["state"] == "approved"
