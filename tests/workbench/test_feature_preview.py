"""What is said before a build is what the build does; what is said while it runs adds up; previews come one by one."""

import time
from collections import Counter
from pathlib import Path

import pytest

from core.errors import CancelledError, WorkbenchError
from core.progress import CallbackProgress
from features.spec import FeatureSpec
from tests.workbench.lending import lending_project
from workbench.flows import feature_choice, feature_preview, features, importing
from workbench.flows.build_watch import STAGES, BuildProgress
from workbench.flows.context import Context
from workbench.flows.feature_graph import table_graph
from workbench.flows.preview_process import PreviewProcess


@pytest.fixture
def project(ctx: Context, tmp_path: Path) -> str:
    return lending_project(ctx, tmp_path / "source")


def test_the_preview_counts_what_the_build_computes_and_the_build_is_watched(ctx: Context, project: str) -> None:
    choice = feature_choice.with_column(feature_choice.chosen(ctx, project), "payments", "days_late", is_used=False)
    choice = feature_choice.save(ctx, project, feature_choice.changed(choice, max_features=12))
    told = feature_preview.preview(feature_preview.ground(ctx, project), choice)

    seen: list[BuildProgress] = []

    def look(_fraction: float, _message: object) -> None:
        now = features.progress(ctx, project)
        seen.extend([now] if now else [])

    watched = Context(ctx.settings, ctx.database, ctx.actor, CallbackProgress(look))
    result = features.run(watched, project)

    rows = [*result.kept, *result.dropped]
    assert (told.n_proposed, told.n_planned, told.n_rows) == (result.n_proposed, 12, result.label.n_rows)
    assert told.n_proposed > 12 == result.n_computed == len(rows)
    assert told.by_table == Counter(row.table for row in rows)
    assert told.by_primitive == Counter(row.primitive for row in rows)
    assert told.by_window == Counter(row.window or "" for row in rows)
    assert "days_late" not in {row.column for row in rows}
    assert result.choice["ignore"] == {"payments": ["days_late"]}

    assert [stage.stage for stage in result.stages] == list(STAGES)
    assert sum(stage.seconds for stage in result.stages) == pytest.approx(result.seconds, rel=0.1)
    last = next(progress for progress in reversed(seen) if progress.stage == "proof")
    assert {table.table: table.n_features for table in last.tables} == told.by_table
    assert last.n_features_done == last.n_features == 12
    assert all(table.share == 1.0 for table in last.tables)
    assert features.progress(ctx, project) is None

    cost = feature_preview.estimate(told, choice, n_table_cells=1, last=result)
    assert cost.is_measured
    assert cost.seconds == pytest.approx(sum(stage.seconds for stage in result.stages), rel=0.01)
    by_rate = feature_preview.estimate(told, choice, n_table_cells=1)
    more = feature_preview.estimate(told, choice, n_table_cells=10_000_000)
    assert not by_rate.is_measured
    assert more.memory_mb > by_rate.memory_mb


def told_of(by_primitive: dict[str, int], n_rows: int = 35_843) -> feature_preview.Preview:
    n = sum(by_primitive.values())
    return feature_preview.Preview(n, n, {}, by_primitive, {}, n_rows, {})


def seconds_of(by_primitive: dict[str, int], select_top: int = 60, n_table_cells: int = 22_600_000) -> float:
    choice = FeatureSpec(select_top=select_top)
    return feature_preview.estimate(told_of(by_primitive), choice, n_table_cells=n_table_cells).seconds


