import numpy as np
import pytest

from sample_data.applications import Rounds, simulate
from sample_data.decline import Decline, make_decline
from sample_data.histories import draw_edges, draw_histories
from sample_data.latent import Firms, draw_firms, macro_path
from sample_data.lending import Loans, make_loans
from sample_data.timeline import AS_OF_DAY, day, generator, month_of

Book = tuple[Firms, Rounds, Loans, Decline]


@pytest.fixture(scope="module")
def book() -> Book:
    firms = draw_firms(generator(3, "firms"), 2_000)
    edges = draw_edges(generator(3, "edges"), firms)
    facts = simulate(generator(3, "applications"), firms, edges, draw_histories(generator(3, "past"), firms, edges))
    loans = make_loans(generator(3, "loans"), facts)
    return firms, facts, loans, make_decline(generator(3, "down"), firms, loans, facts["firm"][loans.application])


def test_a_decline_shows_nothing_before_the_loan_was_disbursed(book: Book) -> None:
    # Else the histories would know the outcome better than the true probability does.
    firms, facts, loans, decline = book
    first_bad = np.full(firms.n, 10**6)
    bad = np.flatnonzero(loans.first_overdue >= 0)
    np.minimum.at(first_bad, facts["firm"][loans.application][bad], month_of(loans.terms["disburse_day"][bad]))
    before = np.arange(decline.ramp.shape[1])[None, :] <= first_bad[:, None]
    assert len(bad) > 50
    assert (decline.ramp[before] == 0).all()
    np.testing.assert_array_equal(decline.sales[before], firms.sales[before])


def test_a_decline_is_complete_when_the_first_instalment_stays_unpaid(book: Book) -> None:
    _, facts, loans, decline = book
    bad = np.flatnonzero((loans.first_overdue >= 0) & (loans.first_overdue <= AS_OF_DAY))
    slow = bad[month_of(loans.first_overdue[bad]) > month_of(loans.terms["disburse_day"][bad])]
    firm = facts["firm"][loans.application][slow]
    month = month_of(loans.first_overdue[slow])
    np.testing.assert_allclose(decline.ramp[firm, month], 1.0)
    np.testing.assert_allclose(decline.quality[firm, month], book[0].quality[firm, month] - 0.6)


def test_firms_close_only_after_a_subrogation(book: Book) -> None:
    _, facts, loans, decline = book
    closed = np.flatnonzero(decline.closed < 10**6)
    subrogated = set(facts["firm"][loans.application][loans.subrogated])
    assert set(closed) <= subrogated
    assert len(closed) > 0


def test_the_economy_dips_in_early_2020_and_from_april_2022_to_march_2023() -> None:
    paths = np.mean([macro_path(np.random.default_rng(seed)) for seed in range(200)], axis=0)
    wave = 0.1 * np.sin(2 * np.pi * np.arange(len(paths)) / 36)

    def level(first: str, last: str) -> float:
        start, end = (int(month_of(np.array([day(date)]))[0]) for date in (first, last))
        return float((paths - wave)[start : end + 1].mean())

    assert level("2019-01-01", "2020-01-31") == pytest.approx(0.0, abs=0.02)
    assert level("2020-02-01", "2020-05-31") == pytest.approx(-0.8, abs=0.02)
    assert level("2022-04-01", "2023-03-31") == pytest.approx(-1.0, abs=0.02)
    assert level("2023-04-01", "2024-12-31") == pytest.approx(-0.35, abs=0.02)


def test_the_ramp_is_between_sound_and_down(book: Book) -> None:
    ramp = book[3].ramp
    assert ramp.min() == 0.0
    assert ramp.max() == 1.0
