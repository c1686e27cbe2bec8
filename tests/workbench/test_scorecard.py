"""The scorecard as people work on it: bins edited and recorded, one score on every path, registered like any model."""

import io
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import httpx
import numpy as np
import pandas as pd
import pytest
from openpyxl import load_workbook

from automl.explaining import explain_row
from automl.families import load_model
from automl.label import LabelSpec
from automl.scorecard.bins import Special
from automl.scorecard.card import Scorecard
from automl.scorecard.spec import ScorecardSpec
from core.audit import AuditTrail
from core.errors import ConflictError, InputError, PermissionDeniedError
from core.identity import SYSTEM, Identity
from core.settings import Settings
from model_registry.scorer import Scorer
from monitoring.score_log import latest_scores
from tests.serving.conftest import running
from tests.workbench.conftest import ANALYST, OPERATOR, REVIEWER, VIEWER
from workbench.flows import (
    deployment,
    features,
    importing,
    projects,
    reason_codes,
    review,
    scorecard,
    scorecard_desk,
    scorecard_exchange,
    scoring,
    training,
)
from workbench.flows.context import Context, open_context
from workbench.flows.results import to_json
from workbench.flows.scorecard import CardView, Change, Scale
from workbench.flows.scorecard_start import compare
from workbench.flows.spec import ProjectSpec

NAME = "clients"


def _write_clients(folder: Path, n: int = 900) -> None:
    """Clients whose risk rises with days overdue, falls with income, and differs by sector; dates over four years."""
    rng = np.random.default_rng(5)
    overdue = np.where(rng.random(n) < 0.1, -1, rng.poisson(4, n)).astype(float)
    income = np.exp(rng.normal(3, 0.6, n)).round(1)
    sector = np.array(["retail", "farm", "=cmd", "build"])[rng.integers(0, 4, n)]
    log_odds = -1.6 + 0.25 * np.maximum(overdue - 4, -4) - 0.03 * (income - 20) + 0.8 * (sector == "build")
    bad = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(int)
    overdue[rng.random(n) < 0.08] = np.nan
    days = rng.integers(0, 4 * 365, n)
    frame = pd.DataFrame({
        "client_id": [f"K{i:05d}" for i in range(n)],
        "applied_on": pd.Timestamp("2020-01-01") + pd.to_timedelta(days, "D"),
        "overdue_days": overdue, "income": income, "sector": sector, "noise": rng.normal(size=n).round(3), "bad": bad,
    })  # fmt: skip
    frame.to_csv(folder / "clients.csv", index=False)


