"""Coarse classing by hand: what each edit does to bins and figures, what is refused, and what is recorded."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.metrics import auc
from automl.scorecard.bins import BinTable, CharacteristicBins, Special, count_bins
from automl.scorecard.classing import Classing, ClassingData, woe_shape
from automl.scorecard.fitting import fit_card
from automl.scorecard.reshaping import pool_violators
from automl.scorecard.spec import ScorecardSpec
from core.audit import AuditTrail
from core.database import Database
from core.errors import InputError
from features.binning import FeatureBins, information_value

LEVELS = ("a", "b", "c")


def _data(n: int = 900, seed: int = 4) -> ClassingData:
    rng = np.random.default_rng(seed)
    x, sector = rng.integers(0, 10, n).astype(float), rng.integers(0, 4, n).astype(float)
    y = (rng.random(n) < 0.1 + 0.04 * x + 0.1 * (sector == 1)).astype(float)
    x[rng.random(n) < 0.1] = np.nan
    x[rng.random(n) < 0.1] = -1.0
    return ClassingData(np.column_stack([x, sector]), y, ("x", "sector"))


def _classing() -> Classing:
    number = CharacteristicBins(
        FeatureBins("x", "number", edges=(2.0, 4.0, 6.0, 8.0)), (Special("no_record", (-1.0,)),), names={"en": "x"}
    )
    category = CharacteristicBins(FeatureBins("sector", "category", code_bins=(0, 1, 2, 2)), levels=LEVELS)
    return Classing((number, category))


def test_merging_neighbours_takes_the_boundary_between_them_away() -> None:
    data, before = _data(), _classing()
    after = before.merge("x", [1, 2], data, by="li")
    assert after.of("x").bins.edges == (2.0, 6.0, 8.0)
    assert before.of("x").bins.edges == (2.0, 4.0, 6.0, 8.0)  # nothing frozen was changed
    old, new = data.table(before.of("x")), data.table(after.of("x"))
    assert new.good == (old.good[0], old.good[1] + old.good[2], *old.good[3:])
    assert new.n[-2:].tolist() == [np.isnan(data.column("x")).sum(), (data.column("x") == -1).sum()]


def test_merging_levels_and_splitting_them_again() -> None:
    data, before = _data(), _classing()
    merged = before.merge("sector", [0, 2], data, by="li")
    assert merged.of("sector").bins.code_bins == (0, 1, 0, 0)
    split = merged.split("sector", 0, ["a"], data, by="li")
    assert split.of("sector").members(0) == ("c",)
    assert split.of("sector").holds_others(0)
    assert split.of("sector").members(1) == ("a",)
    assert split.edits[-1].effect.information_value[1] == pytest.approx(merged.edits[-1].effect.information_value[0])


def test_splitting_and_moving_a_boundary() -> None:
    data, before = _data(), _classing()
    assert before.split("x", 4, 9, data, by="li").of("x").bins.edges == (2.0, 4.0, 6.0, 8.0, 9.0)
    moved = before.move("x", 1, 5.0, data, by="li")
    assert moved.of("x").bins.edges == (2.0, 5.0, 6.0, 8.0)
    assert moved.edits[-1].details == {"boundary": 1, "from": 4.0, "to": 5.0}


@pytest.mark.parametrize("to", [2.5, 3.5, 4.5, 5.5])
def test_null_counts_with_the_same_bin_after_one_of_its_ends_has_moved(to: float) -> None:
    data, before = _data(), _classing().set_missing("x", 2, _data(), by="li")
    for boundary in (1, 2):
        low, high = before.of("x").interval(boundary)[0], before.of("x").interval(boundary + 1)[1]
        if low < to < high:
            assert before.move("x", boundary, to, data, by="li").of("x").missing_as == 2


def test_the_effect_is_what_the_figures_say() -> None:
    data, before = _data(), _classing()
    after = before.merge("x", [0, 1, 2, 3, 4], data, by="li")
    effect = after.edits[-1].effect
    tables = [data.table(classing.of("x")) for classing in (before, after)]
    assert effect.information_value == tuple(information_value(np.array(t.good), np.array(t.bad)) for t in tables)
    for table, area, woe in zip(tables, effect.auc, effect.woe, strict=True):
        assert woe == tuple(table.woe)
        assert area == pytest.approx(auc(data.y, -table.woe[table.bins.assign(data.column("x"))]))
    assert effect.shape == ("falling", "flat")
    assert effect.card_auc[1] < effect.card_auc[0]
    spec = ScorecardSpec(decimals=6, min_information_value=0)
    fitted = fit_card(before, data, spec, only=("x", "sector"))
    assert auc(data.y, -fitted.card.score(data.values)) == pytest.approx(effect.card_auc[0], abs=1e-6)


def test_a_direction_merges_what_contradicts_it_and_nothing_else() -> None:
    bins = CharacteristicBins(FeatureBins("x", "number", edges=(1.0, 2.0, 3.0, 4.0)))
    table = BinTable(bins, (90, 60, 80, 0, 50, 5), (10, 40, 20, 0, 50, 5))
    assert pool_violators(table, "rising").bins.edges == (1.0, 4.0)  # 10 %, 30 % (40 and 20 and none), 50 %
    assert pool_violators(table, "falling").bins.edges == ()
    data, before = _data(), _classing()
    after = before.set_direction("x", "rising", data, by="li")
    assert after.direction("x") == "rising"
    rates = data.table(after.of("x")).bad_rate[: after.of("x").n_plain]
    assert (np.diff(rates) >= 0).all()
    assert after.set_direction("x", None, data, by="li").direction("x") is None


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=9), st.booleans())
@settings(max_examples=80, deadline=None)
def test_pooling_gives_the_rates_that_isotonic_regression_gives(counts: list[tuple[int, int]], rising: bool) -> None:
    from sklearn.isotonic import IsotonicRegression

    bins = CharacteristicBins(FeatureBins("x", "number", edges=tuple(map(float, range(1, len(counts))))))
    table = BinTable(bins, (*(good for good, _ in counts), 0), (*(bad for _, bad in counts), 0))
    held = [i for i in range(len(counts)) if table.n[i]]
    if not held:
        return
    pooled = pool_violators(table, "rising" if rising else "falling")
    x = np.array(held) + 0.5
    values, y = (
        np.repeat(x, table.n[held]),
        np.concatenate([[1.0] * table.bad[i] + [0.0] * table.good[i] for i in held]),
    )
    ours = count_bins(pooled, values, y).bad_rate[pooled.assign(x)]
    fitted = IsotonicRegression(increasing=rising).fit(x, table.bad_rate[held], sample_weight=table.n[held])
    np.testing.assert_allclose(ours, fitted.predict(x), atol=1e-9)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda c, d: c.merge("x", [1], d, by="li"), "two or more"),
        (lambda c, d: c.merge("x", [0, 2], d, by="li"), "neighbouring"),
        (lambda c, d: c.merge("x", [4, 5], d, by="li"), "stay apart"),
        (lambda c, d: c.merge("x", [4, 6], d, by="li"), "stay apart"),
        (lambda c, d: c.merge("y", [0, 1], d, by="li"), "no characteristic y"),
        (lambda c, d: c.split("x", 1, 4.0, d, by="li"), "between 2 and 4"),
        (lambda c, d: c.split("x", 1, float("nan"), d, by="li"), "between 2 and 4"),
        (lambda c, d: c.split("x", 5, 4.0, d, by="li"), "no plain bin 5"),
        (lambda c, d: c.split("sector", 0, ["a"], d, by="li"), "some, not all"),
        (lambda c, d: c.split("sector", 2, ["b"], d, by="li"), "some, not all"),
        (lambda c, d: c.move("x", 0, 4.0, d, by="li"), "between its neighbours"),
        (lambda c, d: c.move("x", 4, 9.0, d, by="li"), "no boundary 4"),
        (lambda c, d: c.move("sector", 0, 1.0, d, by="li"), "no boundary"),
        (lambda c, d: c.set_direction("sector", "rising", d, by="li"), "only a number"),
        (lambda c, d: c.set_direction("x", "up", d, by="li"), "rising, falling or none"),
        (lambda c, d: c.undo(d, by="li"), "no edit"),
    ],
)
def test_an_edit_without_sense_is_refused(edit: Callable[[Classing, ClassingData], Classing], told: str) -> None:
    with pytest.raises(InputError, match=told):
        edit(_classing(), _data())


def test_who_when_what_and_why_are_recorded_for_the_audit_trail(sqlite_database: Database) -> None:
    data = _data()
    at = datetime(2026, 11, 23, 16, 0, tzinfo=timezone(timedelta(hours=8)))
    after = _classing().merge("x", [0, 1], data, by="li", at=at, note="few rows")
    after = after.set_direction("x", "rising", data, by="wang")
    first = after.edits[0]
    assert (first.by, first.at, first.note) == ("li", datetime(2026, 11, 23, 8, 0, tzinfo=UTC), "few rows")
    assert (first.before.bins.edges, first.after.bins.edges) == ((2.0, 4.0, 6.0, 8.0), (4.0, 6.0, 8.0))
    assert after.edits[1].directions == (None, "rising")
    trail = AuditTrail(sqlite_database)
    for edit in after.edits:
        trail.append(edit.by, edit.audit_action, f"scorecard:{edit.alias}", edit.to_json())
    written = trail.records()
    assert {record.action for record in written} == {"scorecard.merge", "scorecard.direction"}
    assert not trail.verify()


def test_undo_restores_bins_and_direction_and_stays_on_record() -> None:
    data, before = _data(), _classing()
    changed = before.set_direction("x", "rising", data, by="li")
    back = changed.undo(data, by="li")
    assert (back.bins, back.direction("x")) == (before.bins, None)
    assert [edit.action for edit in back.edits] == ["direction", "undo"]
    again = back.undo(data, by="li")
    assert (again.bins, again.direction("x")) == (changed.bins, "rising")


edits = st.one_of(
    st.tuples(st.just("merge"), st.integers(0, 4)),
    st.tuples(st.just("split"), st.floats(-3, 12)),
    st.tuples(st.just("move"), st.floats(-3, 12)),
    st.tuples(st.just("direction"), st.sampled_from(["rising", "falling", None])),
    st.tuples(st.just("undo"), st.none()),
)


@given(st.lists(edits, max_size=6))
@settings(max_examples=25, deadline=None)
def test_any_chain_of_edits_keeps_every_row_and_reads_back_the_same(chain: list[tuple[str, object]]) -> None:
    data, classing = _data(200), _classing()
    for action, value in chain:
        try:
            classing = _apply(classing, data, action, value)
        except InputError:
            continue
    table = data.table(classing.of("x"))
    assert table.n.sum() == len(data.y)
    assert table.n[-2:].tolist() == [np.isnan(data.column("x")).sum(), (data.column("x") == -1).sum()]
    assert list(classing.of("x").bins.edges) == sorted(set(classing.of("x").bins.edges))
    assert Classing.from_json(json.loads(json.dumps(classing.to_json()))) == classing
    for earlier, later in zip(classing.edits, classing.edits[1:], strict=False):
        assert later.before == earlier.after
    if classing.edits:
        assert classing.edits[-1].after == classing.of("x")


def _apply(classing: Classing, data: ClassingData, action: str, value: object) -> Classing:
    bins = classing.of("x").bins
    if action == "merge":
        return classing.merge("x", [value, value + 1], data, by="li")
    if action == "split":
        return classing.split("x", int(np.searchsorted(bins.edges, value, side="right")), value, data, by="li")
    if action == "move":
        return classing.move("x", 0, value, data, by="li")
    if action == "direction":
        return classing.set_direction("x", value, data, by="li")
    return classing.undo(data, by="li")


@pytest.mark.parametrize(
    ("bad", "shape"),
    [
        ((10, 10, 10), "flat"), ((30, 20, 10), "rising"), ((10, 20, 30), "falling"), ((20, 10, 20), "peak"),
        ((10, 20, 10), "valley"), ((10, 20, 10, 20), "mixed"),
    ],
)  # fmt: skip
def test_the_shape_of_the_evidence_has_a_name(bad: tuple[int, ...], shape: str) -> None:
    bins = CharacteristicBins(FeatureBins("x", "number", edges=tuple(map(float, range(1, len(bad))))))
    good = tuple(100 - n for n in bad)
    assert woe_shape(BinTable(bins, (*good, 0), (*bad, 0))) == shape


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="shape"):
        ClassingData(np.zeros((3, 2)), np.array([0.0, 1.0]), ("x", "y"))
    with pytest.raises(InputError, match="0 and 1"):
        ClassingData(np.zeros((2, 1)), np.array([0.0, np.nan]), ("x",))
    with pytest.raises(InputError, match="no column y"):
        _data().column("y")


def test_null_counts_with_the_bin_it_is_put_to() -> None:
    data, before = _data(), _classing()
    after = before.set_missing("x", 2, data, by="li", note="no record is like a middling one")
    old, new = data.table(before.of("x")), data.table(after.of("x"))
    assert (new.good, new.bad) == (old.good, old.bad)  # what is seen is still shown apart
    together = [np.delete(np.array(counts), 5) for counts in (old.good, old.bad)]
    for counts, seen in zip(together, (old.good, old.bad), strict=True):
        counts[2] += seen[5]
    assert new.information_value == pytest.approx(information_value(*together))
    assert new.woe[5] == new.woe[2] == pytest.approx(np.log(
        together[0][2] / together[0].sum() / (together[1][2] / together[1].sum())
    ))  # fmt: skip
    card = fit_card(after, data, ScorecardSpec(min_information_value=0.0)).card
    units = card.characteristic("x").units
    assert units[5] == units[2]
    assert (
        units[5] != fit_card(before, data, ScorecardSpec(min_information_value=0.0)).card.characteristic("x").units[5]
    )


def test_null_stays_with_its_bin_through_other_edits() -> None:
    data = _data()
    number = _classing().set_missing("x", 3, data, by="li")
    assert number.merge("x", [0, 1], data, by="li").of("x").missing_as == 2
    assert number.merge("x", [3, 4], data, by="li").of("x").missing_as == 3
    assert number.split("x", 0, 1.0, data, by="li").of("x").missing_as == 4
    level = _classing().set_missing("sector", 1, data, by="li")
    assert level.merge("sector", [0, 2], data, by="li").of("sector").members(1) == ("b",)
    assert level.merge("sector", [0, 2], data, by="li").of("sector").missing_as == 1
    assert number.set_missing("x", None, data, by="li").of("x").missing_as is None
    again = Classing.from_json(json.loads(json.dumps(number.to_json())))
    assert again == number
    with pytest.raises(InputError, match="no plain bin 9"):
        number.set_missing("x", 9, data, by="li")


def test_special_codes_are_set_by_their_meaning() -> None:
    data, before = _data(), _classing()
    meanings = [Special("none", (-1.0,), {"en": "no record"}), Special("zero", (0.0,), {"en": "never borrowed"})]
    after = before.set_specials("x", meanings, data, by="li")
    table = data.table(after.of("x"))
    x = data.column("x")
    assert table.n[-3:].tolist() == [np.isnan(x).sum(), (x == -1).sum(), (x == 0).sum()]
    assert after.undo(data, by="li").of("x") == before.of("x")
    for wrong in ([meanings[0], meanings[0]], [Special("empty", ())]):
        with pytest.raises(InputError, match="each special code"):
            before.set_specials("x", wrong, data, by="li")
    with pytest.raises(InputError, match="no levels z"):
        before.set_specials("sector", [Special("zed", ("z",))], data, by="li")


def test_the_error_of_a_weight_of_evidence_is_that_of_repeated_samples() -> None:
    """Held against 4,000 samples drawn from the same shares."""
    rng = np.random.default_rng(11)
    bins = CharacteristicBins(FeatureBins("x", "number", (0.0, 1.0)))
    good, bad = np.array([500, 300, 150, 50]), np.array([40, 60, 70, 30])
    table = BinTable(bins, tuple(good.tolist()), tuple(bad.tolist()))
    draws = []
    for _ in range(4_000):
        drawn = [rng.multinomial(counts.sum(), counts / counts.sum()) for counts in (good, bad)]
        draws.append(BinTable(bins, *(tuple(counts.tolist()) for counts in drawn)).woe)
    np.testing.assert_allclose(table.woe_error, np.std(draws, axis=0), rtol=0.06)
