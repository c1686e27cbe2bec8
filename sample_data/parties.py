"""Who there is: persons, firms, the shares that bind them and the guarantees they give."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sample_data.decline import Decline
from sample_data.histories import Edges
from sample_data.identities import (
    choice,
    enterprise_names,
    identifiers,
    or_null,
    person_hashes,
    person_names,
    social_credit_codes,
)
from sample_data.latent import REGIONS, SECTORS, Firms
from sample_data.timeline import AS_OF_DAY, NEVER, Array, day, timestamps
from warehouse.standard.catalogue import load

__all__ = ["Persons", "draw_persons", "edge_frame", "enterprise_frame", "person_frame", "shareholder_frame"]

_CLASSES = {
    "C": (1711, 1819, 2231, 2926, 3311, 3429, 3562, 3811),
    "F": (5131, 5165, 5212, 5229),
    "E": (4710, 4852, 5013),
    "H": (6110, 6210),
    "G": (5430, 5810, 5990),
    "I": (6513, 6540, 6550),
    "A": (119, 149, 412),
    "O": (7212, 7499, 8060),
}


@dataclass(frozen=True)
class Persons:
    """Who leads and who controls each firm, as positions in the person table, and the other persons."""

    n: int
    legal_rep: Array
    controller: Array
    others: Array


def draw_persons(rng: np.random.Generator, n_firms: int) -> Persons:
    """Draw 1.6 persons per firm: a legal representative each, another controller for a third, other shareholders."""
    legal_rep = np.arange(n_firms)
    differs = rng.random(n_firms) < 0.35
    controller = np.where(differs, n_firms + np.cumsum(differs) - 1, legal_rep)
    n_leading = n_firms + int(differs.sum())
    n_others = max(n_firms // 4, 1)
    return Persons(n_leading + n_others, legal_rep, controller, np.arange(n_leading, n_leading + n_others))


def person_frame(
    rng: np.random.Generator, persons: Persons, firms: Firms, person_id: Array, language: str = "zh"
) -> pd.DataFrame:
    """Return the table of persons."""
    n = persons.n
    owner = rng.standard_normal(n)
    owner[persons.legal_rep], owner[persons.controller] = firms.owner, firms.owner
    region = rng.integers(0, len(REGIONS), n)
    region[persons.legal_rep] = firms.region
    birth = day("1958-01-01") + (rng.beta(2.2, 2.4, n) * (day("1997-12-31") - day("1958-01-01"))).astype(np.int64)
    houses = rng.poisson(np.exp(np.clip(0.1 + 0.18 * owner, -2, 2)))
    return pd.DataFrame(
        {
            "person_id": person_id,
            "person_name": person_names(rng, n, language),
            "id_hash": person_hashes(rng, n),
            "gender": rng.choice(np.array(["M", "F"], dtype=object), n, p=[0.74, 0.26]),
            "birth_date": timestamps(birth),
            "education": choice(
                rng, ["10", "20", "30", "40", "60", "91", "99"], [0.03, 0.17, 0.24, 0.12, 0.2, 0.2, 0.04], n
            ),
            "marital": choice(rng, ["10", "20", "40", "30", "99"], [0.12, 0.74, 0.09, 0.02, 0.03], n),
            "house_count": np.minimum(houses, 9),
            "hukou_city": np.array(REGIONS, dtype=object)[region],
        }
    )


def enterprise_frame(
    rng: np.random.Generator,
    firms: Firms,
    persons: Persons,
    decline: Decline,
    ent_id: Array,
    person_id: Array,
    language: str = "zh",
) -> pd.DataFrame:
    """Return the table of firms; whether one has closed down is filled in later."""
    n, city = firms.n, np.array(REGIONS, dtype=object)[firms.region]
    capital = np.round(np.exp(5.2 + 0.55 * (firms.size - 6.7) + rng.normal(0, 0.7, n)), -1) + 10
    is_closed = decline.closed < AS_OF_DAY - 7
    srdi = np.where(firms.is_high_tech & (rng.random(n) < 0.25), np.where(rng.random(n) < 0.2, "2", "1"), "0")
    return pd.DataFrame(
        {
            "ent_id": ent_id,
            "uscc": social_credit_codes(rng, n),
            "ent_name": enterprise_names(rng, firms.region, firms.sector, SECTORS, language),
            "est_date": timestamps(firms.established),
            "reg_capital": capital,
            "paid_capital": np.round(capital * np.clip(rng.beta(1.2, 1.0, n), 0.02, 1.0), 1),
            "econ_type": choice(
                rng, ["173", "150", "160", "171", "175", "200"], [0.6, 0.22, 0.04, 0.08, 0.04, 0.02], n
            ),
            "sector": np.array(list(SECTORS), dtype=object)[firms.sector],
            "industry_code": _industry(rng, firms.sector),
            "scale": np.where(firms.is_micro, "5", np.where(firms.size > 9.0, "3", "4")).astype(object),
            "city_code": city,
            "region_code": _counties(rng, firms.region),
            "legal_rep_id": person_id[persons.legal_rep],
            "controller_id": person_id[persons.controller],
            "high_tech": firms.is_high_tech.astype(float),
            "srdi": srdi.astype(object),
            "agri": np.equal(firms.sector, SECTORS.index("A")).astype(float),
            "employees": 1
            + rng.poisson(np.exp(np.clip(2.3 + 0.55 * (firms.size - 6.7) + rng.normal(0, 0.5, n), 0, 6.5))),
            "status": np.where(is_closed, "2", "1").astype(object),
            "status_known_at": timestamps(np.where(is_closed, decline.closed + 7, AS_OF_DAY)),
        }
    )


def shareholder_frame(
    rng: np.random.Generator, persons: Persons, firms: Firms, ent_id: Array, person_id: Array
) -> pd.DataFrame:
    """Return the shares, one to four holders per firm that add up to one; the first holder controls."""
    n_holders = rng.choice(4, firms.n, p=[0.3, 0.4, 0.2, 0.1]) + 1
    firm = np.repeat(np.arange(firms.n), n_holders)
    first = np.cumsum(n_holders) - n_holders
    seq = np.arange(len(firm)) - first[firm] + 1
    weight = rng.gamma(2.0, 1.0, len(firm)) * 0.5**seq
    ratio = np.floor(weight / np.bincount(firm, weights=weight)[firm] * 10_000)
    ratio[first] += 10_000 - np.bincount(firm, weights=ratio)
    others = persons.others[rng.integers(0, len(persons.others), len(firm))]
    is_rep = (seq == 2) & (persons.legal_rep[firm] != persons.controller[firm])
    person = np.select([seq == 1, is_rep], [persons.controller[firm], persons.legal_rep[firm]], others)
    is_firm = (seq > 1) & ~is_rep & (rng.random(len(firm)) < 0.15)
    holder = (firm + rng.integers(1, max(firms.n, 2), len(firm))) % firms.n
    established = firms.established[firm]
    later = established + (rng.random(len(firm)) * (AS_OF_DAY - 30 - established)).astype(np.int64)
    since = np.where(rng.random(len(firm)) < 0.2, later, established)
    frame = pd.DataFrame(
        {
            "ent_id": ent_id[firm],
            "seq": seq,
            "holder_type": np.where(is_firm, "2", "1").astype(object),
            "person_id": or_null(person_id[person], ~is_firm),
            "holder_ent_id": or_null(ent_id[holder], is_firm),
            "ratio": ratio / 10_000,
            "since": timestamps(since),
            "known_at": timestamps(since + 7),
        }
    )
    frame.insert(0, "share_id", identifiers("S", len(frame)))
    return frame


def edge_frame(rng: np.random.Generator, edges: Edges, firms: Firms, ent_id: Array) -> pd.DataFrame:
    """Return the guarantees given to others; a worse class is filled in when it becomes known, for three of five."""
    n = len(edges.start)
    net_assets = 0.42 * np.exp(firms.size[edges.guarantor])
    is_bad = (edges.bad_day <= edges.end) & edges.is_bad_visible
    class_known = edges.bad_day + rng.integers(10, 60, n)
    is_known = is_bad & (class_known <= AS_OF_DAY)
    return pd.DataFrame(
        {
            "edge_id": identifiers("G", n),
            "from_ent": ent_id[edges.guarantor],
            "to_ent": ent_id[edges.debtor],
            "guarantee_type": np.array(["joint", "general", "mutual"], dtype=object)[edges.kind],
            "amount": np.maximum(np.round(edges.equity_share * net_assets), 5.0),
            "equity_share": np.round(edges.equity_share, 4),
            "start_date": timestamps(edges.start),
            "known_at": timestamps(edges.start + rng.integers(10, 46, n)),
            "end_date": timestamps(edges.end),
            "class5": or_null(choice(rng, ["2", "3", "4"], [0.4, 0.4, 0.2], n), is_known),
            "class5_known_at": timestamps(np.where(is_known, class_known, NEVER)),
        }
    )


def _counties(rng: np.random.Generator, region: Array) -> Array:
    """Return a county of each firm's city, of those that GB/T 2260 knows."""
    known = load().code_table("region").entries
    by_city = [[code for code in known if code.startswith(city)] for city in REGIONS]
    first = np.cumsum([0, *map(len, by_city[:-1])])
    n_counties = np.array([len(codes) for codes in by_city])
    drawn = (rng.random(len(region)) * n_counties[region]).astype(np.int64)
    counties: Array = np.array([code for codes in by_city for code in codes], dtype=object)
    found: Array = counties[first[region] + drawn]
    return found


def _industry(rng: np.random.Generator, sector: Array) -> Array:
    codes = np.empty(len(sector), dtype=object)
    for index, letter in enumerate(SECTORS):
        members = np.flatnonzero(sector == index)
        names = [f"{'L' if letter == 'O' else letter}{number:04d}" for number in _CLASSES[letter]]
        codes[members] = np.array(names, dtype=object)[rng.integers(0, len(names), len(members))]
    return codes
