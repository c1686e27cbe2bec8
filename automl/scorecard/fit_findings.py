"""What is to be known of a fitted card: what was left out, crossed, or holds too few rows."""

from collections.abc import Mapping, Sequence

from automl.scorecard.bins import BinTable
from automl.scorecard.card import Scorecard
from automl.scorecard.classing import Classing
from automl.scorecard.weights import LEAST_ROWS
from core.findings import Finding, Severity
from core.i18n import Message, Named, msg

__all__ = ["contradictions", "crossed", "nothing_left", "thin_bins"]


def contradictions(contradicting: Mapping[str, float]) -> list[Finding]:
    """Tell of characteristics that were left out because their coefficients contradict their evidence."""
    findings = []
    for alias, coefficient in contradicting.items():
        text = msg(
            "left out: beside the others its coefficient ({coefficient}) contradicts its weights of evidence",
            coefficient=f"{coefficient:.3f}",
        )
        findings.append(Finding("sign_contradicts_evidence", Severity.WATCH, text, where=alias))
    return findings


def crossed(card: Scorecard) -> Finding:
    """Tell the reader of the card that it is more than a sum."""
    names = {
        language: separator.join(card.pair_title(pair, language) for pair in card.pairs)
        for language, separator in (("en", "; "), ("zh", "；"))
    }
    text = msg(
        "crossed characteristics, with points of their own beside the points of each: {names}",
        names=Named(names["en"], names),
    )
    return Finding("crossed_characteristics", Severity.INFO, text)


def nothing_left(classing: Classing) -> list[Finding]:
    """Tell of numbers that only a run against the direction of the business would tell apart."""
    findings = []
    for item in classing.bins:
        if classing.direction(item.alias) and item.n_plain == 1:
            text = msg("in the direction of the business its values tell nothing apart: all of them are in one bin")
            findings.append(Finding("nothing_in_direction", Severity.WATCH, text, where=item.alias))
    return findings


def thin_bins(tables: Sequence[BinTable]) -> list[Finding]:
    """Tell of bins of nulls and special codes that have too few rows for points of their own."""
    findings = []
    for table in tables:
        for index in range(table.bins.n_plain, table.bins.n_bins):
            has_own = table.bins.bin_kind(index) != "missing" or table.bins.missing_as is None
            if has_own and 0 < table.n[index] < LEAST_ROWS:
                text = msg(
                    "the bin {bin} has only {n} rows; it gets the points of an average row",
                    bin=_bin_name(table, index), n=int(table.n[index]),
                )  # fmt: skip
                findings.append(Finding("thin_bin", Severity.INFO, text, where=table.bins.alias))
    return findings


def _bin_name(table: BinTable, index: int) -> Message | str:
    return msg("missing") if table.bins.bin_kind(index) == "missing" else table.bins.special(index).code
