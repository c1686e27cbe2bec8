import pandas as pd
import pytest

from sample_data import World, generate_world


@pytest.fixture(scope="session")
def world() -> World:
    return generate_world(3_000, seed=11)


@pytest.fixture(scope="session")
def complete() -> World:
    """The complete world of the smallest size."""
    return generate_world(size="small", seed=11)


@pytest.fixture(scope="session")
def tables(complete: World) -> dict[str, pd.DataFrame]:
    """All tables of the complete world by name."""
    return {name: complete.table_set.frame(name) for name in complete.table_set.names}


@pytest.fixture(scope="session")
def loans(world: World) -> pd.DataFrame:
    """One row per mature contract: start, both labels derived from the tables by hand, oracle beside."""
    return mature_loans(world)


@pytest.fixture(scope="session")
def complete_loans(complete: World) -> pd.DataFrame:
    """The mature contracts of the complete world."""
    return mature_loans(complete)


def mature_loans(world: World) -> pd.DataFrame:
    tables = world.table_set
    contract = tables.frame("contract").merge(world.oracle, on="app_id").set_index("contract_id")
    end = contract["disburse_date"] + pd.DateOffset(months=12)
    repay, compensation = tables.frame("repay_record"), tables.frame("compensation")
    overdue = repay[repay["overdue_days"] > 30]
    overdue = overdue[overdue["due_date"] + pd.Timedelta(days=31) <= overdue["contract_id"].map(end)]
    in_time = compensation[compensation["pay_date"] <= compensation["contract_id"].map(end)]
    contract["is_subrogated"] = contract.index.isin(in_time["contract_id"])
    contract["is_bad"] = contract.index.isin(overdue["contract_id"]) | contract["is_subrogated"]
    return contract[end <= tables.as_of]