@pytest.fixture(scope="module")
def made_home(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """An installation in which one project has features and a card on its desk; never written to."""
    home = tmp_path_factory.mktemp("scorecard") / "home"
    home.mkdir()
    shutil.copy(migrated_file, home / "workbench.db")
    _write_clients(home)
    ctx = open_context(Settings(home=home), actor=ANALYST)
    spec = ProjectSpec(
        name=NAME, title={"en": "Clients", "zh": "客户"},
        labels=[LabelSpec(name="bad", root_table="clients", key_column="client_id", cutoff={"column": "applied_on"},
                          column="bad", bad_values=[1])],
        training={"bootstrap_draws": 50, "folds": 2},
    )  # fmt: skip
    admin = ctx.acting_as(replace(ANALYST, roles=frozenset({"admin", "analyst"})))
    projects.create(admin, spec)
    importing.run(admin, NAME, home / "clients.csv")
    features.run(admin, NAME)
    scorecard.start(ctx, NAME, "evidence")
    ctx.database.dispose()
    return home


@pytest.fixture
def ctx(made_home: Path, tmp_path: Path) -> Iterator[Context]:
    home = Path(shutil.copytree(made_home, tmp_path / "home"))
    context = open_context(Settings(home=home), actor=ANALYST)
    yield context
    context.database.dispose()


def _alias(view: CardView, part: str) -> str:
    return next(row.alias for row in view.rows if part in row.alias)


def _shown(ctx: Context) -> CardView:
    shown = scorecard.view(ctx, NAME)
    assert shown is not None
    return shown


def test_a_new_card_lists_the_strongest_first_and_judges_itself_honestly(ctx: Context) -> None:
    view = _shown(ctx)
    values = [row.information_value for row in view.rows]
    assert values == sorted(values, reverse=True)
    assert {"overdue", "income"} <= {part for row in view.rows if row.is_on for part in row.alias.split("_")}
    overdue = next(row for row in view.rows if "overdue" in row.alias)
    assert (overdue.direction, overdue.shape) == ("rising", "falling")
    assert set(view.figures) >= {"cross_validation", "bins_anew"}
    anew, live = view.figures["bins_anew"], view.figures["cross_validation"]
    assert 0.5 < anew.value <= live.value + 0.02
    assert anew.low < anew.value < anew.high
    assert (view.n_changes, view.can_undo, view.registered) == (0, False, ())


def test_what_cross_validation_finds_best_lies_on_the_desk_and_is_shown_as_it_weighs(ctx: Context) -> None:
    view = scorecard.start(ctx, NAME)
    values = {kind: figure.value for kind, figure in view.compared.items() if kind != "crossed"}
    assert set(values) == {"evidence", "joint", "boosted"}
    assert view.weights == max(values, key=lambda kind: values[kind] or 0.0)
    assert view.figures["bins_anew"] == view.compared["crossed" if view.matrices else view.weights]
    record = next(iter(AuditTrail(ctx.database).records(action="scorecard.start")))
    assert record.details["weights"] == view.weights


def test_boosted_bins_are_edited_weighed_anew_and_registered(ctx: Context) -> None:
    view = scorecard.start(ctx, NAME, "boosted")
    assert (view.weights, set(view.compared) - {"crossed"}) == ("boosted", {"boosted"})
    alias = next(row.alias for row in view.rows if row.is_on and row.kind == "number" and row.n_bins > 2)
    before = scorecard.characteristic(ctx, NAME, alias)
    per_log_odds = view.scale.pdo / math.log(2)
    assert all(item.weight == pytest.approx(item.points / per_log_odds) for item in before.bins)
    assert any(abs(item.weight - item.woe) > 0.05 for item in before.bins if item.n > 100)
    scorecard.change(ctx, NAME, Change("merge", alias, (0, 1)), note="too few rows")
    after = scorecard.characteristic(ctx, NAME, alias)
    assert after.bins[0].n == before.bins[0].n + before.bins[1].n
    assert after.bins[0].weight is not None
    assert scorecard.register(ctx, NAME).family == "scorecard"


def test_an_edit_is_kept_with_who_when_what_and_why(ctx: Context) -> None:
    alias = _alias(_shown(ctx), "income")
    before = scorecard.characteristic(ctx, NAME, alias)
    view = scorecard.change(ctx, NAME, Change("merge", alias, (0, 1)), note="too few rows", seen=0)
    after = scorecard.characteristic(ctx, NAME, alias)
    assert after.bins[0].n == before.bins[0].n + before.bins[1].n
    row = view.changes[-1]
    assert (row.by, row.action, row.alias, row.note) == ("lin", "merge", alias, "too few rows")
    assert before.bins[0].label in str(row.what)
    assert before.bins[1].label in str(row.what)
    assert row.information_value == (before.row.information_value, after.row.information_value)
    record = next(iter(AuditTrail(ctx.database).records(action="scorecard.merge")))
    assert (record.actor, record.details["note"], record.details["alias"]) == ("lin", "too few rows", alias)
    assert record.details["before"] != record.details["after"]
    effect = view.effects[0]
    assert effect.low <= effect.difference <= effect.high
    assert effect.difference == pytest.approx(
        view.figures["cross_validation"].value - _desk_figure(ctx, "cross_validation")
    )


def _desk_figure(ctx: Context, sample: str) -> float:
    """Return the figure before the one edit, by taking it back."""
    figure = scorecard.change(ctx, NAME, Change("undo")).figures[sample]
    assert figure.value is not None
    return figure.value


def test_undo_after_undo_goes_further_back_and_everything_stays_on_record(ctx: Context) -> None:
    alias = _alias(_shown(ctx), "income")
    start = scorecard.characteristic(ctx, NAME, alias).bins
    low, high = start[1].lower, start[1].upper
    assert low is not None
    assert high is not None
    scorecard.change(ctx, NAME, Change("merge", alias, (0, 1)))
    scorecard.change(ctx, NAME, Change("split", alias, (0,), at=(low + high) / 2))
    view = scorecard.change(ctx, NAME, Change("undo"))
    assert view.can_undo
    view = scorecard.change(ctx, NAME, Change("undo"))
    assert scorecard.characteristic(ctx, NAME, alias).bins == start
    assert [row.action for row in view.changes] == ["merge", "split", "undo", "undo"]
    assert not view.can_undo
    with pytest.raises(InputError, match="no edit to undo"):
        scorecard.change(ctx, NAME, Change("undo"))


def test_missing_special_codes_directions_and_boundaries_are_set(ctx: Context) -> None:
    alias = _alias(_shown(ctx), "overdue")
    special = Special("no_record", (-1.0,), {"en": "no record", "zh": "无记录"})
    scorecard.change(ctx, NAME, Change("special", alias, specials=(special,)))
    shown = scorecard.characteristic(ctx, NAME, alias)
    assert [item.kind for item in shown.bins][-2:] == ["missing", "special"]
    assert scorecard.characteristic(ctx.speaking("zh"), NAME, alias).bins[-1].label == "无记录"
    scorecard.change(ctx, NAME, Change("missing", alias, like=0))
    shown = scorecard.characteristic(ctx, NAME, alias)
    assert shown.bins[-2].points == shown.bins[0].points
    edge = shown.bins[1].lower
    assert edge is not None
    scorecard.change(ctx, NAME, Change("move", alias, boundary=0, at=edge + 0.5))
    assert scorecard.characteristic(ctx, NAME, alias).bins[1].lower == edge + 0.5
    view = scorecard.change(ctx, NAME, Change("direction", alias, direction="falling"))
    assert next(row for row in view.rows if row.alias == alias).n_bins == 1  # risk rises, so falling leaves one bin


def test_two_people_do_not_overwrite_each_other(ctx: Context) -> None:
    alias = _alias(_shown(ctx), "income")
    scorecard.change(ctx, NAME, Change("merge", alias, (0, 1)), seen=0)
    with pytest.raises(ConflictError, match="somebody else"):
        scorecard.change(ctx.acting_as(replace(ANALYST, name="chen")), NAME, Change("merge", alias, (0, 1)), seen=0)
    assert _shown(ctx).n_changes == 1


def test_only_who_may_train_may_edit(ctx: Context) -> None:
    guest = ctx.acting_as(VIEWER)
    assert scorecard.view(guest, NAME) is not None
    for step in (
        lambda: scorecard.start(guest, NAME),
        lambda: scorecard.change(guest, NAME, Change("undo")),
        lambda: scorecard.register(guest, NAME),
    ):
        with pytest.raises(PermissionDeniedError):
            step()


def _features_frame(ctx: Context) -> pd.DataFrame:
    """Return the matrix with levels as texts, as a database would hold it."""
    matrix = features.matrix(ctx, NAME)
    frame = pd.DataFrame(matrix.values, columns=list(matrix.plan.aliases))
    for item in matrix.plan.definitions:
        if item.kind == "category":
            names = dict(enumerate(matrix.plan.levels[item.alias]))
            frame[item.alias] = [None if np.isnan(code) else names.get(int(code), "?") for code in frame[item.alias]]
    return frame


def _by_hand(card: Scorecard, frame: pd.DataFrame) -> list[float]:
    """Return the points of each row, read from the printed table."""
    rows = ({a: None if pd.isna(row[a]) else row[a] for a in card.aliases} for row in frame.to_dict("records"))
    return [card.look_up(row) for row in rows]


def test_library_scorer_sql_and_files_give_one_number(ctx: Context, tmp_path: Path) -> None:
    """The scale is set by hand, two characteristics crossed, the card registered, and the score read on five paths."""
    view = _shown(ctx)
    first, second = _alias(view, "income"), _alias(view, "overdue")
    scorecard.change(ctx, NAME, Change("cross", first, other=second), note="asked by the committee")
    scorecard.change(ctx, NAME, Change("scale", scale=Scale(500.0, 10.0, 45.0, decimals=2)))
    result = scorecard.register(ctx, NAME)
    assert result.version is not None
    bundle = ctx.registry.bundle(NAME, result.version)
    assert (bundle.scale.base_points, bundle.scale.base_odds, bundle.scale.pdo) == (500.0, 10.0, 45.0)
    matrix, frame = features.matrix(ctx, NAME), _features_frame(ctx)
    served = Scorer.load(bundle.folder).score_matrix(matrix.values)[1]
    card = scorecard_exchange.card_of(ctx, NAME, result.version)
    by_hand = _by_hand(card, frame)
    query = scorecard_exchange.export(ctx, NAME, "sql", version=result.version, table="frame").content.decode()
    in_sql = duckdb.sql(query).df()["score"].to_numpy()
    path = tmp_path / "card.csv"
    path.write_bytes(scorecard_exchange.export(ctx, NAME, "table", version=result.version).content)
    imported = scorecard_exchange.import_file(ctx, NAME, path)
    assert imported.version is not None
    again = Scorer.load(ctx.registry.bundle(NAME, imported.version).folder).score_matrix(matrix.values)[1]
    np.testing.assert_array_equal(by_hand, load_model(bundle.model_folder).score(matrix.values))  # type: ignore[attr-defined]
    for path_score in (served, in_sql, again):
        np.testing.assert_allclose(path_score, by_hand, rtol=0, atol=1e-9)
    assert len(np.unique(by_hand)) > 20
    assert [pair.aliases for pair in card.pairs] in ([(first, second)], [(second, first)])
    assert "crossed_characteristics" in {finding.code for finding in result.findings}


def test_pairs_are_crossed_and_parted_by_hand_and_the_record_says_so(ctx: Context) -> None:
    view = _shown(ctx)
    first, second = _alias(view, "income"), _alias(view, "overdue")
    crossed = scorecard.change(ctx, NAME, Change("cross", first, other=second), note="together")
    matrix = crossed.matrices[0]
    assert {matrix.first, matrix.second} == {first, second}
    assert to_json(crossed)["matrices"][0]["first"] == matrix.first
    assert to_json(scorecard.characteristic(ctx, NAME, first))["row"]["alias"] == first
    assert sum(map(sum, matrix.n)) == crossed.figures["cross_validation"].n  # type: ignore[arg-type]  # counted here
    row = crossed.changes[-1]
    assert (row.action, row.by, row.note) == ("cross", "lin", "together")
    assert "crossed with" in str(row.what)
    record = next(iter(AuditTrail(ctx.database).records(action="scorecard.cross")))
    assert (record.details["alias"], record.details["other"]) == (first, second)
    merged = scorecard.change(ctx, NAME, Change("merge", first, (0, 1)))
    assert len(merged.matrices) == 1  # made anew of the bins as they are now
    page = scorecard_exchange.export(ctx, NAME, "html").content.decode()
    assert page.count("<section>") == 1
    cells = len(matrix.rows) * len(matrix.columns)
    book = load_workbook(io.BytesIO(scorecard_exchange.export(ctx, NAME, "xlsx").content)).active
    said = [str(line[0].value) for line in book.iter_rows()]
    assert sum(" × " in text for text in said) >= min(cells, 4)
    off = scorecard.change(ctx, NAME, Change("leave", second))
    assert (off.matrices, len(off.resting)) == ((), 1)
    back = scorecard.change(ctx, NAME, Change("take", second))
    assert len(back.matrices) == 1
    parted = scorecard.change(ctx, NAME, Change("uncross", second, other=first))
    assert (parted.matrices, parted.resting) == ((), ())
    assert "parted from" in str(parted.changes[-1].what)
    for wrong in (Change("uncross", first, other=second), Change("cross", first, other=first)):
        with pytest.raises(InputError):
            scorecard.change(ctx, NAME, wrong)


@pytest.mark.parametrize("is_crossed", [True, False])
def test_folds_decide_whether_characteristics_are_crossed(ctx: Context, is_crossed: bool) -> None:
    """Outcomes of which two features tell much together, or each by itself only."""
    rows = scorecard_desk.training_rows(ctx, NAME)
    names, values = list(rows.matrix.plan.aliases), rows.matrix.values
    income, noise = (
        np.sign(
            values[:, (at := next(i for i, name in enumerate(names) if part in name))] - np.nanmedian(values[:, at])
        )
        for part in ("income", "noise")
    )
    odds = -1.0 + 0.5 * income + 0.4 * noise + 1.5 * income * noise * is_crossed
    y = (np.random.default_rng(2).random(len(odds)) < 1 / (1 + np.exp(-odds))).astype(float)
    held = replace(rows, labels=replace(rows.labels, y=y))
    found = compare({"joint": ScorecardSpec(weights="joint", penalty=30.0, use_dictionary=False, pairs=5)}, held)
    assert found.is_crossed == is_crossed
    assert found.honest == found.figures["crossed" if is_crossed else "joint"]
    gain = found.honest.value - found.figures["joint"].value  # type: ignore[operator]  # both are known
    assert gain > 0.05 if is_crossed else gain == 0.0


def test_a_desk_of_an_earlier_release_opens(ctx: Context) -> None:
    path = projects.folder(ctx, NAME) / "scorecard" / "desk.json"
    data = json.loads(path.read_bytes())
    del data["pairs"], data["spec"]["pairs"], data["spec"]["groups"]
    path.write_text(json.dumps(data), encoding="utf-8")
    assert _shown(ctx).matrices == ()


WORDS = {"R40": {"en": "the income of the client", "zh": "客户的收入"}}


@pytest.fixture(scope="module")
def deployed_home(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installation with an edited card, a code of the analyst's own on it, signed and deployed as version 1."""
    home = Path(shutil.copytree(made_home, tmp_path_factory.mktemp("deployed") / "home"))
    ctx = open_context(Settings(home=home), actor=ANALYST)
    alias = _alias(_shown(ctx), "income")
    scorecard.change(ctx, NAME, Change("merge", alias, (0, 1)), note="hardly any rows")
    scorecard.change(ctx, NAME, Change("cross", alias, other=_alias(_shown(ctx), "overdue")))
    reason_codes.change(ctx, NAME, features={alias: "R40"}, subjects=WORDS)
    assert scorecard.register(ctx, NAME).version == 1
    reason_codes.change(ctx, NAME, features={alias: ""})  # what comes later leaves the version as it is
    review.submit(ctx, NAME, 1)
    review.approve(ctx.acting_as(REVIEWER), NAME, 1, note="points are plain")
    deployment.deploy(ctx.acting_as(OPERATOR), NAME, 1, reason="first card")
    ctx.database.dispose()
    return home


@pytest.fixture
def deployed(deployed_home: Path) -> Iterator[Context]:
    context = open_context(Settings(home=deployed_home), actor=ANALYST)
    yield context
    context.database.dispose()


def test_service_page_file_sql_and_printed_card_give_one_code_for_one_case(deployed: Context, tmp_path: Path) -> None:
    ctx, frame = deployed, _features_frame(deployed)
    frozen = {row.feature: row.code for row in reason_codes.view(ctx, NAME, 1)}
    assert len(frame) > 100
    sql_text = scorecard_exchange.export(ctx, NAME, "sql", version=1, table="frame", with_reasons=True).content.decode()
    in_sql = duckdb.sql(sql_text).df().to_dict("records")
    printed = {row[-1] for row in scorecard_exchange.printed(ctx, NAME, 1).rows if row[-1]}
    pmml = scorecard_exchange.export(ctx, NAME, "pmml", version=1).content.decode()
    keys = [str(key) for key in features.matrix(ctx, NAME).keys[:12]]
    scoring.batch(ctx, NAME, tmp_path / "scores.csv", rows=keys, n_reasons=4)
    file = pd.read_csv(tmp_path / "scores.csv", encoding="utf-8-sig", keep_default_na=False).set_index("client_id")
    _, secret = Identity(ctx.database).create_key("portal", ["model.score"], by=SYSTEM)
    with running(ctx.settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        for key, line in zip(keys, in_sql[: len(keys)], strict=True):
            payload = scoring.payload(ctx, NAME, key)
            asked = {"project": NAME, "key": payload.key, "as_of": payload.cutoff.isoformat(), "tables": payload.tables}
            served = [(one["code"], one["direction"]) for one in client.post("/v1/score", json=asked).json()["reasons"]]
            codes = [code for code, _ in served]
            assert served == [(one.code, one.direction) for one in scoring.score_stored(ctx, NAME, key).reasons]
            pairs = [(line[f"reason_{i}"], line[f"reason_{i}_direction"]) for i in range(1, 5)]
            assert served == [pair for pair in pairs if isinstance(pair[0], str)]
            assert codes == [code for i in range(1, 5) if (code := file.loc[key, f"reason_{i}_code"])]
            assert set(codes) <= printed
            assert codes
    on_card = scorecard_exchange.card_of(ctx, NAME, 1).aliases
    assert printed == {frozen[alias] for alias in on_card} >= {"R40"}
    assert all(f'name="{alias}" reasonCode="{frozen[alias]}"' in pmml for alias in on_card)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_service_log_page_file_explanation_and_printed_codes_say_the_same_words_of_one_case(
    deployed: Context, tmp_path: Path, language: str
) -> None:
    ctx = deployed.speaking(language)
    bundle, matrix = ctx.registry.bundle(NAME, 1), features.matrix(ctx, NAME)
    model = load_model(bundle.model_folder)
    keys = [str(key) for key in matrix.keys[:6]]
    scoring.batch(ctx, NAME, tmp_path / "scores.csv", rows=keys, n_reasons=4)
    file = pd.read_csv(tmp_path / "scores.csv", encoding="utf-8-sig", keep_default_na=False).set_index("client_id")
    handed_on = pd.read_csv(io.BytesIO(reason_codes.export(ctx, NAME, 1).content), encoding="utf-8-sig").set_index(
        "feature"
    )
    reviewed = {row.feature: row for row in reason_codes.view(ctx, NAME, 1)}
    printed = {code.code: code for code in reason_codes.sheet(ctx, NAME, 1).rows}
    _, secret = Identity(ctx.database).create_key("portal", ["model.score"], by=SYSTEM)
    headers = {"Authorization": f"Bearer {secret}", "Accept-Language": language}
    served: dict[str, list[dict[str, Any]]] = {}
    with running(ctx.settings) as address, httpx.Client(base_url=address, headers=headers, timeout=30) as client:
        for key in keys:
            payload = scoring.payload(ctx, NAME, key)
            asked = {"project": NAME, "key": payload.key, "as_of": payload.cutoff.isoformat(), "tables": payload.tables}
            served[key] = client.post("/v1/score", json=asked).json()["reasons"]
    logged = {record.key: record.reasons for record in latest_scores(ctx.database, NAME, limit=len(keys))}
    assert logged == served
    assert "R40" in {one["code"] for reasons in served.values() for one in reasons}  # the project's own words too
    for row, key in enumerate(keys):
        said = [(one["code"], one["text"], one["statement"], one["direction"]) for one in served[key]]
        assert 0 < len(said) <= 4
        explained = explain_row(
            model, bundle.calibration, matrix.values[row], bundle.plan, codes=bundle.reason_codes, language=language
        )
        for found in (scoring.score_stored(ctx, NAME, key).reasons, explained.reasons):
            assert [(one.code, one.text, one.statement, one.direction) for one in found] == said
        columns = [(file.loc[key, f"reason_{i}_code"], file.loc[key, f"reason_{i}"]) for i in range(1, 5)]
        assert [pair for pair in columns if pair[0]] == [pair[:2] for pair in said]
        for one in served[key]:
            sentence = f"{one['direction']}_{language}"
            assert (handed_on.loc[one["feature"], "code"], handed_on.loc[one["feature"], sentence]) == (
                one["code"], one["statement"]
            )  # fmt: skip
            assert getattr(reviewed[one["feature"]], one["direction"]) == one["statement"]
            assert getattr(printed[one["code"]], one["direction"])[language] == one["statement"]


def test_an_edited_card_goes_through_review_and_deployment_like_any_model(deployed: Context) -> None:
    ctx = deployed
    assert _shown(ctx).registered == (1,)
    stored = training.stored(ctx, NAME)
    assert stored is not None
    assert stored.version == 1  # the project had no training before
    dossier = review.dossier(ctx, NAME, 1)
    assert {"edited_by_hand", "bins_on_same_rows"} <= {finding.code for finding in dossier.findings}
    bundle = ctx.registry.bundle(NAME, 1)
    assert bundle.info["scorecard"]["changes"][0]["note"] == "hardly any rows"
    state = deployment.state(ctx, NAME)
    assert state.champion is not None
    assert state.champion.version.number == 1


def test_a_card_in_use_becomes_the_first_champion(ctx: Context, tmp_path: Path) -> None:
    """A workbook with a title above its table and names of its own: points stay, features are named by a person."""
    content = scorecard_exchange.export(ctx, NAME, "table").content.decode("utf-8-sig")
    frame = pd.read_csv(io.StringIO(content), dtype=str, keep_default_na=False)
    alias = _alias(_shown(ctx), "income")
    frame["characteristic"] = frame["characteristic"].replace(alias, "annual income")
    frame.loc[frame["characteristic"] == "annual income", ["name_en", "name_zh"]] = ""
    path = tmp_path / "old card.xlsx"
    with pd.ExcelWriter(path) as book:
        frame.to_excel(book, startrow=2, index=False)
        book.book.worksheets[0]["A1"] = "Card of 2019"
    shown = scorecard_exchange.preview(ctx, NAME, path)
    assert shown.features["annual income"] is None
    assert alias in shown.choices["annual income"]
    with pytest.raises(InputError, match="annual income"):
        scorecard_exchange.import_file(ctx, NAME, path)
    result = scorecard_exchange.import_file(ctx, NAME, path, names={"annual income": alias})
    assert "imported_card" in {finding.code for finding in result.findings}
    evaluation = training.bundle(ctx, NAME, result.version).evaluation
    assert "development" in evaluation.samples  # nothing was fitted on any fold
    assert not any("cross_validation" in name for name in evaluation.samples)
    card = scorecard_exchange.card_of(ctx, NAME, result.version)
    held = scorecard_exchange.card_of(ctx, NAME)
    assert {item.alias: item.units for item in card.characteristics} == {
        item.alias: item.units for item in held.characteristics
    }
    pmml = tmp_path / "card.pmml"
    pmml.write_bytes(scorecard_exchange.export(ctx, NAME, "pmml").content)
    again = scorecard_exchange.import_file(ctx, NAME, pmml)
    assert again.auc == result.auc


def test_no_printed_table_runs_as_a_formula(ctx: Context) -> None:
    """One sector of the data is called =cmd."""
    for form in ("csv", "table"):
        lines = scorecard_exchange.export(ctx, NAME, form).content.decode("utf-8-sig").splitlines()
        assert any("=cmd" in line for line in lines)
        assert not any(cell.startswith(("=", "@")) for line in lines for cell in line.replace('"', "").split(","))
    sheet = load_workbook(io.BytesIO(scorecard_exchange.export(ctx, NAME, "xlsx").content)).active
    cells = [cell for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert any("=cmd" in str(cell.value) for cell in cells)
    assert {cell.data_type for cell in cells} <= {"s", "n"}
    assert any(cell.data_type == "n" for cell in cells)
    page = scorecard_exchange.export(ctx.speaking("zh"), NAME, "html").content.decode()
    assert 'lang="zh"' in page
    assert "证据权重" in page


def test_a_card_of_earlier_features_is_said_to_be_outdated(ctx: Context) -> None:
    desk = projects.folder(ctx, NAME) / "scorecard" / "desk.json"
    data = json.loads(desk.read_bytes())
    desk.write_text(json.dumps({**data, "feature_fingerprint": "earlier"}), encoding="utf-8")
    assert _shown(ctx).is_outdated
    with pytest.raises(ConflictError, match="built anew"):
        scorecard.change(ctx, NAME, Change("take", "x"))
    with pytest.raises(ConflictError, match="built anew"):
        scorecard.register(ctx, NAME)


def test_the_card_of_a_race_is_printed_and_handed_on_with_the_scores_it_serves(ctx: Context, tmp_path: Path) -> None:
    result = training.run(ctx, NAME, budget=training.Budget(n_trials=3), families=("scorecard",))
    assert result.version is not None
    assert result.family == "scorecard"  # several trials of one card are no ensemble
    assert scorecard_exchange.versions(ctx, NAME) == [result.version]
    told = next(finding for finding in result.findings if finding.code == "merged_scorecard")
    assert "one card" in told.message.text()
    bundle = ctx.registry.bundle(NAME, result.version)
    matrix, frame = features.matrix(ctx, NAME), _features_frame(ctx)
    served = Scorer.load(bundle.folder).score_matrix(matrix.values)[1]
    card = scorecard_exchange.card_of(ctx, NAME, result.version)
    by_hand = _by_hand(card, frame)
    query = scorecard_exchange.export(ctx, NAME, "sql", version=result.version, table="frame").content.decode()
    path = tmp_path / "card.csv"
    path.write_bytes(scorecard_exchange.export(ctx, NAME, "table", version=result.version).content)
    imported = scorecard_exchange.import_file(ctx, NAME, path)
    assert imported.version is not None
    again = Scorer.load(ctx.registry.bundle(NAME, imported.version).folder).score_matrix(matrix.values)[1]
    for scores in (by_hand, duckdb.sql(query).df()["score"].to_numpy(), again):
        np.testing.assert_allclose(scores, served, rtol=0, atol=1e-9)
    printed = scorecard_exchange.printed(ctx, NAME, result.version)
    assert len(printed.rows) == 1 + sum(item.bins.n_bins for item in card.characteristics)
    assert scorecard_exchange.matrices_of(ctx, NAME, result.version) == tuple(scorecard_exchange.matrices(card))
