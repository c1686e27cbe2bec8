"""What firms file and the state publishes: VAT returns, financial statements, the months of the economy."""

import numpy as np
import pandas as pd

from sample_data.applications import BATCH, Rounds
from sample_data.decline import Decline
from sample_data.identities import identifiers
from sample_data.latent import Firms, logistic
from sample_data.timeline import AS_OF_DAY, N_MONTHS, Array, day, month_end, month_of, timestamps, year_of

__all__ = ["macro_frame", "statement_frame", "vat_frame"]

_NEW_INVOICE_MONTH = int(month_of(np.array([day("2023-10-01")]))[0])
_NEW_INVOICE_SHIFT = 1.06  # sales as defined since the digital invoices hold 6% more
_FIRST_YEAR = 2017
_REPORTS = ((3, "40"), (6, "50"), (9, "60"), (12, "10"))  # months covered, code of the report
_MONEY = (
    "total_assets",
    "current_assets",
    "inventory",
    "receivable",
    "fixed_assets",
    "total_liab",
    "current_liab",
    "short_loan",
    "long_loan",
    "equity",
    "revenue",
    "cogs",
    "fin_cost",
    "op_profit",
    "net_profit",
    "op_cash",
)


def vat_frame(rng: np.random.Generator, firms: Firms, decline: Decline, arrears: Array, ent_id: Array) -> pd.DataFrame:
    """Return the VAT returns: monthly, quarterly for small taxpayers; known two days after the 15th, later if late."""
    sales, exists = _declared(rng, firms, decline)
    small = firms.is_small_taxpayer
    quarterly = sales.reshape(firms.n, -1, 3).sum(axis=2)
    filed = np.where(small[:, None], np.repeat(quarterly, 3, axis=1), sales)
    is_due = exists & (~small[:, None] | (np.arange(N_MONTHS) % 3 == 2)[None, :])
    firm, month = np.nonzero(is_due)
    amount = filed[firm, month]
    quality, is_down = decline.quality[firm, month], decline.ramp[firm, month]
    n = len(firm)
    late_days = np.where(rng.random(n) < logistic(-3.6 - 0.5 * quality), rng.geometric(0.12, n), 0)
    payable = np.round(_tax(rng, firms, firm, month, amount), 2)
    is_unpaid = (
        arrears[firm, month] | (small[firm] & arrears[firm, month - 1]) | (rng.random(n) < 0.25 * (is_down >= 1))
    )
    paid = np.round(np.where(is_unpaid, payable * rng.random(n) * 0.6, payable), 2)
    known = month_end(month) + 17 + late_days
    yoy = _year_on_year(filed, exists, firm, month)
    keep = known <= AS_OF_DAY
    return pd.DataFrame(
        {
            "ent_id": ent_id[firm],
            "month": timestamps(month_end(month)),
            "known_at": timestamps(known),
            "taxpayer_type": np.where(small[firm], "small", "general").astype(object),
            "sales": np.round(amount, 2),
            "sales_yoy": yoy,
            "vat_payable": payable,
            "vat_paid": paid,
            "zero_declaration": (amount == 0).astype(float),
            "late_days": late_days,
            "late_fee": np.round(payable * 10_000 * 0.0005 * late_days, 2),
        }
    )[keep]


def statement_frame(
    rng: np.random.Generator, firms: Firms, decline: Decline, facts: Rounds, ent_id: Array
) -> pd.DataFrame:
    """Return annual and year-to-date quarterly statements of the years around a firm's applications.

    Missing not at random: tenth of the firms, more of the micro ones, of the batch channel and of the weak have none.
    """
    grid = _statement_grid(rng, firms, facts)
    firm, year = grid["firm"], grid["year"]
    report = grid["report"]
    months = np.array([covered for covered, _ in _REPORTS])[report]
    end = month_end((year - _FIRST_YEAR) * 12 + months - 1)
    lag = np.where(report == 3, rng.integers(60, 151, len(firm)), rng.integers(20, 61, len(firm)))
    money = _statement_money(rng, firms, decline, firm, year, months)
    keep = (end + lag <= AS_OF_DAY) & (end - 90 > firms.established[firm]) & (end < decline.closed[firm])
    frame = pd.DataFrame(
        {
            "ent_id": ent_id[firm],
            "period_end": timestamps(end),
            "known_at": timestamps(end + lag),
            "report_type": np.array([code for _, code in _REPORTS], dtype=object)[report],
            "audited": ((report == 3) & (rng.random(len(firm)) < 0.45)).astype(float),
            **{name: money[name] for name in _MONEY},
            "liability_ratio": np.round(money["total_liab"] / money["total_assets"], 4),
        }
    )[keep]
    frame.insert(0, "fs_id", identifiers("F", len(frame)))
    return frame


def macro_frame(rng: np.random.Generator, firms: Firms) -> pd.DataFrame:
    """Return the published months of the economy since 2018, known on the 15th of the next month."""
    month = np.arange(12, N_MONTHS)
    state, n = firms.macro[month], N_MONTHS - 12
    end = month_end(month)
    lpr = np.interp(
        end, [day("2018-01-31"), day("2019-08-31"), day("2022-01-31"), day("2024-10-31")], [4.31, 4.25, 3.70, 3.10]
    )
    keep = end + 15 <= AS_OF_DAY
    return pd.DataFrame(
        {
            "month": timestamps(end),
            "known_at": timestamps(end + 15),
            "pmi": np.round(50.6 + 2.6 * state + rng.normal(0, 0.4, n), 1),
            "ppi_yoy": np.round(1.0 + 3.0 * state + rng.normal(0, 0.8, n), 1),
            "export_yoy": np.round(6.0 + 9.0 * state + rng.normal(0, 3.0, n), 1),
            "lpr_1y": np.round(lpr * 20) / 20,
            "sales_index": np.round(100 * (1 + 0.10 * state + rng.normal(0, 0.01, n)), 1),
        }
    )[keep]


def _declared(rng: np.random.Generator, firms: Firms, decline: Decline) -> tuple[Array, Array]:
    """Return declared monthly sales and whether the firm filed at all, of shape (n_firms, n_months)."""
    months = np.arange(N_MONTHS)[None, :]
    exists = (months > month_of(firms.established)[:, None]) & (month_end(months) < decline.closed[:, None])
    is_zero = rng.random(decline.sales.shape) < 0.004 + 0.08 * (decline.ramp >= 1)
    sales = np.where(is_zero | ~exists, 0.0, decline.sales)
    sales[:, _NEW_INVOICE_MONTH:] *= _NEW_INVOICE_SHIFT
    return sales, exists


def _tax(rng: np.random.Generator, firms: Firms, firm: Array, month: Array, amount: Array) -> Array:
    """Return the tax due: a burden of some 3% for general taxpayers, 3% then 1% for small ones above the exemption."""
    burden = 0.028 * np.exp(rng.normal(0, 0.35, firms.n))[firm]
    small_rate = np.where(month < 38, 0.03, 0.01)
    exempt = np.where((month >= 51) & (month < 72), 45.0, 30.0)
    small_tax = np.where(amount <= exempt, 0.0, amount * small_rate)
    tax: Array = np.where(
        firms.is_small_taxpayer[firm], small_tax, amount * burden * np.exp(rng.normal(0, 0.3, len(firm)))
    )
    return tax


def _year_on_year(filed: Array, exists: Array, firm: Array, month: Array) -> Array:
    """Return the growth on the same period a year before; NaN where there was none."""
    before = np.maximum(month - 12, 0)
    earlier = np.where((month >= 12) & exists[firm, np.maximum(before - 2, 0)], filed[firm, before], 0.0)
    growth = np.full(len(firm), np.nan)
    np.divide(filed[firm, month], earlier, out=growth, where=earlier > 0)
    return np.round(np.minimum(growth - 1.0, 20.0), 4)


def _statement_grid(rng: np.random.Generator, firms: Firms, facts: Rounds) -> dict[str, Array]:
    """Choose who hands in which report of which year: two years before the first application to the last one's."""
    first, last = np.full(firms.n, 9999), np.zeros(firms.n, dtype=np.int64)
    years = year_of(facts["day"])
    np.minimum.at(first, facts["firm"], years)
    np.maximum.at(last, facts["firm"], years)
    is_batch = np.zeros(firms.n, dtype=bool)
    is_batch[facts["firm"][(facts["channel"] == BATCH) & (facts["n_prior"] == 0)]] = True
    p_missing = 0.10 + 0.25 * firms.is_micro + 0.15 * is_batch - 0.05 * firms.quality0
    hands_in = rng.random(firms.n) >= np.clip(p_missing, 0.02, 0.8)
    year, report = np.arange(_FIRST_YEAR, 2025)[None, :, None], np.arange(4)[None, None, :]
    wanted = (year >= first[:, None, None] - 2) & (year <= last[:, None, None]) & hands_in[:, None, None]
    present = rng.random((firms.n, 8, 4)) < np.where(
        report == 3, 0.93, np.where(year >= first[:, None, None] - 1, 0.40, 0.0)
    )
    firm, at, kind = np.nonzero(wanted & present)
    return {"firm": firm, "year": at + _FIRST_YEAR, "report": kind}


def _statement_money(
    rng: np.random.Generator, firms: Firms, decline: Decline, firm: Array, year: Array, months: Array
) -> dict[str, Array]:
    """Return the money columns in 10,000 CNY; assets are liabilities plus equity, revenue runs from January."""
    n, end = len(firm), (year - _FIRST_YEAR) * 12 + months - 1
    quality = decline.quality[firm, end]
    yearly_noise = rng.normal(0, 0.04, (firms.n, 8))  # one factor a year keeps the quarters below the year
    noise = yearly_noise[firm, year - _FIRST_YEAR]
    cumulated = np.concatenate([np.zeros((firms.n, 1)), np.cumsum(decline.sales, axis=1)], axis=1)
    revenue = (cumulated[firm, end + 1] - cumulated[firm, end + 1 - months]) * np.exp(noise)
    yearly = revenue * 12 / months
    assets = yearly * np.exp(rng.normal(-0.1, 0.35, firms.n)[firm] + rng.normal(0, 0.05, n))
    true_leverage = (
        0.55 - 0.07 * quality + 0.02 * (firms.size[firm] - 6.7) + firms.leverage_taste[firm] + rng.normal(0, 0.07, n)
    )
    dressing = np.where(quality < -0.3, np.abs(rng.normal(0.05, 0.04, n)), 0.0)
    leverage = np.clip(true_leverage - dressing + rng.normal(0, 0.03, n), 0.03, 0.97)
    liabilities = assets * leverage
    debt = np.minimum(
        yearly * np.exp(-0.95 - 0.22 * quality + firms.debt_taste[firm] + rng.normal(0, 0.2, n)), 0.85 * liabilities
    )
    long_share, current_share = rng.beta(1.2, 6.0, n), np.clip(rng.normal(0.62, 0.13, n), 0.15, 0.95)
    margin = np.clip(0.16 + 0.03 * quality + rng.normal(0, 0.05, n), 0.01, 0.6)
    interest = debt * 0.05 * months / 12
    operating = revenue * (margin - 0.10) - interest
    parts = {
        "total_assets": assets,
        "current_assets": assets * current_share,
        "inventory": assets * current_share * rng.beta(2, 5, n),
        "receivable": assets * current_share * rng.beta(2.5, 5, n) * 0.7,
        "fixed_assets": assets * (1 - current_share) * 0.8,
        "total_liab": liabilities,
        "short_loan": debt * (1 - long_share),
        "long_loan": debt * long_share,
        "current_liab": liabilities - debt * long_share,
        "revenue": revenue,
        "cogs": revenue * (1 - margin),
        "fin_cost": interest,
        "op_profit": operating,
        "net_profit": np.where(operating > 0, 0.85, 1.0) * operating,
        "op_cash": operating + revenue * rng.normal(0.02, 0.06, n),
    }
    money = {name: np.round(values, 2) for name, values in parts.items()}
    money["equity"] = np.round(money["total_assets"] - money["total_liab"], 2)
    return money
