"""Across link tables and back: what counterparties are like, told from plain Python, the same on every way."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import features.leakage
from core.errors import ConfigurationError
from features import streaming
from features.definitions import Condition, FeatureDefinition, PathStep, Stage
from features.engine import EngineData, compute
from features.leakage import prove_no_leakage
from features.matrix import build_matrix
from features.online_file import FilePlace
from features.online_publishing import publish_snapshot
from features.plan import FeaturePlan
from features.planning import make_plan
from features.preparation import entity_rows
from tests.features.networks import (
    CASES,
    EVENTS,
    GIVEN,
    GUARANTEED,
    GUARANTOR,
    HELD,
    HOLDER,
    HOLDINGS,
    RECEIVED,
    STAKES,
    UP,
    NetRecipe,
    make_network,
)
from tests.features.test_streaming import small_blocks
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec
from warehouse.table_set import TableSet

NAN = math.nan
MONTHS = {"6m": 6, "24m": 24}
OVER, BACK = (UP, GIVEN, GUARANTEED), (UP, RECEIVED, GUARANTOR)
create = FeatureDefinition.create


def there(values):
    return [value for value in values if value is not None and value == value]


def total(values):
    return math.fsum(there(values))


def mean(values):
    values = there(values)
    return math.fsum(values) / len(values) if values else NAN


def largest(values):
    return max(there(values), default=NAN)


class Facts:
    """What is known of the network before a cutoff, in plain Python."""

    def __init__(self, world, cutoff):
        self.cutoff = pd.Timestamp(cutoff)
        rows = {name: world.frame(name).to_dict("records") for name in world.names}
        lags = {name: pd.Timedelta(days=world.spec(name).known_at_lag_days) for name in world.names}
        known = {}
        for name, records in rows.items():
            time = world.spec(name).event_time
            known[name] = [row for row in records if time is None or row[time] + lags[name] < self.cutoff]
        self.firms = {row["firm_id"]: self._masked(world, "firm", row) for row in known["firm"]}
        self.persons = {row["person_id"]: row for row in known["person"]}
        self.edges, self.stakes, self.events = known["edge"], known["stake"], known["event"]
        self.cases = [self._masked(world, "case", row) for row in known["case"]]
        self.edge_time = world.spec("edge").event_time

    def _masked(self, world, table, row):
        for group in world.spec(table).late_columns:
            if not row[group.known_at] < self.cutoff:
                row = row | dict.fromkeys(group.columns, NAN)
        return row

    def inside(self, time, window):
        return window is None or time >= self.cutoff - pd.DateOffset(months=MONTHS[window])

    def counterparties(self, firm, mine, theirs, window=None, kind=None):
        """The firms at the other end of each edge, None where they are not known; never the firm itself."""
        edges = [row for row in self.edges if row[mine] == firm and (kind is None or row["kind"] == kind)]
        if self.edge_time:
            edges = [row for row in edges if self.inside(row["made_at"], window)]
        found = [self.firms.get(row[theirs]) for row in edges]
        return [other for other in found if other is None or other["firm_id"] != firm]

    def holders(self, firm):
        return [self.persons.get(row["person_id"]) for row in self.stakes if row["firm_id"] == firm]

    def cases_of(self, firm, window=None):
        return [row for row in self.cases if row["firm_id"] == firm and self.inside(row["filed"], window)]


def of(others, value):
    return [NAN if other is None else value(other) for other in others]


def sisters(facts, firm):
    """Per stake in the firm: the other firms in which its holder has stakes, once per stake."""
    found = []
    for person in facts.holders(firm):
        held = [] if person is None else [
            facts.firms.get(row["firm_id"]) for row in facts.stakes if row["person_id"] == person["person_id"]
        ]  # fmt: skip
        found.append(None if person is None else [h for h in held if h is None or h["firm_id"] != firm])
    return found


def expectations(window, longer="24m", own=None):
    """Pairs of a definition and what it is in plain Python, given the facts and the firm.

    Cases are counted in `window`, edges in `own` and `longer`.
    """
    given, received = ("from_firm", "to_firm"), ("to_firm", "from_firm")
    v1 = Condition("sector", "==", "v1")

    def attribute(name, path, ends, reduce, column, **more):
        definition = create(path, column, name, window=own, **more)
        return definition, lambda f, firm: reduce(of(f.counterparties(firm, *ends, own), lambda o: o[column]))

    return [
        attribute("sum", OVER, given, total, "capital"), attribute("mean", OVER, given, mean, "capital"),
        attribute("max", BACK, received, largest, "capital"),
        (create(OVER, "listed", "percent_true", window=own),
         lambda f, firm: share_true(of(f.counterparties(firm, *given, own), lambda o: o["listed"]))),
        (create(OVER, "sector", "num_unique", window=own),
         lambda f, firm: distinct(of(f.counterparties(firm, *given, own), lambda o: o["sector"]))),
        (create(OVER, None, "num_unique", window=own),
         lambda f, firm: distinct(of(f.counterparties(firm, *given, own), lambda o: o["firm_id"]))),
        (create(BACK, None, "count", window=own, where=v1),
         lambda f, firm: sum(o is not None and o["sector"] == "v1"
                             for o in f.counterparties(firm, *received, own))),
        (create((UP, STAKES, HOLDER), "wealth", "mean"),
         lambda f, firm: mean(of(f.holders(firm), lambda o: o["wealth"]))),
        (create((UP, STAKES, HOLDER), "born", "days_since", stack=(Stage("max"),)),
         lambda f, firm: largest(of(f.holders(firm), lambda o: (f.cutoff - o["born"]) / pd.Timedelta(days=1)))),
        (create((*OVER, CASES), None, "count", window=window, stack=(Stage("sum"),)),
         lambda f, firm: total(of(f.counterparties(firm, *given), lambda o: len(f.cases_of(o["firm_id"], window))))),
        (create((*BACK, CASES), "sued", "sum", window=window, stack=(Stage("max"),)),
         lambda f, firm: largest(of(f.counterparties(firm, *received),
                                    lambda o: total(c["sued"] for c in f.cases_of(o["firm_id"], window))))),
        (create((*OVER, CASES), "paid", "sum", window=window, stack=(Stage("mean", window=longer),)),
         lambda f, firm: mean(of(f.counterparties(firm, *given, longer),
                                 lambda o: total(c["paid"] for c in f.cases_of(o["firm_id"], window))))),
        (create((*OVER, CASES), None, "count", stack=(Stage("sum", where=Condition("kind", "==", "v1")),)),
         lambda f, firm: total(of(f.counterparties(firm, *given, None, "v1"),
                                  lambda o: len(f.cases_of(o["firm_id"]))))),
        (create((*OVER, GIVEN, GUARANTEED), "capital", "max", stack=(Stage("max"),)),
         lambda f, firm: largest(largest(of(
             [o for o in f.counterparties(other["firm_id"], *given) if o is None or o["firm_id"] != firm],
             lambda o: o["capital"])) for other in f.counterparties(firm, *given) if other)),
        (create((UP, STAKES, HOLDER, HOLDINGS, HELD), "capital", "sum", stack=(Stage("sum"),)),
         lambda f, firm: total(NAN if held is None else total(of(held, lambda o: o["capital"]))
                               for held in sisters(f, firm))),
        (create((UP, STAKES, HOLDER, HOLDINGS, HELD, CASES), None, "count", window=window,
                stack=(Stage("mean"), Stage("sum"))),
         lambda f, firm: mean(NAN if held is None else
                              total(of(held, lambda o: len(f.cases_of(o["firm_id"], window))))
                              for held in sisters(f, firm))),
        (create((*OVER, CASES, EVENTS), "cost", "sum", stack=(Stage("sum"), Stage("max"))),
         lambda f, firm: total(of(f.counterparties(firm, *given), lambda o: largest(
             total(e["cost"] for e in f.events if e["case_id"] == c["case_id"]) for c in f.cases_of(o["firm_id"]))))),
    ]  # fmt: skip


def share_true(values):
    return sum(value == 1 for value in values) / len(values) if values else NAN


def distinct(values):
    return float(len(set(there(values)))) if values else NAN


recipes = st.builds(
    NetRecipe,
    seed=st.integers(0, 2**32 - 1),
    n_firms=st.sampled_from([1, 2, 5]),
    n_applications=st.just(4),
    n_edges=st.sampled_from([0, 1, 30]),
    n_persons=st.sampled_from([0, 1, 5]),
    n_stakes=st.sampled_from([0, 1, 12]),
    n_cases=st.sampled_from([0, 1, 30]),
    null_rate=st.sampled_from([0.0, 0.3, 1.0]),
    orphan_rate=st.sampled_from([0.0, 0.4]),
    step_hours=st.sampled_from([24, 24 * 60]),
    level=st.sampled_from([0.0, 1e9]),
    scale=st.sampled_from([0.0, 1e6]),
    lag_days=st.sampled_from([0.0, 20.5]),
    late=st.booleans(),
    timed_edges=st.booleans(),
    timed_firms=st.booleans(),
)


def asked(world):
    applications = world.frame("application")
    return applications["application_id"].to_numpy(), applications["asked_on"].to_numpy()


def planned(world, definitions):
    keys, cutoffs = asked(world)
    return make_plan(world, "application", "application_id", definitions, keys=keys, cutoffs=cutoffs)


@settings(
    max_examples=40, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True
)
@given(recipe=recipes, window=st.sampled_from([None, "6m", "24m"]))
def test_values_are_those_of_plain_python(recipe, window):
    world = make_network(recipe)
    pairs = expectations(window, *(("24m", window) if recipe.timed_edges else (None, None)))
    keys, cutoffs = asked(world)
    values = build_matrix(world, planned(world, [item for item, _ in pairs]), keys, cutoffs).values
    firms = dict(zip(keys, world.frame("application")["firm_id"], strict=True))
    for row, (key, cutoff) in enumerate(zip(keys, cutoffs, strict=True)):
        facts = Facts(world, cutoff)
        for column, (item, expected) in enumerate(pairs):
            value = expected(facts, firms[key]) if firms[key] in facts.firms else NAN
            assert values[row, column] == pytest.approx(value, rel=1e-9, abs=1e-4, nan_ok=True), item.id


RECIPE = NetRecipe(
    seed=5, n_firms=25, n_applications=40, n_edges=90, n_persons=12, n_stakes=50, n_cases=150, n_events=200, late=True,
    lag_days=3.5, timed_firms=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def case():
    world = make_network(RECIPE)
    keys, cutoffs = asked(world)
    modes = [create(path, "sector", "mode", kind="category") for path in (OVER, BACK)]
    plan = planned(world, [*(item for item, _ in expectations("6m", own="24m")), *modes])
    return world, plan, keys, cutoffs, build_matrix(world, plan, keys, cutoffs).values


def test_a_mode_across_a_link_table_is_a_level_of_the_plan(case):
    world, plan, keys, cutoffs, values = case
    alias, number = plan.aliases[-2], len(plan.aliases) - 2
    firms = dict(zip(keys, world.frame("application")["firm_id"], strict=True))
    for row, (key, cutoff) in enumerate(zip(keys, cutoffs, strict=True)):
        facts = Facts(world, cutoff)
        found = there(of(facts.counterparties(firms[key], "from_firm", "to_firm"), lambda o: o["sector"]))
        most = max((found.count(level) for level in found), default=0)
        expected = min((level for level in found if found.count(level) == most), default=None)
        assert plan.display_value(alias, values[row, number]) == (expected if firms[key] in facts.firms else None)


def test_a_live_request_and_the_online_snapshot_give_the_bits_of_the_batch(case, tmp_path):
    world, plan, keys, cutoffs, values = case
    place = FilePlace(tmp_path / "s.db")
    publish_snapshot(world, place, [plan])
    snapshot = place.reader().current()
    for row, (key, cutoff) in enumerate(zip(keys, cutoffs, strict=True)):
        for tables in (entity_rows(world, plan, key), snapshot.rows_of(plan, key)):
            shuffled = {name: rows[::-1] for name, rows in tables.items()}
            data = EngineData.from_rows(plan, shuffled)
            live = compute(plan, data, np.array([key], dtype=object), np.array([cutoff]))
            assert live.tobytes() == values[row].tobytes()


def test_counterparties_that_a_request_does_not_bring_are_said(case):
    world, plan, keys, _, _ = case
    tables = entity_rows(world, plan, keys[0])
    own = next(row["firm_id"] for row in tables["application"])
    assert any(row["to_firm"] != own for row in tables["edge"] if row["from_firm"] == own)
    told = EngineData.from_rows(plan, {**tables, "firm": [row for row in tables["firm"] if row["firm_id"] == own]})
    assert any("name by to_firm a row of firm that is not there" in str(warning) for warning in told.warnings)
    edges = [row for row in tables["edge"] if "f9999" not in (row["from_firm"], row["to_firm"])]
    firms = {row["firm_id"] for row in tables["firm"]}
    whole = [row for row in edges if {row["from_firm"], row["to_firm"]} <= firms]
    stakes = [row for row in tables["stake"] if row["firm_id"] in firms and row["person_id"] != "p9999"]
    assert EngineData.from_rows(plan, {**tables, "edge": whole, "stake": stakes}).warnings == ()


@pytest.mark.parametrize("n_blocks", [1, 7, 60])
def test_blocks_give_the_bits_of_memory(case, tmp_path, monkeypatch, n_blocks):
    world, plan, keys, cutoffs, values = case
    small_blocks(monkeypatch, n_blocks, 20)
    world.save(tmp_path / "world")
    assert build_matrix(tmp_path / "world", plan, keys, cutoffs).values.tobytes() == values.tobytes()


def test_blocks_hold_the_counterparties_and_not_the_whole_tables(case, tmp_path, monkeypatch):
    world, plan, keys, cutoffs, _ = case
    small_blocks(monkeypatch, 60, 20)
    sizes, read = [], streaming.read_block

    def noted(folder, table, *args):
        rows = read(folder, table, *args)
        sizes.append((table, rows.num_rows))
        return rows

    monkeypatch.setattr(streaming, "read_block", noted)
    world.save(tmp_path / "world")
    few = plan.select([item.alias for item in plan.definitions if item.path == (*OVER, CASES)])
    build_matrix(tmp_path / "world", few, keys, cutoffs)
    most = max(n for table, n in sizes if table == "case")
    assert 0 < most < len(world.frame("case")) / 2


def test_firms_asked_about_directly_in_blocks_give_the_bits_of_memory(tmp_path, monkeypatch):
    world = make_network(RECIPE)
    small_blocks(monkeypatch, 11, 15)
    found = [replace(item, path=item.path[1:]) for item, _ in expectations("6m", own="24m")]
    found = [create(i.path, i.column, i.primitive, window=i.window, where=i.where, stack=i.stack) for i in found]
    plan = make_plan(world, "firm", "firm_id", found)
    keys = world.frame("firm")["firm_id"].to_numpy()
    cutoffs = np.full(len(keys), np.datetime64("2022-06-01", "ns"))
    world.save(tmp_path / "world")
    values = build_matrix(tmp_path / "world", plan, keys, cutoffs).values
    assert values.tobytes() == build_matrix(world, plan, keys, cutoffs).values.tobytes()
    assert np.nanmax(values) > 0


def test_two_workers_give_the_bits_of_memory(case, tmp_path):
    pytest.importorskip("distributed", reason="Dask is an extra that is not installed")
    world, plan, keys, cutoffs, values = case
    world.save(tmp_path / "world")
    found = build_matrix(tmp_path / "world", plan, keys, cutoffs, engine="dask", temporary=tmp_path)
    assert found.values.tobytes() == values.tobytes()


def test_nothing_leaks_from_counterparties_and_the_control_notices(case):
    world, plan, keys, cutoffs, _ = case
    certificate = prove_no_leakage(world, plan, keys, cutoffs, seed=3, n_cutoffs=15, rows_per_cutoff=10)
    assert certificate.is_clean
    # A changed record need not be the greatest, nor meet a condition: not each of these cases can differ.
    assert certificate.n_control_detected >= 0.8 * certificate.n_control_cases > 0


@pytest.mark.parametrize("path", [(*OVER, CASES), (*BACK, CASES), OVER])
def test_a_leak_from_counterparties_alone_is_found_out(path, monkeypatch):
    """Cutoffs that include let in the cases and values of counterparties; nothing else is in the plan."""
    world = make_network(replace(RECIPE, step_hours=24 * 60, lag_days=0.0, timed_edges=False))
    column, stack = ("sued", (Stage("sum"),)) if path[-1] == CASES else ("capital", ())
    plan = planned(world, [create(path, column, "sum", stack=stack)])
    keys, cutoffs = asked(world)
    if path == OVER:
        cutoffs = world.frame("firm")["closed"].to_numpy()[np.arange(len(keys)) % RECIPE.n_firms]
    honest = features.leakage.compute
    monkeypatch.setattr(features.leakage, "compute", lambda *args, **_: honest(*args, inclusive=True))
    certificate = prove_no_leakage(world, plan, keys, cutoffs, seed=3, n_cutoffs=10, rows_per_cutoff=10)
    assert not certificate.is_clean
    assert certificate.n_values_differing > 0


def test_plans_read_back_and_ids_and_aliases_are_stable_and_distinct(case):
    _, plan, _, _, _ = case
    assert FeaturePlan.from_json(plan.to_json()) == plan
    assert FeaturePlan.from_json(plan.to_json()).fingerprint == plan.fingerprint
    assert len(set(plan.aliases)) == len({item.id for item in plan.definitions}) == len(plan.definitions)
    aliases = {item.id: item.alias for item in plan.definitions}
    walk = ">firm[firm_id=firm_id]<edge[from_firm=firm_id]>firm[to_firm=firm_id]"
    stem = "firm__edge_by_from_firm__firm_by_to_firm"
    assert aliases[f"{walk}:sum(capital)@24m"] == f"{stem}__capital__sum__24m_351e91e5"
    assert aliases[f"{walk}<case[firm_id=firm_id]:count()@6m;sum[1]"] == f"{stem}__case__count__6m__sum_48634f10"


def test_what_reaches_other_entities_is_marked_and_the_own_rows_parents_are_not(case):
    _, plan, _, _, _ = case
    assert {item.path for item in plan.definitions if item.liveness == "self"} == {(UP, STAKES, HOLDER)}
    assert {item.liveness for item in plan.definitions} == {"self", "network"}


def test_nobody_is_his_own_counterparty():
    world = make_network(NetRecipe(n_firms=2, n_applications=1, null_rate=0.0, orphan_rate=0.0, n_edges=3, n_stakes=2))
    frames = {name: world.frame(name).copy() for name in world.names}
    frames["application"]["firm_id"], frames["application"]["asked_on"] = "f0", pd.Timestamp("2030-01-01")
    frames["edge"]["from_firm"], frames["edge"]["to_firm"] = ["f0", "f0", "f0"], ["f0", "f1", "f1"]
    frames["firm"]["capital"] = [100.0, 7.0]
    frames["stake"]["firm_id"], frames["stake"]["person_id"] = ["f0", "f1"], "p0"
    world = TableSet.from_frames(frames, world.data_model)
    sisters = (UP, STAKES, HOLDER, HOLDINGS, HELD)
    items = [
        create(OVER, "capital", "sum"), create(OVER, "capital", "max"), create(OVER, None, "num_unique"),
        create(OVER, None, "count", where=Condition("capital", ">", 0)),
        create(sisters, "capital", "sum", stack=(Stage("sum"),)), create((UP, GIVEN), None, "count"),
    ]  # fmt: skip
    values = build_matrix(world, planned(world, items), *asked(world)).values
    # The edge to itself is left out; two edges to one firm count twice, but are one firm; rows of the table stay rows.
    assert values[0].tolist() == [14.0, 7.0, 1.0, 2.0, 7.0, 3.0]


def test_firms_below_a_counterparty_are_never_the_firm_itself_either():
    """Firms that the holders of a firm lead, one way over a person's own key: the firm itself is left out of them."""

    def columns(**types):
        return {name: ColumnSpec(type=kind) for name, kind in types.items()}

    model = DataModel(
        tables={
            "firm": TableSpec(columns=columns(firm="id", leader="id", size="number"), primary_key=["firm"]),
            "person": TableSpec(columns=columns(person="id"), primary_key=["person"]),
            "stake": TableSpec(columns=columns(stake="id", firm="id", person="id"), primary_key=["stake"]),
            "branch": TableSpec(columns=columns(branch="id", firm="id", staff="number"), primary_key=["branch"]),
        },
        relationships=[
            Relationship(parent="person", parent_column="person", child="firm", child_column="leader"),
            Relationship(parent="person", parent_column="person", child="stake", child_column="person"),
            Relationship(parent="firm", parent_column="firm", child="stake", child_column="firm"),
            Relationship(parent="firm", parent_column="firm", child="branch", child_column="firm"),
        ],
    )  # fmt: skip
    frames = {
        "firm": pd.DataFrame({"firm": ["f0", "f1", "f2"], "leader": ["p0", "p0", "p1"], "size": [5.0, 7.0, 9.0]}),
        "person": pd.DataFrame({"person": ["p0", "p1"]}),
        "stake": pd.DataFrame({"stake": ["s0", "s1"], "firm": ["f0", "f2"], "person": ["p0", "p0"]}),
        "branch": pd.DataFrame({"branch": ["b0", "b1", "b2"], "firm": ["f0", "f1", "f2"], "staff": [1.0, 2.0, 4.0]}),
    }
    world = TableSet.from_frames(frames, model)
    holders = (PathStep("down", "stake", "firm", "firm"), PathStep("up", "person", "person", "person"))
    led = (*holders, PathStep("down", "firm", "leader", "person"))
    items = [
        create(led, "size", "sum", stack=(Stage("sum"),)),
        create((*led, PathStep("down", "branch", "firm", "firm")), "staff", "sum", stack=(Stage("sum"),)),
    ]
    plan = make_plan(world, "firm", "firm", items)
    cutoffs = np.full(3, np.datetime64("2024-01-01", "ns"))
    values = build_matrix(world, plan, np.array(["f0", "f1", "f2"]), cutoffs).values
    assert values.tolist() == [[7.0, 2.0], [0.0, 0.0], [12.0, 3.0]]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: create((*OVER, CASES), None, "count"), "needs a stage"),
        (lambda: create((*OVER, CASES), None, "count", stack=(Stage("sum", steps=2),)), "cover a step down"),
        (lambda: create(OVER, "capital", "sum", stack=(Stage("sum"),)), "no primitive sum"),
        (lambda: create(OVER, "sector", "identity", stack=(Stage("max"),)), "cannot be made of sector"),
        (lambda: create((*OVER, CASES), "court", "mode", stack=(Stage("max"),)), "cannot be made of court"),
        (lambda: create((*OVER, CASES), "sued", "sum", stack=(Stage("mode"),)), "cannot be made of sued"),
        (lambda: create(OVER, "capital", "identity", window="6m", stack=(Stage("max"),)), "takes no window"),
        (lambda: create((UP, GIVEN), None, "num_unique"), "cannot be made of edge"),
        (lambda: create(OVER, "capital", "sum", where=Condition("kind", "==", "v1")), "no column kind"),
    ],
)
def test_what_means_nothing_is_refused(make, problem):
    with pytest.raises(ConfigurationError, match=problem):
        planned(make_network(NetRecipe()), [make()])
