"""What registers, courts, offices and the press say of a firm; each record has the day since which it could be seen."""

import numpy as np
import pandas as pd

from sample_data.base import Base
from sample_data.groups import draw_events, rows_of
from sample_data.identities import choice, identifiers, or_null, person_names
from sample_data.latent import REGIONS
from sample_data.timeline import (
    AS_OF_DAY,
    N_MONTHS,
    NEVER,
    Array,
    day,
    day_numbers,
    month_end,
    month_of,
    timestamps,
    year_of,
)

__all__ = [
    "OUTAGES",
    "arrears_frame",
    "blacklist_frame",
    "change_frame",
    "enforcement_frame",
    "intellectual_property_frame",
    "opinion_frame",
    "penalty_frame",
    "source_frame",
    "tax_credit_frame",
]

OUTAGES = {
    "enforcement": (("2021-11-08", "2021-12-05"), ("2023-08-14", "2023-08-27")),
    "admin_penalty": (("2022-09-19", "2022-10-16"),),
    "opinion": (("2020-06-01", "2020-06-21"), ("2024-05-06", "2024-05-19")),
}
"""First and last day of the weeks in which a feed stood still: nothing seen then is unknown, not zero."""

_MONTHS_SEEN = 80  # of the 96 months a firm is there for about 80
_GRADE_CUTS = (-1.9, -1.2, -0.2, 0.9)  # D, C, M, B, A
_FIRST_GRADED_YEAR = 2018
_PENALISERS = ["tax", "market", "environment", "safety", "labour", "housing"]
_TOPICS = ["operation", "labour_dispute", "product_quality", "litigation", "award", "financing", "environment"]
_BY_YEAR_END = np.array([11 + 12 * year for year in range(8)])


def change_frame(base: Base) -> pd.DataFrame:
    """Return the changes in the company register: 1.8 per firm, more where things go down; known a week later."""
    rng, firms = base.stream("ent_change"), base.firms
    rate = 1.9 / _MONTHS_SEEN * np.exp(-0.1 * firms.quality + 0.6 * base.down.ramp)
    firm, days = draw_events(rng, rate, firms, base.down.closed)
    n = len(firm)
    kind = choice(
        rng, ["legal_rep", "equity", "address", "scope", "capital", "industry"], [0.14, 0.24, 0.2, 0.3, 0.09, 0.03], n
    )
    before, after = _changed(rng, base, kind), _changed(rng, base, kind)
    frame = pd.DataFrame(
        {
            "ent_id": base.ent_id[firm],
            "change_date": timestamps(days),
            "known_at": timestamps(days + 7),
            "change_type": kind,
            "before_change": before,
            "after_change": after,
        }
    )
    return _numbered(frame, "change_id", "H", days + 7)


def tax_credit_frame(base: Base) -> pd.DataFrame:
    """Return the yearly tax-credit grades, known at the end of the next April; new firms get M."""
    rng, firms = base.stream("tax_credit"), base.firms
    years = np.arange(_FIRST_GRADED_YEAR, 2024)
    quality = base.down.quality[:, _BY_YEAR_END[years - 2017]]
    seen = quality + rng.normal(0, 0.8, quality.shape)
    grade = np.array(list("DCMBA"), dtype=object)[np.digitize(seen, _GRADE_CUTS)]
    age = years[None, :] - year_of(firms.established)[:, None]
    grade = np.where(age <= 1, "M", grade)
    known = np.array([day(f"{year + 1}-04-30") for year in years])
    firm, at = np.nonzero((age >= 0) & (base.down.closed[:, None] > known[None, :]) & (known <= AS_OF_DAY)[None, :])
    return pd.DataFrame(
        {
            "ent_id": base.ent_id[firm],
            "year_end": timestamps(month_end(_BY_YEAR_END[years - 2017])[at]),
            "known_at": timestamps(known[at]),
            "grade": grade[firm, at].astype(object),
        }
    )


def arrears_frame(base: Base) -> pd.DataFrame:
    """Return the published tax arrears: those of the months with unpaid tax that were large enough to be published."""
    rng, arrears = base.stream("tax_arrears"), base.past.tax_arrears
    starts = arrears.copy()
    starts[:, 1:] &= ~arrears[:, :-1]
    firm, month = np.nonzero(starts & (rng.random(arrears.shape) < 0.42))
    n, stat_day = len(firm), month_end(month)
    sales = base.down.sales[firm, month]
    amount = np.round(np.maximum(sales * 300 * np.exp(rng.normal(0.6, 0.8, n)), 500.0), 2)
    cleared = stat_day + 30 + np.round(rng.gamma(1.4, 90.0, n)).astype(np.int64)
    is_cleared = (rng.random(n) < 0.85) & (cleared + 30 <= AS_OF_DAY)
    frame = pd.DataFrame(
        {
            "ent_id": base.ent_id[firm],
            "stat_date": timestamps(stat_day),
            "known_at": timestamps(stat_day + 30),
            "amount_cny": amount,
            "cleared_date": timestamps(np.where(is_cleared, cleared, NEVER)),
            "cleared_known_at": timestamps(np.where(is_cleared, cleared + 30, NEVER)),
        }
    )
    return _numbered(frame, "arrears_id", "X", stat_day + 30)


def enforcement_frame(base: Base, cases: pd.DataFrame) -> pd.DataFrame:
    """Return one record per enforcement case of a firm: enforced upon, dishonest or barred from high spending."""
    rng = base.stream("enforcement")
    chosen = cases[cases["case_type"] == "enforcement"]
    n = len(chosen)
    days = day_numbers(chosen["filing_date"])
    known = _after_outage("enforcement", days + rng.integers(15, 46, n))
    removed = days + 60 + np.round(rng.gamma(2.0, 130.0, n)).astype(np.int64)
    is_removed = (rng.random(n) < 0.7) & (removed + 30 <= AS_OF_DAY)
    target = chosen["amount_cny"].to_numpy()
    executed = np.round(target * np.where(rng.random(n) < 0.45, 1.0, rng.beta(0.8, 1.6, n)), 2)
    firm = base.firm_of(chosen["ent_id"])
    frame = pd.DataFrame(
        {
            "ent_id": chosen["ent_id"].to_numpy(),
            "case_id": chosen["case_id"].to_numpy(),
            "person_id": or_null(base.person_id[base.persons.legal_rep[firm]], rng.random(n) < 0.3),
            "enforcement_type": choice(rng, ["enforced", "dishonest", "spending_ban"], [0.6, 0.18, 0.22], n),
            "date": timestamps(days),
            "known_at": timestamps(known),
            "target_cny": target,
            "executed_cny": np.where(is_removed, executed, np.nan),
            "status": or_null(choice(rng, ["2", "3", "4", "5"], [0.1, 0.25, 0.4, 0.25], n), is_removed),
            "removed_date": timestamps(np.where(is_removed, removed, NEVER)),
            "removed_known_at": timestamps(np.where(is_removed, np.maximum(removed + 30, known), NEVER)),
        }
    )
    return _numbered(frame, "enforcement_id", "N", known)


def penalty_frame(base: Base) -> pd.DataFrame:
    """Return the administrative penalties, 0.12 per firm; known a week later."""
    rng, firms = base.stream("admin_penalty"), base.firms
    rate = 0.115 / _MONTHS_SEEN * np.exp(-0.3 * firms.quality + 0.4 * base.down.ramp)
    firm, days = draw_events(rng, rate, firms, base.down.closed)
    n = len(firm)
    severity = rng.choice(3, n, p=[0.7, 0.24, 0.06])
    known = _after_outage("admin_penalty", days + 7)
    frame = pd.DataFrame(
        {
            "ent_id": base.ent_id[firm],
            "date": timestamps(days),
            "known_at": timestamps(known),
            "authority": choice(rng, _PENALISERS, [0.32, 0.26, 0.16, 0.1, 0.1, 0.06], n),
            "amount_cny": np.round(np.exp(rng.normal(8.2, 1.1, n) + 1.2 * severity), 2),
            "severity": np.array(["1", "2", "3"], dtype=object)[severity],
        }
    )
    return _numbered(frame, "penalty_id", "W", known)


def intellectual_property_frame(base: Base) -> pd.DataFrame:
    """Return the granted rights: three firms of four have none, high-tech firms more than the others."""
    rng, firms = base.stream("ip_right"), base.firms
    has_any = rng.random(firms.n) < np.where(firms.is_high_tech, 0.78, 0.17)
    mean = np.exp(1.15 + 0.55 * firms.is_high_tech + 0.12 * firms.quality0 + rng.normal(0, 0.5, firms.n))
    firm, _ = rows_of(np.where(has_any, 1 + rng.poisson(mean), 0))
    n = len(firm)
    kind = rng.choice(5, n, p=[0.16, 0.38, 0.14, 0.18, 0.14])
    lag = np.array([720, 240, 180, 75, 270])[kind] * np.exp(rng.normal(0, 0.25, n))
    earliest = np.maximum(firms.established[firm], day("2012-01-01"))
    applied = earliest + (rng.beta(1.6, 1.0, n) * (AS_OF_DAY - 30 - earliest)).astype(np.int64)
    granted = applied + np.round(lag).astype(np.int64)
    keep = (granted < AS_OF_DAY) & (granted < base.down.closed[firm])
    frame = pd.DataFrame(
        {
            "ent_id": base.ent_id[firm],
            "ip_type": np.array(["invention", "utility_model", "design", "software", "trademark"], dtype=object)[kind],
            "apply_date": timestamps(applied),
            "grant_date": timestamps(granted),
        }
    )[keep]
    return _numbered(frame, "ip_id", "Y", granted[keep])


def opinion_frame(base: Base) -> pd.DataFrame:
    """Return what the press and the net wrote of a firm: 0.4 per firm, the mood from -1 to 1; known the same day."""
    rng, firms = base.stream("opinion"), base.firms
    rate = 0.36 / _MONTHS_SEEN * np.exp(0.35 * (firms.size - 6.7)[:, None] - 0.15 * firms.quality + base.down.ramp)
    firm, days = draw_events(rng, rate, firms, base.down.closed)
    n, month = len(firm), month_of(days)
    mood = 0.05 + 0.15 * base.down.quality[firm, month] - 0.25 * base.down.ramp[firm, month] + rng.normal(0, 0.35, n)
    known = _after_outage("opinion", days)
    frame = pd.DataFrame(
        {
            "ent_id": base.ent_id[firm],
            "date": timestamps(days),
            "known_at": timestamps(known),
            "topic": choice(rng, _TOPICS, [0.3, 0.12, 0.14, 0.16, 0.1, 0.12, 0.06], n),
            "sentiment": np.round(np.clip(mood, -1, 1), 3),
        }
    )
    return _numbered(frame, "opinion_id", "O", known)


def blacklist_frame(base: Base, enforcement: pd.DataFrame, compensation: pd.DataFrame) -> pd.DataFrame:
    """Return who is on the list: firms subrogated for and not fully recovered, and those listed as dishonest."""
    rng = base.stream("blacklist")
    own = compensation[rng.random(len(compensation)) < 0.85]
    dishonest = enforcement[enforcement["enforcement_type"] == "dishonest"]
    own_days = day_numbers(own["pay_date"]) + rng.integers(10, 61, len(own))
    public_days = day_numbers(dishonest["known_at"]) + 1
    listed = np.concatenate([own_days, public_days])
    is_own = np.arange(len(listed)) < len(own)
    removed = listed + 180 + np.round(rng.gamma(2.0, 250.0, len(listed))).astype(np.int64)
    is_removed = (rng.random(len(listed)) < 0.35) & (removed < AS_OF_DAY)
    fraud = np.concatenate([own["cause"].isin(["fraud", "misuse"]).to_numpy(), np.zeros(len(dishonest), dtype=bool)])
    frame = pd.DataFrame(
        {
            "ent_id": np.concatenate([own["ent_id"], dishonest["ent_id"]]),
            "source": np.where(is_own, "platform", "court").astype(object),
            "reason": np.select([fraud, is_own], ["fraud", "subrogated"], "dishonest").astype(object),
            "listed_date": timestamps(listed),
            "removed_date": timestamps(np.where(is_removed, removed, NEVER)),
            "removed_known_at": timestamps(np.where(is_removed, removed, NEVER)),
        }
    )[listed < AS_OF_DAY]
    return _numbered(frame, "blacklist_id", "U", listed[listed < AS_OF_DAY])


def source_frame() -> pd.DataFrame:
    """Return per feed and month on how many days it stood still; a month known when it is over."""
    months = np.arange(24, N_MONTHS - 1)
    parts = []
    for source, spans in OUTAGES.items():
        down = np.zeros(len(months), dtype=np.int64)
        for first, last in spans:
            days = np.arange(day(first), day(last) + 1)
            down += np.bincount(month_of(days) - 24, minlength=len(months))[: len(months)]
        parts.append(
            pd.DataFrame(
                {
                    "status_id": np.char.add(f"{source}-", np.arange(len(months)).astype(str)).astype(object),
                    "source": np.full(len(months), source, dtype=object),
                    "month": timestamps(month_end(months)),
                    "outage_days": down,
                    "is_complete": (down == 0).astype(float),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _changed(rng: np.random.Generator, base: Base, kind: Array) -> Array:
    """Return what stood in the register: a masked name, a region, an amount, or a code."""
    n = len(kind)
    named = person_names(rng, n, base.names)
    place = np.array(REGIONS, dtype=object)[rng.integers(0, len(REGIONS), n)]
    capital = (rng.integers(5, 300, n) * 10).astype(str).astype(object)
    scope = np.char.add("S", rng.integers(100, 999, n).astype(str)).astype(object)
    changed: Array = np.select(
        [np.isin(kind, ["legal_rep", "equity"]), kind == "address", kind == "capital"], [named, place, capital], scope
    )
    return changed.astype(object)


def _after_outage(source: str, known: Array) -> Array:
    """Move what would have come while a feed stood still to the day after it ran again."""
    for first, last in OUTAGES[source]:
        known = np.where((known >= day(first)) & (known <= day(last)), day(last) + 1, known)
    return known


def _numbered(frame: pd.DataFrame, key: str, letter: str, known: Array) -> pd.DataFrame:
    """Put a running key first and leave out what is not known by the as-of day."""
    kept = frame[known <= AS_OF_DAY]
    kept.insert(0, key, identifiers(letter, len(kept)))
    return kept
