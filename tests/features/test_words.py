"""Words of texts as features: what counts as one, who decides, and the same answer in every path."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigurationError
from features.definitions import FeatureDefinition, PathStep
from features.engine import EngineData, compute
from features.leakage import prove_no_leakage
from features.matrix import build_matrix
from features.plan import FeaturePlan
from features.planning import make_plan
from features.preparation import entity_rows
from features.proposal import propose
from features.spec import FeatureSpec
from features.words import frequent_words, holds_word, is_text, plain_text, words_of
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec
from warehouse.table_set import TableSet

N = 400
UP = PathStep("up", "firm", "firm_id", "firm_id")


@pytest.fixture(scope="module")
def world() -> TableSet:
    """Return cases of a lender with a name in English, of firms with a Chinese name, an owner and a code."""
    rng = np.random.default_rng(5)
    kinds, places = ["Bank", "Credit Union", "Trust Co", "Savings"], ["成都市", "绵阳市", "乐山市"]
    trades = ["建筑工程", "食品贸易", "物流运输"]
    firms = pd.DataFrame(
        {
            "firm_id": [f"f{i}" for i in range(200)],
            "firm": [f"{places[i % 3]}{chr(0x5B89 + i % 40)}{chr(0x5E73 + i // 40)}{trades[i % 2]}有限公司"
                     for i in range(200)],
            "person_name": [f"王小{chr(0x4E00 + i)} 经理 先生" for i in range(200)],
            "code": [f"A{i:03d}" for i in range(200)],
        }
    )  # fmt: skip
    cases = pd.DataFrame(
        {
            "case_id": [f"c{i}" for i in range(N)],
            "firm_id": [f"f{i}" for i in rng.integers(0, 200, N)],
            "asked_on": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(N), unit="D"),
            "lender": [f"{chr(65 + i % 26)}{i % 7}x First {kinds[i % 4]}" if i % 9 else None for i in range(N)],
            "amount": rng.normal(size=N),
        }
    )
    # Only the last cases, which are not trained on, hear of this one.
    cases.loc[N - 60 :, "lender"] = [f"{chr(65 + i % 26)}{i % 7}x Latecomer Bank" for i in range(60)]
    text, category = ColumnSpec(type="text"), ColumnSpec(type="category", label={"en": "Lender", "zh": "放款机构"})
    key, link = ColumnSpec(type="id", role="key"), ColumnSpec(type="id", role="foreign_key")
    tables = {
        "firm": TableSpec(
            columns={"firm_id": key, "firm": text, "person_name": text, "code": ColumnSpec(type="category")},
            primary_key=["firm_id"],
        ),
        "case": TableSpec(
            columns={"case_id": key, "firm_id": link, "asked_on": ColumnSpec(type="date"), "lender": category,
                     "amount": ColumnSpec(type="number")},
            primary_key=["case_id"],
        ),
    }  # fmt: skip
    links = [Relationship(parent="firm", parent_column="firm_id", child="case", child_column="firm_id")]
    return TableSet.from_frames({"firm": firms, "case": cases}, DataModel(tables=tables, relationships=links))


def rows(world: TableSet, n: int = N) -> dict[str, np.ndarray]:
    frame = world.frame("case")
    return {"keys": frame["case_id"].to_numpy(dtype=object)[:n], "cutoffs": frame["asked_on"].to_numpy()[:n]}


@pytest.fixture(scope="module")
def found(world: TableSet) -> list[FeatureDefinition]:
    return [item for item in propose(world, "case", FeatureSpec(), **rows(world, N - 60)) if item.word is not None]


@pytest.fixture(scope="module")
def plan(world: TableSet, found: list[FeatureDefinition]) -> FeaturePlan:
    return make_plan(world, "case", "case_id", found, **rows(world, N - 60))


def test_words_are_those_that_training_rows_often_see(found: list[FeatureDefinition]) -> None:
    words = {(item.column, item.word) for item in found}
    assert {("lender", "credit union"), ("lender", "savings"), ("firm", "建筑"), ("firm", "成都")} <= words
    assert not any("latecomer" in str(item.word) for item in found)
    assert not {("lender", "union"), ("firm", "建筑工程"), ("firm", "有限公司")} & words  # the same texts; in all rows


def test_codes_and_names_of_persons_give_no_words(found: list[FeatureDefinition]) -> None:
    assert {item.column for item in found} == {"lender", "firm"}


@pytest.mark.parametrize("settings", [{"words": 0}, {"primitives": ["identity"]}, {"ignore": {"case": ["lender"]}}])
def test_words_can_be_left_out(world: TableSet, settings: dict[str, object]) -> None:
    left = propose(world, "case", FeatureSpec(**settings), **rows(world, N - 60))
    assert not any(item.word and item.column == "lender" for item in left)


def test_no_more_words_than_asked_for(world: TableSet) -> None:
    few = propose(world, "case", FeatureSpec(words=2), **rows(world))
    assert sum(item.column == "lender" and item.word is not None for item in few) == 2


def test_values_are_what_the_texts_say(world: TableSet, plan: FeaturePlan) -> None:
    values = build_matrix(world, plan, **rows(world)).values
    texts = {"lender": world.frame("case")["lender"]}
    firms = world.frame("firm").set_index("firm_id")["firm"]
    texts["firm"] = world.frame("case")["firm_id"].map(firms)
    for item, column in zip(plan.definitions, values.T, strict=True):
        held = texts[item.column].str.lower().str.contains(item.word, regex=False)  # no word here is part of another
        assert np.array_equal(column, held.astype("float64").to_numpy(na_value=np.nan), equal_nan=True)


def test_live_gives_the_bits_of_the_batch_and_reads_names_never_seen(world: TableSet, plan: FeaturePlan) -> None:
    batch = build_matrix(world, plan, **rows(world)).values
    asked = rows(world)
    for row in (0, 3, N - 1):
        key, cutoff = asked["keys"][row : row + 1], asked["cutoffs"][row : row + 1]
        tables = entity_rows(world, plan, key[0])
        assert compute(plan, EngineData.from_rows(plan, tables), key, cutoff).tobytes() == batch[[row]].tobytes()
    tables["case"][0]["lender"] = "NEVER-SEEN credit ｕｎｉｏｎ"
    answered = compute(plan, EngineData.from_rows(plan, tables), key, cutoff)[0]
    union = next(i for i, item in enumerate(plan.definitions) if item.word == "credit union")
    assert answered[union] == 1.0


def test_a_plan_with_words_is_kept_as_json(plan: FeaturePlan) -> None:
    assert FeaturePlan.from_json(plan.to_json()) == plan


def test_the_leakage_proof_reads_words(world: TableSet, plan: FeaturePlan) -> None:
    assert prove_no_leakage(world, plan, **rows(world), seed=1).is_clean


def test_names_are_readable_in_both_languages(found: list[FeatureDefinition]) -> None:
    union = next(item for item in found if item.word == "credit union")
    assert (union.name("en"), union.name("zh")) == ("Lender contains “credit union”", "放款机构含“credit union”")


def test_a_word_belongs_to_contains_and_to_nothing_else(world: TableSet) -> None:
    for primitive, word in (("contains", None), ("identity", "union"), ("contains", "Union"), ("contains", " ")):
        with pytest.raises(ConfigurationError, match="looks for a word"):
            FeatureDefinition.create((), "lender", primitive, word=word)
    sought = FeatureDefinition.create((UP,), "firm", "contains", word="成都")
    taken = FeatureDefinition.create((UP,), "firm", "identity", kind="category")
    assert make_plan(world, "case", "case_id", [sought]).tables["firm"].columns["firm"] == "category"
    for definitions in ([taken], [sought, taken]):
        with pytest.raises(ConfigurationError, match="key or a text"):
            make_plan(world, "case", "case_id", definitions)
    with pytest.raises(ConfigurationError, match="cannot be made of"):
        make_plan(world, "case", "case_id", [FeatureDefinition.create((), "amount", "contains", word="x1")])


@given(st.text(max_size=40))
def test_a_text_holds_each_of_its_words(text: str) -> None:
    plain = plain_text(text)
    assert plain_text(plain) == plain
    for word in words_of(plain):
        assert holds_word((text,), word).tolist() == [1.0]


def test_frequent_words_split_the_rows_best_first() -> None:
    levels = [f"{'red' if i % 2 else 'blue'} {'big' if i % 5 else 'small'} thing" for i in range(60)]
    levels = [f"{level} {i}" for i, level in enumerate(levels)]
    counts = np.full(60, 10)
    assert frequent_words(levels, counts, 3) == ["blue", "red", "big"]
    assert is_text(levels)
    assert not is_text(levels[:20])