def test_without_a_build_the_estimate_is_that_of_builds_of_the_sample_project() -> None:
    """Processor seconds of `feature_building.build` there, reading the tables included."""
    for n, select_top, measured in ((300, 60, 15.1), (600, 60, 17.3), (600, 30, 13.2)):
        usual = {"sum": n * 7 // 10, "num_unique": n // 10, "time_since_last": n // 10, "identity": n // 10}
        assert seconds_of(usual, select_top) == pytest.approx(measured, rel=0.3)


def test_the_estimate_knows_dear_primitives_and_large_tables() -> None:
    assert seconds_of({"skew": 100}) > seconds_of({"sum": 100}) > seconds_of({"identity": 100})
    assert seconds_of({"sum": 100}, n_table_cells=10**9) > 5 * seconds_of({"sum": 100})
    assert set(feature_preview._S_PER_VALUE) == set(feature_choice.primitive_groups()) - {"more"}


def test_a_cancelled_build_leaves_nothing_to_watch(ctx: Context, project: str) -> None:
    def stop(_fraction: float, _message: object) -> None:
        raise CancelledError("stop")

    with pytest.raises(CancelledError):
        features.run(Context(ctx.settings, ctx.database, ctx.actor, CallbackProgress(stop)), project)
    assert features.progress(ctx, project) is None
    assert features.stored(ctx, project) is None


def test_the_graph_tells_how_well_the_rows_are_linked(ctx: Context, project: str) -> None:
    data = importing.stored(ctx, project)
    assert data is not None
    choice = feature_choice.with_table(FeatureSpec(), "payments", is_used=False)
    graph = table_graph(data, "clients", choice)
    assert {node.name: (node.place, node.is_used) for node in graph.nodes} == {
        "clients": ("cases", True),
        "payments": ("child", False),
    }
    (link,) = graph.links_of("payments")
    assert (link.n_rows, link.n_orphans, link.matched) == (3200, 64, 0.98)
    assert table_graph(data, "payments", FeatureSpec()).node("clients").place == "parent"


def test_the_graph_tells_what_is_joined_by_time_from_what_is_not_linked(ctx: Context, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for name in ("economy", "notes"):
        lines = "\n".join(f"2024-0{month}-01,{50 + month}" for month in range(1, 9))
        (tmp_path / "source" / f"{name}.csv").write_text(f"month,{name}_index\n{lines}\n", "utf-8")
    data, graph = {}, {}
    for is_macro in (True, False):
        project = lending_project(ctx, tmp_path / "source", 120, name=f"macro_{is_macro}".lower(), tables={
            "economy": {"event_time": "month", "is_macro": is_macro,
                        "columns": {"month": {"type": "date", "role": "event_time"}}},
        })  # fmt: skip
        data[is_macro] = importing.stored(ctx, project)
        graph[is_macro] = table_graph(data[is_macro], "clients", FeatureSpec())
        told = feature_preview.preview(feature_preview.ground(ctx, project), FeatureSpec(windows=["3m"]))
        assert ("economy" in told.by_table) is is_macro
    assert (graph[True].node("economy").place, graph[True].node("notes").place) == ("by_time", "apart")
    assert graph[False].node("economy").place == "apart"


def answer_of(previews: PreviewProcess, project: str, choice: FeatureSpec) -> feature_preview.Preview | WorkbenchError:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = previews.ask(project, None, choice, "")
        if answer is not None:
            return answer
        time.sleep(0.02)
    raise AssertionError("no answer within a minute")


def test_a_process_of_its_own_gives_the_same_preview_and_says_what_is_wrong(ctx: Context, project: str) -> None:
    previews = PreviewProcess(ctx.settings)
    try:
        choice = feature_choice.chosen(ctx, project)
        assert previews.ask(project, None, choice, "") is None
        out_of_date = feature_choice.changed(choice, max_features=3)
        assert previews.ask(project, None, out_of_date, "") is None
        wider = feature_choice.changed(choice, windows=["2m", "4m"])
        first, second = answer_of(previews, project, choice), answer_of(previews, project, wider)
        expected = feature_preview.preview(feature_preview.ground(ctx, project), wider)
        assert (first != second, second) == (True, expected)
        wrong = answer_of(previews, project, feature_choice.changed(choice, ignore={"nowhere": []}))
        assert isinstance(wrong, WorkbenchError)
        assert "nowhere" in wrong.text()
        started = time.monotonic()
        assert answer_of(previews, project, wider) == expected
        assert time.monotonic() - started < 0.5
    finally:
        previews.close()
