"""What every primitive owes: the same bits in batch and live, nothing from the future, its value of no history."""

import importlib
import pkgutil
from dataclasses import replace

import numpy as np
import pytest

import features.primitives
from core.i18n import translate
from features.definitions import Condition, FeatureDefinition, Stage
from features.engine import EngineData, compute
from features.future import Touched, change_future
from features.matrix import build_matrix
from features.planning import make_plan
from features.preparation import entity_rows
from features.primitives.vocabulary import AGGREGATIONS, GROUPS, TRANSFORMS
from tests.features.worlds import LOANS, PAYMENTS, UP, Recipe, make_world
from warehouse.table_set import TableSet

RECIPE = Recipe(seed=16, n_firms=8, n_applications=24, n_loans=90, n_payments=700, late=True, lag_days=3.0,
                step_hours=24 * 10)  # fmt: skip
BELOW = (UP, LOANS, PAYMENTS)
COLUMNS = {"rows": (None, None), "number": ("paid", "recovered"), "boolean": ("failed", "rate"),
           "category": ("channel", "status")}  # fmt: skip
WINDOWS = (None, "6m", "24m")
HELD = Condition("channel", "==", "v1")


def aggregated(primitive) -> list[FeatureDefinition]:
    """One primitive in every role: each kind of column, window, condition, second column, ratio, stage."""
    found = []
    for reads in primitive.reads:
        payment, loan = COLUMNS[reads]
        kind = "category" if reads == "category" and primitive.gives_level else "number"
        where = HELD if reads == "rows" and primitive.tests_condition else None
        own = Condition("status", "==", "v2") if where else None
        for window in WINDOWS:
            found.append(create(BELOW, payment, primitive, kind, window=window, where=where))
            found.append(create((UP, LOANS), loan, primitive, kind, window=window, where=own))
        found.append(create(BELOW, payment, primitive, kind, window="24m", where=Condition("due", ">", 0.0)))
        if kind == "number":
            found.append(create(BELOW, payment, primitive, kind, window="6m", against="24m", where=where))
            stage = Stage("mean", window="24m", where=Condition("amount", "<=", 50.0))
            found.append(create(BELOW, payment, primitive, kind, window="12m", where=where, stack=(stage,)))
        if reads == "number" or (reads == "category" and primitive.takes_weights):
            found.append(create(BELOW, payment, primitive, kind, window="24m", second="due"))
        if reads == "number":
            stage = Stage(primitive.name, window="24m")
            found.append(create(BELOW, "paid", AGGREGATIONS["sum"], kind, stack=(stage,)))
    return list({item.id: item for item in found}.values())


def create(path, column, primitive, kind, **more) -> FeatureDefinition:
    return FeatureDefinition.create(path, column, primitive.name, kind=kind, **more)


def transformed(primitive) -> list[FeatureDefinition]:
    of = {"number": ((), "amount"), "time": ((), "asked_on"), "category": ((UP,), "sector"),
          "boolean": ((UP,), "capital"), "text": ((UP,), "sector")}  # fmt: skip
    return [
        create(*of[reads], primitive, "category" if reads == "category" else "number",
               second=of[primitive.second][1] if primitive.second else None, word="v1" if reads == "text" else None)
        for reads in primitive.reads
    ]  # fmt: skip


def asked(world):
    applications = world.frame("application")
    return applications["application_id"].to_numpy(), applications["asked_on"].to_numpy()


class Case:
    """The features of all primitives, computed once; each test looks at those of one."""

    def __init__(self) -> None:
        self.world = make_world(RECIPE)
        self.keys, self.cutoffs = asked(self.world)
        self.of = {name: aggregated(primitive) for name, primitive in AGGREGATIONS.items()}
        self.of |= {name: transformed(primitive) for name, primitive in TRANSFORMS.items()}
        every = list({item.id: item for items in self.of.values() for item in items}.values())
        self.plan = make_plan(self.world, "application", "application_id", every, keys=self.keys, cutoffs=self.cutoffs)
        self.values = build_matrix(self.world, self.plan, self.keys, self.cutoffs).values

    def bits(self, values: np.ndarray, name: str) -> bytes:
        columns = [self.plan.positions[item.alias] for item in self.of[name]]
        return np.ascontiguousarray(values[:, columns]).tobytes()


@pytest.fixture(scope="module")
def case():
    return Case()


@pytest.fixture(scope="module")
def live(case):
    rows = []
    for key, cutoff in zip(case.keys, case.cutoffs, strict=True):
        data = EngineData.from_rows(case.plan, entity_rows(case.world, case.plan, key))
        rows.append(compute(case.plan, data, np.array([key], dtype=object), np.array([cutoff])))
    return np.concatenate(rows)


@pytest.fixture(scope="module")
def other_futures(case):
    """For some moments: which rows are asked at or before it, and their values in another future."""
    data, found = EngineData.from_table_set(case.plan, case.world), []
    for seed, moment in enumerate(np.sort(case.cutoffs)[[4, 11, 19]]):
        before = case.cutoffs <= moment
        rng = np.random.default_rng(seed)
        changed = change_future(case.world, case.plan, data, int(moment.astype(np.int64)), rng, Touched())
        values = compute(
            case.plan, EngineData.from_table_set(case.plan, changed), case.keys[before], case.cutoffs[before]
        )
        found.append((before, values))
    return found


