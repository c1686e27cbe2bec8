"""One map of reason codes: what the analyst set is what pages, files and the service say of a version."""

import csv
import io
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest

from automl.reason_codes import ReasonSpec
from core.errors import InputError, PermissionDeniedError
from core.identity import SYSTEM, Actor, Identity
from core.settings import Settings
from features.binning import make_reference_profile
from model_registry.bundle import Bundle, write_bundle
from model_registry.registry import Registry
from tests.model_registry.tiny_world import DATA_MODEL, LABEL, example_keys, payload, tiny_training, tiny_world
from tests.serving.conftest import running
from tests.workbench.conftest import ANALYST, OPERATOR, REVIEWER, VIEWER
from tests.workbench.test_cli import run
from workbench.flows import importing, projects, reason_codes, scoring
from workbench.flows.context import Context, open_context
from workbench.flows.spec import ProjectSpec

PROJECT = "tiny"
WORDS = {"R31": {"en": "the sum that was asked for", "zh": "所申请的金额"}}
CHOSEN = {"amount": "R31"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """A project whose only version has an analyst's words in it, deployed."""
    home = tmp_path_factory.mktemp("reasons")
    shutil.copy(migrated_file, home / "workbench.db")
    ctx = open_context(Settings(home=home), actor=ANALYST)
    projects.create(ctx, ProjectSpec(name=PROJECT))
    importing.keep(ctx, PROJECT, tiny_world().table_set, (), "tiny", time.monotonic())
    spec = reason_codes.change(ctx, PROJECT, features=CHOSEN, subjects=WORDS)
    registry = Registry(ctx.database, ctx.artifacts, mlflow=False)
    registry.register(PROJECT, _bundle(home / "bundle", spec).folder, author=ctx.actor, run={})
    registry.submit(PROJECT, 1, by=ANALYST, note="")
    registry.approve(PROJECT, 1, by=REVIEWER)
    registry.deploy(PROJECT, 1, by=OPERATOR, reason="test")
    ctx.database.dispose()
    return home


def _bundle(folder: Path, spec: ReasonSpec | None) -> Bundle:
    world, training = tiny_world(), tiny_training("lightgbm")
    values = world.matrix.values[training.split.train]
    return write_bundle(
        folder,
        plan=world.matrix.plan,
        training=training,
        reference=make_reference_profile(
            values, world.matrix.plan, training.scale.points(training.probability(values))
        ),
        label=LABEL,
        certificate=None,
        selection=None,
        data_fingerprint=world.table_set.fingerprint,
        info={},
        data_model=DATA_MODEL,
        reasons=spec,
    )


@pytest.fixture
def ctx(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    monkeypatch.setenv("WORKBENCH_HOME", str(home))
    ctx = open_context(Settings.load(), actor=ANALYST)
    yield ctx
    ctx.database.dispose()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_pages_files_and_the_service_give_one_code_and_one_sentence(
    ctx: Context, tmp_path: Path, language: str
) -> None:
    keys = example_keys(25)
    spoken = ctx.speaking(language)
    pages = {key: scoring.score_stored(spoken, PROJECT, key).reasons for key in keys}
    scoring.batch(spoken, PROJECT, tmp_path / "scores.csv", rows=keys, n_reasons=4)
    file = pd.read_csv(tmp_path / "scores.csv", encoding="utf-8-sig", keep_default_na=False).set_index("app_id")
    frozen = {row.feature: row for row in reason_codes.view(spoken, PROJECT)}
    _, secret = Identity(ctx.database).create_key(f"portal-{language}", ["model.score"], by=SYSTEM)
    with running(ctx.settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        for key, shown in pages.items():
            asked = {"project": PROJECT, "key": key, "tables": payload(key), "language": language}
            served = client.post("/v1/score", json=asked).json()["reasons"]
            said = [(reason.code, reason.statement, reason.text, reason.alias) for reason in shown]
            assert [(one["code"], one["statement"], one["text"], one["feature"]) for one in served] == said
            assert [file.loc[key, f"reason_{i + 1}_code"] for i in range(len(shown))] == [one[0] for one in said]
            for code, statement, _, alias in said:
                assert frozen[alias].code == code
                assert statement in (frozen[alias].raises, frozen[alias].lowers)
    assert "R31" in {reason.code for shown in pages.values() for reason in shown}
    assert WORDS["R31"][language].lower() in frozen["amount"].raises.lower()


def test_the_words_are_part_of_what_is_reviewed(home: Path, tmp_path: Path) -> None:
    approved = Bundle.open(home / "bundle")
    plain = _bundle(tmp_path / "plain", None)
    assert approved.hash != plain.hash
    assert "reason_codes.json" in approved.manifest.files
    assert plain.reason_codes.features["amount"] == "R18"


def test_what_is_changed_later_leaves_versions_as_they_are(ctx: Context) -> None:
    before = reason_codes.view(ctx, PROJECT)
    assert reason_codes.change(ctx, PROJECT, features={"amount": ""}).features == {}
    assert reason_codes.view(ctx, PROJECT) == before
    reason_codes.change(ctx, PROJECT, features=CHOSEN)


def test_codes_that_nobody_knows_and_changes_by_a_reader_are_refused(ctx: Context) -> None:
    with pytest.raises(InputError, match="R77"):
        reason_codes.change(ctx, PROJECT, features={"amount": "R77"})
    with pytest.raises(PermissionDeniedError):
        reason_codes.change(ctx.acting_as(VIEWER), PROJECT, features={"amount": "R04"})


def test_the_command_shows_writes_and_changes_them(
    ctx: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed, _ = run(["reasons", "-p", PROJECT, "--json"], capsys)
    rows = {row["feature"]: row for row in json.loads(printed)["reasons"]}
    assert (code, rows["amount"]["code"]) == (0, "R31")
    run(["reasons", "-p", PROJECT, "-o", str(tmp_path / "codes.csv")], capsys)
    written = list(csv.DictReader(io.StringIO((tmp_path / "codes.csv").read_text("utf-8-sig"))))
    assert [row["code"] for row in written if row["feature"] == "amount"] == ["R31"]
    assert all(row["raises_zh"] and row["lowers_en"] for row in written)
    code, _, _ = run(
        ["reasons", "-p", PROJECT, "--set", "staff=R32", "--subject", "R32=the staff|员工", "--json"], capsys
    )
    assert code == 0
    assert projects.spec(ctx, PROJECT).reasons.features["staff"] == "R32"
    assert run(["reasons", "-p", PROJECT, "--set", "staff"], capsys)[0] == 1


def test_the_sheet_of_the_next_version_shows_what_has_no_code_and_what_is_new(ctx: Context) -> None:
    version = reason_codes.sheet(ctx, PROJECT, 1)
    assert {"amount"} <= set(next(row for row in version.rows if row.code == "R31").features)
    assert version.n_features == len(reason_codes.view(ctx, PROJECT))
    with_none = [row.feature for row in reason_codes.view(ctx, PROJECT) if row.code == "R99"]
    assert version.n_without == len(with_none)
    assert not with_none or version.rows[0].is_missing


def test_who_changed_the_codes_is_kept_whichever_way_they_were_changed(
    ctx: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(reason_codes.history(ctx, PROJECT))
    reason_codes.change(ctx, PROJECT, features={"ent_region": "R22"})
    text = projects.spec_yaml(ctx, PROJECT).replace("ent_region: R22", "ent_region: R26")
    projects.write_spec(ctx.acting_as(Actor("chen", frozenset({"admin"}))), PROJECT, text)
    projects.write_spec(ctx, PROJECT, text)  # the same again is no change
    reason_codes.change(ctx, PROJECT, features={"ent_region": ""})
    found = reason_codes.history(ctx, PROJECT)[: len(reason_codes.history(ctx, PROJECT)) - before]
    assert [(one.by, dict(one.features)) for one in reversed(found)] == [
        ("lin", {"ent_region": (None, "R22")}),
        ("chen", {"ent_region": ("R22", "R26")}),
        ("lin", {"ent_region": ("R26", None)}),
    ]
    code, printed, _ = run(["reasons", "-p", PROJECT, "--history", "--json"], capsys)
    assert (code, json.loads(printed)["changes"][0]["by"]) == (0, "lin")


def test_words_are_taken_back_and_a_code_in_use_keeps_its_words(ctx: Context) -> None:
    reason_codes.change(ctx, PROJECT, subjects={"R04": {"en": "late payments", "zh": "逾期记录"}})
    reason_codes.change(ctx, PROJECT, subjects={"R04": {}})
    assert "R04" not in projects.spec(ctx, PROJECT).reasons.subjects
    with pytest.raises(InputError, match="R31"):
        reason_codes.change(ctx, PROJECT, subjects={"R31": {}})
    with pytest.raises(InputError, match="needs its subject"):
        reason_codes.change(ctx, PROJECT, subjects={"R33": {"en": "the staff"}})
