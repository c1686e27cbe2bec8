import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sample_data.groups import Owned, rows_of, running_before, split_whole, sum_of

COUNTS = st.lists(st.integers(0, 5), min_size=1, max_size=8)


@given(COUNTS)
def test_rows_are_counted_within_their_owner(counts: list[int]) -> None:
    owner, position = rows_of(np.array(counts))
    expected = [(number, at) for number, count in enumerate(counts) for at in range(count)]
    assert list(zip(owner.tolist(), position.tolist(), strict=True)) == expected


@given(COUNTS, st.integers(0, 10**9), st.integers(0, 2**31))
def test_whole_amounts_are_split_without_a_rest(counts: list[int], total: int, seed: int) -> None:
    owner, _ = rows_of(np.array(counts))
    weight = np.random.default_rng(seed).gamma(0.5, 1.0, len(owner)) + 1e-9
    parts = split_whole(np.full(len(counts), total), owner, weight)
    assert (parts >= 0).all()
    whole = sum_of(owner, parts, len(counts))
    assert all(whole[at] == (total if count else 0) for at, count in enumerate(counts))


@given(COUNTS)
def test_what_ran_up_before_a_row_starts_anew_with_each_owner(counts: list[int]) -> None:
    owner, position = rows_of(np.array(counts))
    np.testing.assert_array_equal(running_before(owner, np.ones(len(owner))), position)


@given(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 4), max_size=6))
def test_rows_are_found_by_owner(owners: list[int], asked: list[int]) -> None:
    at, row = Owned.by(np.array(owners, dtype=np.int64), 5).of(np.array(asked, dtype=np.int64))
    expected = [
        (number, place) for number, one in enumerate(asked) for place, owner in enumerate(owners) if owner == one
    ]
    assert list(zip(at.tolist(), row.tolist(), strict=True)) == expected
