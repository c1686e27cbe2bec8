"""What primitives, windows, stages and rules of selection are called, and what they mean in a line."""

import re

from workbench.ui.texts import t

__all__ = [
    "group_help",
    "group_word",
    "liveness_word",
    "primitive_word",
    "rule_word",
    "stage_word",
    "window_word",
]

_WINDOW = re.compile(r"([0-9]+)([dmy])")


def window_word(window: str) -> str:
    """Return a window in words: ``"6m"`` is 6 months; ``"all"`` is all of the history, ``""`` no window."""
    if window in ("", "all"):
        return t("whole history") if window else t("no window")
    match = _WINDOW.fullmatch(window)
    if match is None:
        return window
    if match[1] == "1":
        return {"d": t("1 day"), "m": t("1 month"), "y": t("1 year")}[match[2]]
    units = {"d": t("{n} days", n=match[1]), "m": t("{n} months", n=match[1]), "y": t("{n} years", n=match[1])}
    return units[match[2]]


def group_word(group: str) -> str:
    """Return the title of a group of primitives."""
    words = {
        "amount": t("How many and how much"),
        "course": t("Trend and spread"),
        "time": t("Time and gaps"),
        "streak": t("Streaks and shares of rows"),
        "share": t("Shares and concentration"),
        "category": t("Categories"),
        "row": t("Of one row"),
        "more": t("More"),
    }
    return words.get(group, group)


def group_help(group: str) -> str:
    """Return what the primitives of a group tell, in a line or two."""
    words = {
        "amount": t("Counts rows and sums up numbers in each window; first and last follow time."),
        "course": t("Trend is the slope per day; spread and skewness tell how steady the numbers are."),
        "time": t("Days since the first or latest row, and how far apart rows lie."),
        "streak": t("How often a condition or a yes-or-no column holds, and how many rows on end, such as overdue."),
        "share": t("Share of the largest counterparty and Herfindahl index; they need a pair of columns."),
        "category": t("How many different values, the most frequent ones, and how evenly they spread."),
        "row": t(
            "Values of the case and its parents as they are; parts of dates; days to the cutoff; ratios of pairs."
        ),
        "more": t("Primitives of no other group."),
    }
    return words.get(group, "")


def primitive_word(name: str) -> str:
    """Return a primitive in the session's language."""
    words = {
        "count": t("Count"),
        "sum": t("Sum"),
        "mean": t("Mean"),
        "median": t("Median"),
        "min": t("Minimum"),
        "max": t("Maximum"),
        "first": t("First value"),
        "last": t("Latest value"),
        "std": t("Standard deviation"),
        "skew": t("Skewness"),
        "trend": t("Trend"),
        "time_since_last": t("Days since latest"),
        "time_since_first": t("Days since first"),
        "avg_time_between": t("Mean gap"),
        "max_gap": t("Longest gap"),
        "min_gap": t("Shortest gap"),
        "current_streak": t("Current streak"),
        "longest_streak": t("Longest streak"),
        "percent_true": t("Share of rows"),
        "any": t("Ever"),
        "all": t("Always"),
        "largest_share": t("Largest share"),
        "herfindahl": t("Herfindahl index"),
        "num_unique": t("Different values"),
        "mode": t("Most frequent"),
        "second_most_common": t("Second most frequent"),
        "third_most_common": t("Third most frequent"),
        "entropy": t("Entropy"),
        "identity": t("Value itself"),
        "month": t("Month"),
        "quarter": t("Quarter"),
        "weekday": t("Weekday"),
        "day_of_month": t("Day of month"),
        "is_weekend": t("At a weekend"),
        "is_month_end": t("At a month's end"),
        "days_since": t("Days to the cutoff"),
        "days_between": t("Days between two dates"),
        "ratio": t("Ratio of two columns"),
        "contains": t("Words of texts"),
    }
    return words.get(name, name)


def stage_word(stage: str) -> str:
    """Return a stage of the build in the session's language."""
    words = {
        "tables": t("Reading tables"),
        "labels": t("Good and bad"),
        "proposal": t("Proposal"),
        "computing": t("Computing"),
        "selection": t("Selection"),
        "proof": t("Proof"),
    }
    return words.get(stage, stage)


def rule_word(code: str) -> str:
    """Return a rule of selection in the session's language, as what it takes away."""
    words = {
        "by_hand": t("Left out by hand"),
        "unstable": t("Unstable over time"),
        "missing": t("Mostly missing"),
        "constant": t("Constant"),
        "duplicate": t("Same as another"),
        "correlated": t("Runs with a better one"),
        "noise": t("No more than noise"),
        "weak": t("Tells too little"),
        "rank": t("Beyond the number kept"),
    }
    return words.get(code, code or t("Other"))


def liveness_word(liveness: str) -> str:
    """Return where a live score gets a feature from."""
    words = {"self": t("own rows"), "reference": t("reference snapshot"), "network": t("online snapshot")}
    return words.get(liveness, liveness)
