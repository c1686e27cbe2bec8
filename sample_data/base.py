"""The drawn world before it is written down: firms, loans and their fates, and the keys that the tables share."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from core.i18n import msg
from core.progress import Progress, SilentProgress
from sample_data import applications, decline, histories, latent, lending, parties
from sample_data.identities import identifiers
from sample_data.timeline import Array, generator

__all__ = ["Base", "NameLanguage", "draw_base", "positions"]

NameLanguage = Literal["zh", "en"]


@dataclass(frozen=True)
class Base:
    """Everything the tables are written from; hidden truth included.

    Parameters
    ----------
    seed : int
        Of the whole world; each part has its own stream.
    names : {"zh", "en"}
        Language of the names of firms, persons, banks and guarantors.
    ent_id, person_id, app_id : array of str
        Keys of firms, persons and applications.
    loan_firm : array of shape (n_contracts,)
        The firm of each contract.
    """

    seed: int
    names: NameLanguage
    firms: latent.Firms
    edges: histories.Edges
    past: histories.Histories
    persons: parties.Persons
    facts: applications.Rounds
    loans: lending.Loans
    loan_firm: Array
    down: decline.Decline
    ent_id: Array
    person_id: Array
    app_id: Array

    def firm_of(self, ent_id: "pd.Series[str]") -> Array:
        """Return the positions of firms by key."""
        return positions(self.ent_id, ent_id)

    def stream(self, part: str) -> np.random.Generator:
        """Return the random stream of a part of this world."""
        return generator(self.seed, part)


def positions(keys: Array, asked: "pd.Series[str]") -> Array:
    """Return where in `keys` each of `asked` stands; -1 for a null."""
    found: Array = pd.Index(keys).get_indexer(pd.Index(asked))
    return found


def draw_base(n: int, seed: int, names: NameLanguage = "zh", progress: Progress | None = None) -> Base:
    """Draw `n` firms with their applications, loans and fates."""
    progress = progress or SilentProgress()
    progress.report(0.0, msg("drawing enterprises and the economy"))
    firms = latent.draw_firms(generator(seed, "firms"), n)
    edges = histories.draw_edges(generator(seed, "edges"), firms)
    past = histories.draw_histories(generator(seed, "histories"), firms, edges)
    persons = parties.draw_persons(generator(seed, "leaders"), n)
    progress.report(0.1, msg("drawing applications, decisions and outcomes"))
    facts = applications.simulate(generator(seed, "applications"), firms, edges, past)
    loans = lending.make_loans(generator(seed, "loans"), facts)
    loan_firm = facts["firm"][loans.application]
    return Base(
        seed=seed,
        names=names,
        firms=firms,
        edges=edges,
        past=past,
        persons=persons,
        facts=facts,
        loans=loans,
        loan_firm=loan_firm,
        down=decline.make_decline(generator(seed, "decline"), firms, loans, loan_firm),
        ent_id=identifiers("E", n, width=6),
        person_id=identifiers("P", persons.n, width=6),
        app_id=identifiers("A", len(facts["firm"])),
    )
