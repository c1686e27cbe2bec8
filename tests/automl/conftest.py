"""Small worlds for the tests of automl: made here, from a seed, with a known truth."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from automl.label import Labels, LabelSpec
from features.definitions import FeatureDefinition
from features.matrix import FeatureMatrix
from features.plan import FeaturePlan, TableSchema

N_NUMBERS = 6
LEVELS = ("a", "b", "c")
DAY = np.timedelta64(1, "D")


def make_plan(n_numbers: int = N_NUMBERS) -> FeaturePlan:
    """Return a plan of numbers x0, x1, ... and one category."""
    numbers = [
        FeatureDefinition.create((), f"x{i}", "identity", names={"en": f"variable {i}", "zh": f"变量{i}"})
        for i in range(n_numbers)
    ]
    sector = FeatureDefinition.create((), "sector", "identity", kind="category", names={"en": "sector", "zh": "行业"})
    columns = {"id": "key", "sector": "category", **{f"x{i}": "number" for i in range(n_numbers)}}
    return FeaturePlan("loan", "id", (*numbers, sector), {"loan": TableSchema(columns)}, levels={sector.alias: LEVELS})


def make_world(
    n: int = 1_500, seed: int = 7, *, bad_log_odds: float = -1.2, by_time: bool = False, n_entities: int | None = None
) -> tuple[FeatureMatrix, Labels]:
    """Return matrix and labels whose log-odds are x0 - x1 + (x2 > 0) + a sector effect, the rest noise."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, N_NUMBERS + 1))
    values[:, -1] = rng.integers(0, len(LEVELS) + 1, n)
    log_odds = bad_log_odds + values[:, 0] - values[:, 1] + (values[:, 2] > 0) + 0.8 * (values[:, -1] == 1)
    y = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(float)
    values[rng.random(values.shape) < 0.05] = np.nan
    keys = np.array([f"L{i:06d}" for i in range(n)], dtype=object)
    entities = keys if n_entities is None else np.array([f"E{i}" for i in rng.integers(0, n_entities, n)], dtype=object)
    start = np.datetime64("2018-01-01", "ns")
    days = rng.integers(0, 6 * 365, n) if by_time else np.zeros(n, dtype=int)
    cutoffs = (start + days * DAY).astype("datetime64[ns]")
    spec = LabelSpec(
        name="bad", root_table="loan", key_column="id", cutoff={"column": "applied"}, column="outcome",
        performance_window_months=12 if by_time else None,
    )  # fmt: skip
    ends = cutoffs + 365 * DAY if by_time else np.full(n, np.datetime64("NaT", "ns"))
    labels = Labels(keys, entities, cutoffs, y, cutoffs, ends, np.ones(n, dtype=bool), spec)
    return FeatureMatrix(values, keys, cutoffs, make_plan()), labels


@pytest.fixture(scope="session")
def world() -> Callable[..., tuple[FeatureMatrix, Labels]]:
    return make_world


@pytest.fixture(scope="session")
def plan() -> FeaturePlan:
    return make_plan()


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread, as `train` does: for so little work more of them only spin."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield
