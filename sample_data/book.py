"""The book of the guarantors by month: who bears how much, and what the monitoring model says of loans in force."""

import numpy as np
import pandas as pd

from sample_data.base import Base
from sample_data.business import grades, points
from sample_data.identities import VIRTUAL_MARK, city_names, identifiers, numbered_keys
from sample_data.latent import REGIONS, logistic, trailing_growth
from sample_data.timeline import AS_OF_DAY, N_MONTHS, Array, day, month_end, month_of, timestamps

__all__ = ["guarantor_frame", "guarantor_ids", "guarantor_of", "score_frame"]

_FIRST_MONTH = 24  # 2019-01
_FIRST_SCORED_MONTH = 59  # 2021-12
_SECOND_MODEL_DAY = day("2023-07-01")


def guarantor_of(base: Base, level: Array) -> Array:
    """Return the number of the guarantor of applications: the province's, a city's, or its counties'."""
    region = base.firms.region[base.facts["firm"]]
    number: Array = np.select([level == "province", level == "city"], [0, 1 + region], 1 + len(REGIONS) + region)
    return number


def guarantor_ids(number: Array) -> Array:
    """Return the keys of guarantors by number."""
    return numbered_keys("G", number, 2)


def guarantor_frame(base: Base, level: Array) -> pd.DataFrame:
    """Return net assets, balance borne and leverage of each guarantor per month, known on the 10th of the next."""
    rng, n = base.stream("org"), 1 + 2 * len(REGIONS)
    months = np.arange(_FIRST_MONTH, N_MONTHS - 1)
    balance, losses = _borne(base, guarantor_of(base, level)[base.loans.application], n)
    peak = np.maximum(balance.max(axis=1), 200.0)
    start = peak / rng.uniform(3.0, 7.0, n)
    growth = 1 + 0.03 * (np.arange(N_MONTHS) - _FIRST_MONTH) / 12
    net_assets = np.maximum(start[:, None] * growth - np.cumsum(losses, axis=1), peak[:, None] / 12)
    org, month = (grid.ravel() for grid in np.meshgrid(np.arange(n), months, indexing="ij"))
    assets, borne = np.round(net_assets[org, month], 2), np.round(balance[org, month], 2)
    return pd.DataFrame(
        {
            "org_id": guarantor_ids(org),
            "month": timestamps(month_end(month)),
            "known_at": timestamps(month_end(month) + 10),
            "org_name": _names(base.names)[org],
            "level": np.array(["province"] + ["city"] * len(REGIONS) + ["county"] * len(REGIONS), dtype=object)[org],
            "net_assets": assets,
            "liability_balance": borne,
            "leverage": np.round(borne / assets, 4),
            "subrogated": np.round(losses[org, month], 2),
        }
    )


def score_frame(base: Base, contracts: pd.DataFrame) -> pd.DataFrame:
    """Return the quarterly scores of the loans in force since the end of 2021, known the day after."""
    rng, loans, firms = base.stream("scored_monitor"), base.loans, base.firms
    released = contracts["release_date"].to_numpy().astype("datetime64[D]")
    end = np.where(np.isnat(released), AS_OF_DAY, released.astype(np.int64))
    end = np.where(loans.compensation_day >= 0, np.minimum(end, loans.compensation_day), end)
    months = np.arange(_FIRST_SCORED_MONTH, N_MONTHS - 1, 3)
    scored = month_end(months)
    in_force = (loans.terms["disburse_day"][:, None] < scored) & (scored < end[:, None])
    contract, at = np.nonzero(in_force)
    firm, month, days = base.loan_firm[contract], months[at], scored[at]
    is_old = month_of(firms.established[firm]) < month - 18
    growth = np.where(is_old, trailing_growth(base.down.sales, firm, month), 0.0)
    log_odds = (
        -4.1
        - 0.5 * base.down.quality[firm, month]
        - 0.2 * firms.owner[firm]
        - 0.6 * np.clip(growth, -0.6, 0.6)
        + 1.8 * (loans.days_overdue(contract, days) > 0)
        + rng.normal(0, 0.45, len(contract))
    )
    probability = logistic(log_odds)
    frame = pd.DataFrame(
        {
            "contract_id": loans.contract_id[contract],
            "ent_id": base.ent_id[firm],
            "scored_at": timestamps(days),
            "known_at": timestamps(days + 1),
            "model_version": np.where(days < _SECOND_MODEL_DAY, "B1", "B2").astype(object),
            "score": points(log_odds),
            "pd": np.round(probability, 6),
            "grade": grades(probability),
        }
    )
    frame.insert(0, "score_id", identifiers("T", len(frame)))
    return frame


def _borne(base: Base, org: Array, n_orgs: int) -> tuple[Array, Array]:
    """Return the guarantors' share of what is owed, and of what was subrogated, of shape (n_orgs, n_months).

    In 10,000 CNY at the end of each month.
    """
    loans, rows = base.loans, base.loans.instalments
    share = loans.terms["liability"] / 100
    owner = rows["contract"]
    is_paid = (rows["pay"] >= 0) & (rows["pay"] < AS_OF_DAY)
    compensated = loans.subrogated
    left = loans.outstanding(compensated, loans.compensation_day[compensated])
    changes = np.zeros((n_orgs, N_MONTHS))
    out = np.flatnonzero(loans.terms["disburse_day"] < AS_OF_DAY)
    np.add.at(
        changes, (org[out], month_of(loans.terms["disburse_day"][out])), loans.terms["principal"][out] * share[out]
    )
    np.add.at(
        changes,
        (org[owner[is_paid]], month_of(rows["pay"][is_paid])),
        -(rows["principal"][is_paid] * share[owner[is_paid]]),
    )
    month = month_of(loans.compensation_day[compensated])
    np.add.at(changes, (org[compensated], month), -left * share[compensated])
    losses = np.zeros((n_orgs, N_MONTHS))
    np.add.at(losses, (org[compensated], month), left * share[compensated])
    return np.maximum(np.cumsum(changes, axis=1), 0.0), losses


def _names(language: str) -> Array:
    cities = city_names(language)
    if language == "en":
        names = ["Provincial", *cities, *(f"{city} Counties" for city in cities)]
        return np.array([f"{name} Financing Guarantee Co.{VIRTUAL_MARK['en']}" for name in names], dtype=object)
    names = ["省级", *cities, *(f"{city}县域" for city in cities)]
    return np.array([f"{name}融资担保有限公司{VIRTUAL_MARK['zh']}" for name in names], dtype=object)
