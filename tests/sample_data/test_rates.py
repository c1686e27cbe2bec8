"""The rates of section 7.3 and the drift of 7.4, held against the specification on several worlds at once."""

import numpy as np
import pytest

from sample_data.applications import BATCH, DIRECT, SUBROGATED
from sample_data.base import Base, draw_base
from sample_data.latent import logistic
from sample_data.timeline import day, year_of

N_FIRMS = 9_000
SEEDS = (20_240_101, 1, 2)


@pytest.fixture(scope="module")
def bases() -> list[Base]:
    return [draw_base(N_FIRMS, seed) for seed in SEEDS]


def pooled(bases: list[Base], *names: str) -> list[np.ndarray]:
    return [np.concatenate([base.facts[name] for base in bases]) for name in names]


def signed(bases: list[Base]) -> dict[str, np.ndarray]:
    """Return year of disbursement, amount in 10,000 CNY and true probability of the loans of all worlds."""
    parts = [
        (
            year_of(base.loans.terms["disburse_day"]),
            base.loans.terms["principal"] / 100,
            logistic(base.facts["logit"][base.loans.application]),
        )
        for base in bases
    ]
    return dict(zip(("year", "amount", "p"), (np.concatenate(each) for each in zip(*parts, strict=True)), strict=True))


def stability_index(reference: np.ndarray, current: np.ndarray) -> float:
    """The population stability index over tenths of the reference, by its definition."""
    edges = np.quantile(reference, np.linspace(0, 1, 11)[1:-1])
    shares = [np.bincount(np.searchsorted(edges, part), minlength=10) / len(part) for part in (reference, current)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def test_one_ticket_in_twenty_is_above_five_million(bases: list[Base]) -> None:
    (amount,) = pooled(bases, "amount")
    assert (amount > 500).mean() == pytest.approx(0.05, abs=0.006)
    assert amount.max() == 1_000


def test_tickets_have_the_medians_of_their_channels(bases: list[Base]) -> None:
    amount, channel = pooled(bases, "amount", "channel")
    assert 150 <= np.median(amount[channel == DIRECT]) <= 200
    assert 80 <= np.median(amount[channel == BATCH]) <= 100


def test_68_to_72_of_a_hundred_are_approved(bases: list[Base]) -> None:
    (approved,) = pooled(bases, "is_approved")
    assert 0.68 <= approved.mean() <= 0.72


@pytest.mark.parametrize(
    ("year", "expected"),
    [(2019, 0.020), (2020, 0.020), (2021, 0.020), (2022, 0.040), (2023, 0.024), (2024, 0.024)],
)
def test_losses_by_count_are_those_of_the_specification_in_each_year(
    bases: list[Base], year: int, expected: float
) -> None:
    # The tolerance is what the state of the economy, drawn per world, moves a mean of three by.
    loans = signed(bases)
    assert loans["p"][loans["year"] == year].mean() == pytest.approx(expected, abs=0.003)


def test_the_last_quarter_of_the_shock_no_longer_carries_the_losses_of_its_height(bases: list[Base]) -> None:
    loans = signed(bases)
    by_year = [loans["p"][loans["year"] == year].mean() for year in (2021, 2022, 2023, 2024)]
    assert by_year[1] > 1.4 * max(by_year[0], by_year[2], by_year[3])
    assert abs(by_year[2] - by_year[3]) < 0.003


def test_the_losses_that_were_drawn_are_those_expected(bases: list[Base]) -> None:
    expected = signed(bases)["p"]
    drawn = sum(int((base.loans.kind == SUBROGATED).sum()) for base in bases)
    assert abs(drawn - expected.sum()) < 4 * np.sqrt((expected * (1 - expected)).sum())


def test_losses_by_amount_are_eight_tenths_of_those_by_count(bases: list[Base]) -> None:
    loans = signed(bases)
    by_amount = (loans["amount"] * loans["p"]).sum() / loans["amount"].sum()
    assert by_amount / loans["p"].mean() == pytest.approx(0.8, abs=0.05)


def test_the_growth_of_sales_shifts_by_a_third_over_the_shock(bases: list[Base]) -> None:
    # Red is .25; the shock of one world is as strong as its sectors and its economy make it.
    found = []
    for base in bases:
        days, growth = base.facts["day"], base.facts["growth"]
        over = (days >= day("2022-07-01")) & (days < day("2023-04-01"))
        found.append(stability_index(growth[days < day("2022-01-01")], growth[over]))
    assert np.mean(found) == pytest.approx(0.33, abs=0.06)
    assert min(found) > 0.25