@pytest.fixture(scope="module")
def shuffled(case):
    frames = {name: case.world.frame(name).sample(frac=1, random_state=4) for name in case.world.names}
    world = TableSet.from_frames(frames, case.world.data_model)
    return build_matrix(world, case.plan, case.keys, case.cutoffs).values


@pytest.fixture(scope="module")
def at_a_record(case):
    """Values asked exactly when payments become known, with these payments and all later ones, and without them."""
    lag = np.timedelta64(3, "D")
    known = np.sort(case.world.frame("payment")["paid_at"].to_numpy() + lag)
    moments = known[np.linspace(len(known) // 3, len(known) - 1, len(case.keys)).astype(int)]
    whole = compute(case.plan, EngineData.from_table_set(case.plan, case.world), case.keys, moments)
    rows = []
    for key, moment in zip(case.keys, moments, strict=True):
        frames = {name: case.world.frame(name) for name in case.world.names}
        for name, time in (("loan", "made_at"), ("payment", "paid_at")):
            frames[name] = frames[name][frames[name][time].to_numpy() + lag < moment]
        data = EngineData.from_table_set(case.plan, TableSet.from_frames(frames, case.world.data_model))
        rows.append(compute(case.plan, data, np.array([key], dtype=object), np.array([moment])))
    return whole, np.concatenate(rows)


EVERY = [*AGGREGATIONS, *TRANSFORMS]


@pytest.mark.parametrize("name", EVERY)
def test_live_gives_the_bits_of_the_batch(case, live, name):
    assert case.bits(live, name) == case.bits(case.values, name)


@pytest.mark.parametrize("name", EVERY)
def test_another_future_changes_nothing(case, other_futures, name):
    for before, values in other_futures:
        assert case.bits(values, name) == case.bits(case.values[before], name)


@pytest.mark.parametrize("name", EVERY)
def test_a_record_exactly_at_the_cutoff_does_not_count(case, at_a_record, name):
    whole, without = at_a_record
    assert case.bits(whole, name) == case.bits(without, name)


@pytest.mark.parametrize("name", EVERY)
def test_the_order_of_rows_in_the_tables_does_not_matter(case, shuffled, name):
    assert case.bits(shuffled, name) == case.bits(case.values, name)


@pytest.mark.parametrize("name", EVERY)
def test_alone_it_gives_the_bits_of_the_whole_plan(case, name):
    plan = case.plan.select([item.alias for item in case.of[name]])
    values = build_matrix(case.world, plan, case.keys, case.cutoffs).values
    assert values.tobytes() == case.bits(case.values, name)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_a_history_without_rows_has_the_declared_value(case, name):
    empty = make_world(replace(RECIPE, n_loans=0))
    plan = case.plan.select(
        [item.alias for item in case.of[name] if not item.stack and item.against is None and item.second is None]
    )
    values = build_matrix(empty, plan, case.keys, case.cutoffs).values
    assert np.array_equal(values, np.full_like(values, AGGREGATIONS[name].empty), equal_nan=True)


@pytest.mark.parametrize("name", EVERY)
def test_it_says_something_here(case, name):
    """The other tests would pass on nothing but nulls too."""
    columns = [case.plan.positions[item.alias] for item in case.of[name]]
    assert (~np.isnan(case.values[:, columns])).any(axis=0).all()


@pytest.mark.parametrize("name", EVERY)
def test_it_has_a_file_of_its_name_and_a_phrase_in_both_languages(name):
    primitive = AGGREGATIONS.get(name) or TRANSFORMS[name]
    assert type(primitive).__module__ == f"features.primitives.{name}"
    assert primitive.phrase.template.count("{what}") == 1
    assert (
        primitive.phrase.template == "{what}" or translate(primitive.phrase.template, "zh") != primitive.phrase.template
    )


def test_every_file_is_in_the_vocabulary():
    modules = {module.name for module in pkgutil.iter_modules(features.primitives.__path__)}
    assert modules - {"interface", "vocabulary"} == set(EVERY)


def test_blocks_of_rows_do_not_change_a_bit(case, monkeypatch):
    aggregation, reductions = (importlib.import_module(f"features.{name}") for name in ("aggregation", "reductions"))
    for module, name, value in ((aggregation, "_BLOCK_CELLS", 1), (aggregation, "_LEAST_BLOCK", 50),
                                (aggregation, "_SMALL", 0), (reductions, "_MAX_CELLS", 40),
                                (reductions, "_FEW_LEVELS", 1)):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    assert build_matrix(case.world, case.plan, case.keys, case.cutoffs).values.tobytes() == case.values.tobytes()


def test_groups_name_known_primitives():
    assert {name for names in GROUPS.values() for name in names} == set(EVERY)
