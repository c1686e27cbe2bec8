"""One score on every path: the matrix, the printed table, SQL in three databases, PMML, CSV and JSON."""

import csv
import io
import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from xml.etree import ElementTree as ET

import duckdb
import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automl.calibration import IDENTITY
from automl.scale import ScoreScale
from automl.scorecard.bins import CharacteristicBins, Special
from automl.scorecard.card import Characteristic, Scorecard
from automl.scorecard.model import ScorecardModel, bind
from automl.scorecard.pairs import Pair
from automl.scorecard.pmml import from_pmml, to_pmml
from automl.scorecard.reason_sql import CardReasons
from automl.scorecard.sql import to_sql
from automl.scorecard.tables import (
    from_csv,
    from_json,
    import_scorecard,
    printed_header,
    printed_rows,
    to_csv,
    to_json,
)
from core.errors import ConfigurationError, InputError, IntegrityError
from features.binning import FeatureBins
from features.definitions import FeatureDefinition
from features.plan import FeaturePlan, TableSchema

LEVELS = ("retail", "Retail", "retail ", 'O\'Brien "x"', "back\\slash", "制造业", "a|b", "[c]")
Row = Mapping[str, float | str | None]

numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
units = st.integers(-5_000, 5_000)
labels = st.dictionaries(
    st.sampled_from(["en", "zh"]), st.text(st.characters(codec="utf-8", categories=["L", "P"]), min_size=1)
)


@st.composite
def number_characteristics(draw: st.DrawFn, alias: str) -> Characteristic:
    edges = tuple(sorted(draw(st.sets(numbers, max_size=4))))
    codes = draw(st.lists(numbers, max_size=3, unique=True))
    specials = tuple(Special(f"s{i}", (code,), draw(labels)) for i, code in enumerate(codes))
    bins = CharacteristicBins(FeatureBins(alias, "number", edges=edges), specials, names=draw(labels))
    return Characteristic(bins, tuple(draw(st.lists(units, min_size=bins.n_bins, max_size=bins.n_bins))))


@st.composite
def category_characteristics(draw: st.DrawFn, alias: str) -> Characteristic:
    levels = tuple(draw(st.lists(st.sampled_from((*LEVELS, "two\r\nlines")), min_size=1, unique=True)))
    special = draw(st.sampled_from((*levels, None)))
    specials = (Special("special", (special,)),) if special else ()
    raw = draw(st.lists(st.integers(0, 2), min_size=len(levels) + 1, max_size=len(levels) + 1))
    dense = {value: number for number, value in enumerate(sorted(set(raw)))}
    bins = CharacteristicBins(
        FeatureBins(alias, "category", code_bins=tuple(dense[value] for value in raw)), specials, levels
    )
    return Characteristic(bins, tuple(draw(st.lists(units, min_size=bins.n_bins, max_size=bins.n_bins))))


@st.composite
def groups_of(draw: st.DrawFn, bins: CharacteristicBins) -> tuple[int, ...]:
    """Groups of bins as a matrix has them: runs of neighbours of a number, any of a category, others anywhere."""
    raw = draw(st.lists(st.integers(0, 2), min_size=bins.n_bins, max_size=bins.n_bins))
    if bins.kind == "number":
        raw[: bins.n_plain] = sorted(raw[: bins.n_plain])
    number = {value: place for place, value in enumerate(dict.fromkeys(raw))}
    return tuple(number[value] for value in raw)


@st.composite
def pairs_of(draw: st.DrawFn, first: Characteristic, second: Characteristic) -> Pair:
    rows, columns = draw(groups_of(first.bins)), draw(groups_of(second.bins))
    width = max(columns) + 1
    cells = tuple(tuple(draw(st.lists(units, min_size=width, max_size=width))) for _ in range(max(rows) + 1))
    return Pair(first.alias, second.alias, rows, columns, cells).tidied(first.bins, second.bins)


@st.composite
def cards(draw: st.DrawFn) -> Scorecard:
    items = [draw(number_characteristics("months since")), draw(number_characteristics("x2"))]
    items.append(draw(category_characteristics("行业")))
    scale = ScoreScale(draw(st.floats(0, 1e4)), draw(st.floats(1e-3, 1e3)), draw(st.floats(1, 200)))
    crossed = draw(st.lists(st.sampled_from([(0, 1), (0, 2), (2, 1)]), max_size=3, unique=True))
    pairs = tuple(draw(pairs_of(items[i], items[j])) for i, j in crossed)
    return Scorecard("demo", tuple(items), draw(units), scale, draw(st.integers(0, 6)), pairs=pairs)


def _interesting(card: Scorecard) -> list[Row]:
    """Rows at, just below and just above every edge and code; null; unknown levels; the ends of the line."""
    columns: dict[str, list[float | str | None]] = {}
    for item in card.characteristics:
        if item.bins.kind == "category":
            columns[item.alias] = [None, "never seen", *item.bins.levels]
            continue
        ends = [*item.bins.bins.edges, *(float(value) for special in item.bins.specials for value in special.values)]
        around = [near for end in ends for near in (end, math.nextafter(end, -math.inf), math.nextafter(end, math.inf))]
        columns[item.alias] = [None, 0.0, -1e308, 1e308, *(value for value in around if math.isfinite(value))]
    n = max(map(len, columns.values()))
    return [{alias: values[i % len(values)] for alias, values in columns.items()} for i in range(n)]


def _matrix(card: Scorecard, rows: Sequence[Row]) -> np.ndarray:
    return np.array([[item.bins.code(row[item.alias]) for item in card.characteristics] for row in rows])


def _told(card: Scorecard) -> list[list[str]]:
    return [[item.bins.label(i) for i in range(item.bins.n_plain)] for item in card.characteristics]


def _looked_up(card: Scorecard, rows: Sequence[Row]) -> list[float]:
    return [card.look_up(row) for row in rows]


def crossed_card(decimals: int = 2) -> Scorecard:
    """The demo card with age and trade crossed: three spans of age, no record and null apart; two groups of trades."""
    matrix = Pair(
        "age", "trade", (0, 0, 1, 2, 3, 4), (0, 1, 0, 2, 1),
        ((-311, 40, 7), (0, 25, -3), (150, -90, 1), (12, 0, 0), (0, 5, 901)),
    )  # fmt: skip
    return replace(demo_card(decimals), pairs=(matrix,))


def demo_card(decimals: int = 2) -> Scorecard:
    age = CharacteristicBins(
        FeatureBins("age", "number", edges=(25.0, 0.1 + 40.2, 60.0)),
        (Special("no_record", (-1.0, -9.0), {"en": "no record", "zh": "无记录"}),),
        names={"en": "age", "zh": "年龄"},
    )
    trade = CharacteristicBins(
        FeatureBins("trade", "category", code_bins=(0, 0, 1, 1, 1, 2, 2, 2, 1)),
        (Special("odd", ("[c]",)),), LEVELS, {"en": "trade", "zh": "行业"},
    )  # fmt: skip
    items = (Characteristic(age, (-1205, 0, 1750, 2003, -333, -45)), Characteristic(trade, (500, -7, 12, 3, 999)))
    return Scorecard("demo", items, 51_237, ScoreScale(600.0, 20.0, 20.0), decimals)


def demo_rows() -> list[Row]:
    ages = (None, -9.0, -1.0, 24.999999999999996, 25.0, 40.3, 40.300000000000004, 40.30000000000001, 60.0, 1e308)
    rows = [{"age": age, "trade": LEVELS[i % len(LEVELS)]} for i, age in enumerate(ages)]
    trades = (None, "nobody", "RETAIL", "", *LEVELS)
    return rows + [{"age": float(i), "trade": trade} for i, trade in enumerate(trades)]


@given(cards())
@settings(max_examples=40, deadline=None)
def test_the_table_read_by_hand_and_the_matrix_give_one_number(card: Scorecard) -> None:
    rows = _interesting(card)
    assert card.score(_matrix(card, rows)).tolist() == _looked_up(card, rows)


@given(cards())
@settings(max_examples=40, deadline=None)
def test_a_card_survives_its_own_json_pmml_and_tables(card: Scorecard) -> None:
    rows = _interesting(card)
    expected = _looked_up(card, rows)
    assert Scorecard.from_json(card.to_json()) == card
    for again in (from_csv(to_csv(card)), from_json(to_json(card)), from_pmml(to_pmml(card))):
        assert not again.findings
        assert _looked_up(again.card, rows) == expected
        assert (again.card.scale, again.card.decimals, again.card.base_units) == (
            card.scale, card.decimals, card.base_units,
        )  # fmt: skip
        names = [item.bins.names for item in again.card.characteristics if item.bins.names]
        assert names == [item.bins.names for item in card.characteristics if item.bins.names]
        if _told(again.card) == _told(card):  # PMML tells other levels last, and a bin of no level is not written
            assert again.card.pairs == card.pairs
        specials = [item.bins.specials for item in again.card.characteristics]
        assert specials == [item.bins.specials for item in card.characteristics]


def test_saved_and_loaded_it_is_equal_to_the_last_bit(tmp_path: Path) -> None:
    card = demo_card()
    card.save(tmp_path / "card.json")
    again = Scorecard.load(tmp_path / "card.json")
    assert again == card
    assert again.fingerprint == card.fingerprint
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "card.json").read_bytes()


@pytest.mark.parametrize("change", [{"format": 2}, {"decimals": 9}, {"characteristics": []}, {"base_units": None}])
def test_a_damaged_card_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        Scorecard.from_json({**demo_card().to_json(), **change})


# --- SQL, by running it -------------------------------------------------------------------------------------------


def _check_sql(scores: Sequence[float], card: Scorecard) -> None:
    rows = demo_rows()
    assert list(scores) == _looked_up(card, rows)
    assert list(scores) == card.score(_matrix(card, rows)).tolist()


@pytest.mark.parametrize("decimals", [0, 2, 6])
@pytest.mark.parametrize("made", [demo_card, crossed_card])
def test_duckdb_gives_the_same_number(made: Callable[[int], Scorecard], decimals: int) -> None:
    card = made(decimals)
    with duckdb.connect() as connection:
        connection.execute("create table people (id integer, age double, trade varchar)")
        rows = [(i, row["age"], row["trade"]) for i, row in enumerate(demo_rows())]
        connection.executemany("insert into people values (?, ?, ?)", rows)
        found = connection.execute(to_sql(card, "people", "duckdb", keys=["id"]) + " order by 1").fetchall()
        _check_sql([score for _, score in found], card)
        connection.execute("insert into people values (99, 'nan', 'retail')")
        query = to_sql(card, "main.people", "duckdb", keys=["id"], with_points=True) + " where id = 99"
        named = dict(zip([c[0] for c in connection.execute(query).description], connection.fetchone(), strict=True))
        assert named["score"] == card.look_up({"age": None, "trade": "retail"})
        assert float(named["points_age"]) == card.points(-333)
        assert [float(named[name]) for name in named if "pair" in name] == [card.points(12) for _ in card.pairs]


@given(cards())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_duckdb_agrees_on_any_card(card: Scorecard) -> None:
    rows = _interesting(card)
    with duckdb.connect() as connection:
        connection.execute('create table t (i integer, "months since" double, x2 double, 行业 varchar)')
        connection.executemany("insert into t values (?, ?, ?, ?)", [(i, *row.values()) for i, row in enumerate(rows)])
        found = connection.execute(to_sql(card, "t", "duckdb", keys=["i"]) + " order by 1").fetchall()
    assert [score for _, score in found] == _looked_up(card, rows)


def _reasons_by_hand(card: Scorecard, row: Row, reasons: CardReasons) -> list[tuple[str, str]]:
    """Add whole units of points: the strongest variables first, of equals the earlier; fewer points raise the risk."""
    units = {item.alias: 2 * _units(card, item, row) for item in card.characteristics}
    for pair in card.pairs:  # half of a cell for each of its two
        found = [card.characteristic(alias).bins.look_up(row[alias]) for alias in pair.aliases]
        for alias in pair.aliases:
            units[alias] += pair.units[pair.rows[found[0]]][pair.columns[found[1]]]
    sums = [(sum(units[alias] for alias in group), group) for group in reasons.variables]
    said = []
    for total, group in sorted(sums, key=lambda pair: -abs(pair[0])):
        if total and len(said) < reasons.n:
            leader = (min if total < 0 else max)(group, key=lambda alias: units[alias])
            said.append((reasons.codes[leader], "raises" if total < 0 else "lowers"))
    return said


def _units(card: Scorecard, item: Characteristic, row: Row) -> int:
    alone = Scorecard("one", (item,), 0, card.scale, card.decimals)
    return round(alone.look_up({item.alias: row[item.alias]}) * 10**card.decimals)


def _said(found: Sequence[str | None]) -> list[tuple[str, str]]:
    return [(str(code), str(way)) for code, way in zip(found[::2], found[1::2], strict=True) if code is not None]


CARD_REASONS = CardReasons({"age": "R20", "trade": "R21"}, [["age"], ["trade"]])


@given(cards(), st.sampled_from([[[0], [1], [2]], [[0, 1], [2]], [[2], [1, 0]], [[0, 2, 1]]]), st.integers(1, 4))
@settings(max_examples=12, deadline=None)
def test_sql_gives_the_reasons_that_points_give_by_hand(card: Scorecard, groups: list[list[int]], n: int) -> None:
    reasons = CardReasons(
        dict(zip(card.aliases, ("R04", "R04", "R21"), strict=True)),
        [[card.aliases[i] for i in group] for group in groups],
        n,
    )
    rows = _interesting(card)
    with duckdb.connect() as connection:
        connection.execute('create table t (i integer, "months since" double, x2 double, 行业 varchar)')
        connection.executemany("insert into t values (?, ?, ?, ?)", [(i, *row.values()) for i, row in enumerate(rows)])
        query = to_sql(card, "t", "duckdb", keys=["i"], reasons=reasons) + " order by 1"
        found = connection.execute(query).fetchall()
    assert [line[1] for line in found] == _looked_up(card, rows)
    assert [_said(line[2:]) for line in found] == [_reasons_by_hand(card, row, reasons) for row in rows]


@pytest.mark.postgresql
@pytest.mark.parametrize(("made", "decimals"), [(demo_card, 0), (crossed_card, 6)])
def test_postgresql_gives_the_same_number(postgresql_url: str, made: Callable[[int], Scorecard], decimals: int) -> None:
    card = made(decimals)
    with psycopg.connect(postgresql_url.replace("+psycopg", "")) as connection:
        connection.execute("create table people (id integer, age double precision, trade text)")
        with connection.cursor() as cursor:
            rows = [(i, row["age"], row["trade"]) for i, row in enumerate(demo_rows())]
            cursor.executemany("insert into people values (%s, %s, %s)", rows)
        found = connection.execute(to_sql(card, "people", "postgresql", keys=["id"]) + " order by 1").fetchall()
        _check_sql([score for _, score in found], card)
        said = connection.execute(to_sql(card, "people", "postgresql", keys=["id"], reasons=CARD_REASONS)).fetchall()
        for number, _, *found_reasons in said:
            assert _said(found_reasons) == _reasons_by_hand(card, demo_rows()[number], CARD_REASONS)
        connection.execute("insert into people values (99, 'NaN', 'retail')")
        query = to_sql(card, "public.people", "postgresql") + " where id = 99"
        assert connection.execute(query).fetchall() == [(card.look_up({"age": None, "trade": "retail"}),)]
        connection.execute("create table whole (age integer, trade char(8))")
        connection.execute("insert into whole values (25, 'retail')")
        query = to_sql(card, "whole", "postgresql")
        assert connection.execute(query).fetchall() == [(card.look_up({"age": 25.0, "trade": "retail"}),)]


@pytest.fixture(scope="module")
def mariadb() -> Iterator[list[str]]:
    """A MariaDB server of the tests' own; gives the client's command."""
    server = shutil.which("mariadbd", path=f"{os.defpath}:/usr/sbin")
    client, install = shutil.which("mariadb"), shutil.which("mariadb-install-db")
    if not (server and client and install):
        reason = "no MariaDB server on this machine: install the package mariadb-server"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="wb-mariadb-"))
    user = "mysql" if os.geteuid() == 0 else os.environ.get("USER", "")
    options = [f"--datadir={folder / 'data'}", *([f"--user={user}"] if os.geteuid() == 0 else [])]
    process = None
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, user)
        subprocess.run(
            [install, "--no-defaults", *options, "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        socket = folder / "socket"
        small = ["--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0", "--skip-networking"]
        process = subprocess.Popen(
            [server, "--no-defaults", *options, f"--socket={socket}", f"--pid-file={folder / 'pid'}", *small],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        command = [client, "--no-defaults", f"--socket={socket}", "-uroot", "--default-character-set=utf8mb4"]
        _wait_for(command, process)
        yield command
    finally:
        if process is not None:
            process.terminate()
            process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(command: list[str], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while subprocess.run([*command, "-e", "select 1"], capture_output=True, check=False).returncode:
        assert process.poll() is None, "MariaDB ended"
        assert time.monotonic() < deadline, "MariaDB did not start"
        time.sleep(0.2)


def _mysql_value(value: float | str | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, float):
        return repr(value) if "e" in repr(value) else f"{value!r}e0"
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


@pytest.mark.parametrize(
    ("collation", "made"),
    [("utf8mb4_general_ci", demo_card), ("utf8mb4_bin", demo_card), ("utf8mb4_bin", crossed_card)],
)
def test_mysql_gives_the_same_number(mariadb: list[str], collation: str, made: Callable[[], Scorecard]) -> None:
    """Run on MariaDB, which shares the syntax; collations there take 'a', 'A' and 'a ' for one."""
    card = made()
    values = ", ".join(
        f"({i}, {_mysql_value(row['age'])}, {_mysql_value(row['trade'])})" for i, row in enumerate(demo_rows())
    )
    script = f"""
        create or replace database scorecard character set utf8mb4 collate {collation}; use scorecard;
        create table people (id integer, age double, trade varchar(60));
        insert into people values {values};
        select score + 0 from ({to_sql(card, "scorecard.people", "mysql", keys=["id"])}) s order by id;
    """
    done = subprocess.run([*mariadb, "-N"], input=script, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    _check_sql([float(line) for line in done.stdout.split()], card)
    script = f"use scorecard; {to_sql(card, 'people', 'mysql', keys=['id'], reasons=CARD_REASONS)} order by 1;"
    done = subprocess.run([*mariadb, "-N"], input=script, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    for line, row in zip(done.stdout.splitlines(), demo_rows(), strict=True):
        _, _, *found = (None if cell == "NULL" else cell for cell in line.split("\t"))
        assert _said(found) == _reasons_by_hand(card, row, CARD_REASONS)


def test_columns_may_have_other_names_and_identifiers_cannot_break_out() -> None:
    query = to_sql(demo_card(), 'sch"ema.people', "duckdb", columns={"age": 'a"; drop table x; --'})
    assert '"a""; drop table x; --" IS NULL' in query
    assert 'FROM "sch""ema"."people"' in query
    with pytest.raises(ConfigurationError, match="duckdb, postgresql, mysql"):
        to_sql(demo_card(), "people", "oracle")  # type: ignore[arg-type]


# --- crossed characteristics --------------------------------------------------------------------------------------


def test_a_cell_counts_once_and_is_read_from_the_matrix_by_hand() -> None:
    card, plain = crossed_card(), demo_card()
    for age, trade, units in ((30.0, "retail", -311), (50.0, "Retail", 0), (70.0, "retail ", -90), (None, "a|b", 12),
                              (-1.0, "nobody", 5), (-9.0, None, 901), (24.0, "[c]", 40)):  # fmt: skip
        row = {"age": age, "trade": trade}
        assert card.look_up(row) == pytest.approx(plain.look_up(row) + units / 100, abs=1e-9)


def test_contributions_add_up_and_share_a_cell_evenly() -> None:
    card, plain = crossed_card(), demo_card()
    X = _matrix(card, demo_rows())
    models = [ScorecardModel([one], card.aliases) for one in (card, plain)]
    with_pair, without = (model.contributions(X) for model in models)
    assert with_pair.sum(axis=1) == pytest.approx(models[0].margin(X), abs=1e-9)
    moved = with_pair - without
    assert moved[:, 0] == pytest.approx(moved[:, 1], abs=1e-15)
    assert moved[:, 0] != pytest.approx(0.0)
    both = models[0].interactions(X)
    assert both.sum(axis=2) == pytest.approx(with_pair[:, :-1], abs=1e-12)
    assert 2 * both[:, 0, 1] == pytest.approx(models[0].margin(X) - models[1].margin(X), abs=1e-9)


@given(cards())
@settings(max_examples=25, deadline=None)
def test_the_range_is_that_of_all_rows_there_can_be(card: Scorecard) -> None:
    """Held against every choice of one bin per characteristic."""
    sums = []
    for choice in product(*(range(item.bins.n_bins) for item in card.characteristics)):
        at = dict(zip(card.aliases, choice, strict=True))
        units = [item.units[at[item.alias]] for item in card.characteristics]
        sums.append(sum(units) + sum(int(pair.cells()[at[pair.first], at[pair.second]]) for pair in card.pairs))
    assert card.range() == (card.points(card.base_units + min(sums)), card.points(card.base_units + max(sums)))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda cell: {**cell, "with": "branch"}, "points of their own"),
        (lambda cell: {**cell, "lower": "41"} if cell["lower"] == "60" else cell, "no row or column"),
        (
            lambda cell: {**cell, "with_values": "retail"} if "Retail" in cell["with_values"] else cell,
            "no row or column",
        ),
        (lambda cell: {**cell, "bin": "missing", "lower": ""} if cell["lower"] == "60" else cell, "two rows"),
        (lambda cell: {} if (cell["bin"], cell["with_bin"]) == ("missing", "other") else cell, "lacks 1 cells"),
    ],
)
def test_a_matrix_that_is_not_whole_is_refused(
    change: Callable[[dict[str, str]], dict[str, str]], problem: str
) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(crossed_card()))))
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows([change(row) if row["with"] else row for row in rows])
    with pytest.raises(InputError, match=problem):
        from_csv(out.getvalue())


def test_pmml_cells_out_of_order_are_refused() -> None:
    root = ET.fromstring(to_pmml(crossed_card()))
    matrix = root.findall(f".//{NS}Characteristic")[-1]
    cells = matrix.findall(f"{NS}Attribute")
    for cell in (cells[1], cells[0]):
        matrix.remove(cell)
        matrix.insert(0, cell)
    matrix[0], matrix[1] = matrix[1], matrix[0]
    with pytest.raises(InputError, match="row by row"):
        from_pmml(ET.tostring(root))


def test_a_card_with_pairs_is_not_one_for_readers_that_know_none() -> None:
    assert demo_card().to_json()["format"] == 1
    saved = crossed_card().to_json()
    assert saved["format"] == 2
    for damage in ({"format": 1}, {"pairs": []}, {"pairs": [{**saved["pairs"][0], "second": "income"}]},
                   {"pairs": saved["pairs"] * 2}, {"pairs": [{**saved["pairs"][0], "rows": [0, 0, 1]}]}):  # fmt: skip
        with pytest.raises(IntegrityError):
            Scorecard.from_json({**saved, **damage})


# --- PMML ---------------------------------------------------------------------------------------------------------

NS = "{http://www.dmg.org/PMML-4_4}"


def _pmml_score(text: str, row: Row) -> float:
    """Score a row by walking the document as PMML 4.4 says: the first attribute whose predicate is true."""
    model = ET.fromstring(text).find(f"{NS}Scorecard")
    total = float(model.get("initialScore"))
    for characteristic in model.find(f"{NS}Characteristics"):
        for attribute in characteristic.findall(f"{NS}Attribute"):
            predicate = next(child for child in attribute if child.tag != f"{NS}Extension")
            if _holds(predicate, row):
                total += float(attribute.get("partialScore"))
                break
        else:
            raise AssertionError("no attribute is true")
    return total


def _holds(predicate: ET.Element, row: Row) -> bool:
    tag = predicate.tag.removeprefix(NS)
    if tag == "True":
        return True
    if tag == "CompoundPredicate":
        assert predicate.get("booleanOperator") == "and"
        return all(_holds(child, row) for child in predicate)
    value, operator = row[predicate.get("field")], predicate.get("operator")
    if operator == "isMissing":
        return value is None
    if value is None:
        return False
    if operator == "isNotMissing":
        return True
    if tag == "SimpleSetPredicate":
        array = predicate.find(f"{NS}Array")
        if array.get("type") == "real":
            return value in [float(part) for part in array.text.split()]
        parts = array.text[1:-1].split('" "')
        assert len(parts) == int(array.get("n"))
        return value in [part.replace('\\"', '"').replace("\\\\", "\\") for part in parts]
    limit = float(predicate.get("value"))
    return {"lessThan": value < limit, "greaterOrEqual": value >= limit}[operator]


@pytest.mark.parametrize("card", [demo_card(), crossed_card()], ids=["sum", "crossed"])
def test_pmml_scores_as_the_standard_says(card: Scorecard) -> None:
    text = to_pmml(card)
    for row in demo_rows():
        assert _pmml_score(text, row) == pytest.approx(card.look_up(row), abs=1e-9)


def test_pmml_has_the_parts_that_the_standard_asks_for_in_their_order() -> None:
    root = ET.fromstring(to_pmml(demo_card()))
    assert (root.tag, root.get("version")) == (f"{NS}PMML", "4.4")
    tags = [child.tag.removeprefix(NS) for child in root]
    assert tags == ["Header", "DataDictionary", "TransformationDictionary", "Scorecard"]
    model = root.find(f"{NS}Scorecard")
    order = list(dict.fromkeys(child.tag.removeprefix(NS) for child in model))
    assert order == ["Extension", "MiningSchema", "Output", "Characteristics"]
    assert model.get("functionName") == "regression"
    assert {field.get("name") for field in root.iter(f"{NS}DataField")} == {"age", "trade"}
    for characteristic in model.iter(f"{NS}Characteristic"):
        best = max(float(one.get("partialScore")) for one in characteristic.iter(f"{NS}Attribute"))
        assert float(characteristic.get("baselineScore")) == best
        assert characteristic.get("reasonCode") == characteristic.get("name")
    coded = ET.fromstring(to_pmml(demo_card(), {"age": "R20"})).iter(f"{NS}Characteristic")
    assert [one.get("reasonCode") for one in coded] == ["R20", "trade"]


FOREIGN = """<?xml version="1.0"?>
<PMML version="4.2" xmlns="http://www.dmg.org/PMML-4_2">
<DataDictionary><DataField name="age" optype="continuous" dataType="integer" displayName="Age"/>
<DataField name="job" optype="categorical" dataType="string"/></DataDictionary>
<Scorecard functionName="regression" initialScore="100.5"><MiningSchema/>
<Characteristics>
<Characteristic name="a"><Attribute partialScore="-5"><SimplePredicate field="age" operator="isMissing"/></Attribute>
<Attribute partialScore="10"><SimplePredicate field="age" operator="lessOrEqual" value="29"/></Attribute>
<Attribute partialScore="20"><SimplePredicate field="age" operator="lessThan" value="50"/></Attribute>
<Attribute partialScore="30"><SimplePredicate field="age" operator="greaterOrEqual" value="50"/></Attribute>
</Characteristic>
<Characteristic name="j">
<Attribute partialScore="7"><CompoundPredicate booleanOperator="or">
<SimplePredicate field="job" operator="equal" value="clerk"/>
<SimplePredicate field="job" operator="equal" value="cook"/>
</CompoundPredicate></Attribute>
<Attribute partialScore="1.25"><SimpleSetPredicate field="job" booleanOperator="isIn">
<Array type="string">smith "sea man"</Array></SimpleSetPredicate></Attribute>
<Attribute partialScore="0"><True/></Attribute></Characteristic>
</Characteristics></Scorecard></PMML>"""


@pytest.mark.parametrize(
    ("age", "job", "points"),
    [
        (None, "clerk", 102.5),
        (29.0, "cook", 117.5),
        (29.5, "smith", 121.75),
        (50.0, "sea man", 131.75),
        (1.0, None, 110.5),
    ],
)
def test_somebody_elses_pmml_is_read_as_the_standard_says(age: float, job: str, points: float) -> None:
    imported = from_pmml(FOREIGN, scale=ScoreScale())
    assert imported.card.look_up({"age": age, "job": job}) == points
    assert imported.card.characteristics[0].bins.name("zh") == "Age"


REPLACED = '<MiningField name="age" missingValueReplacement="0"/>'


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("<?xml version=\"1.0\"?>", '<!DOCTYPE x [<!ENTITY a "b">]>', "document type"),
        ("</Scorecard>", "", "no XML"),
        ("<Scorecard", "<TreeModel", "no XML"),
        ("<MiningSchema/>", f"<MiningSchema>{REPLACED}</MiningSchema>", "replaced"),
        ('operator="lessThan" value="50"', 'operator="lessThan" value="20"', "rising order"),
        ('operator="lessThan" value="50"', 'operator="lessThan" value="many"', "no number"),
        ('operator="lessThan" value="50"', 'operator="notEqual" value="50"', "notEqual"),
        ('value="50"/></Attribute>\n</Char', 'value="60"/></Attribute>\n</Char', "gap"),
        ('<Attribute partialScore="0"><True/></Attribute>', '<Attribute><True/></Attribute>', "partial score"),
        ('field="age" operator="isMissing"', 'field="job" operator="isMissing"', "exactly one field"),
        ('DataField name="age"', 'DataField name="other"', "data dictionary"),
        ("cook", "clerk", "two rows"),
        ('partialScore="7"', 'partialScore="NaN"', "no number"),
    ],
)  # fmt: skip
def test_pmml_that_leaves_something_open_is_refused(old: str, new: str, told: str) -> None:
    assert old in FOREIGN
    with pytest.raises(InputError, match=told):
        from_pmml(FOREIGN.replace(old, new, 1), scale=ScoreScale())


def test_a_level_that_xml_cannot_hold_is_refused() -> None:
    bins = CharacteristicBins(FeatureBins("x", "category", code_bins=(0, 1)), levels=("a\x01",))
    with pytest.raises(InputError, match="no XML"):
        to_pmml(Scorecard("demo", (Characteristic(bins, (1, 2, 3)),), 0))


def test_pmml_without_a_scale_asks_for_it() -> None:
    with pytest.raises(InputError, match="base odds"):
        from_pmml(FOREIGN)


# --- points tables ------------------------------------------------------------------------------------------------

TABLE = """characteristic,bin,lower,upper,values,points
,base,,,,500
,base_points,,,,600
,base_odds,,,,50
,pdo,,,,20
年龄,interval,,30,,-10
年龄,interval,30,45.5,,0
年龄,interval,45.5,,,15
年龄,special,,,-1|-9,-3
行业,levels,,,制造业|建筑业,5
行业,levels,,,批发,-8
"""


def test_a_points_table_from_excel_is_read(tmp_path: Path) -> None:
    path = tmp_path / "旧评分卡.csv"
    path.write_bytes(TABLE.encode("gb18030"))
    imported = import_scorecard(path)
    card = imported.card
    assert (card.name, card.scale) == ("旧评分卡", ScoreScale(600.0, 50.0, 20.0))
    assert card.look_up({"年龄": 45.5, "行业": "批发"}) == 500 + 15 - 8
    assert card.look_up({"年龄": -9.0, "行业": "制造业"}) == 500 - 3 + 5
    assert card.look_up({"年龄": None, "行业": "航天"}) == 500 - 10 - 8  # what the table leaves open: the fewest points
    assert [finding.code for finding in imported.findings] == [
        "missing_not_covered", "other_not_covered", "missing_not_covered",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("30,45.5", "31,45.5", "gap or overlap between 30 and 31"),
        ("30,45.5", "29,45.5", "gap or overlap"),
        ("年龄,interval,45.5,,,15\n", "", "infinity"),
        ("30,45.5", "30,30", "empty"),
        ("45.5,,,15", "45.5,,,many", "line 8: 'many' is no number"),
        ("批发", "制造业", "two rows"),
        ("-1|-9", "none", "no number"),
        ("行业,levels,,,批发", "年龄,levels,,,批发", "either intervals or levels"),
        ("年龄,special", "年龄,range", "a bin is one of"),
        (",pdo,,,,20\n", "", "base odds"),
        (",pdo,,,,20", ",pdo,,,,0", "positive"),
        ("points\n", "score\n", "lacks the columns points"),
        (",base,,,,500", ",bias,,,,500", "line 2"),
    ],
)
def test_a_points_table_that_leaves_something_open_is_refused(old: str, new: str, told: str) -> None:
    assert old in TABLE
    with pytest.raises(InputError, match=told):
        from_csv(TABLE.replace(old, new, 1))


def test_only_files_of_known_kind_are_read(tmp_path: Path) -> None:
    for name, content in {"a.pkl": b"x", "b.json": b"{", "c.json": b'{"rows": 3}', "d.csv": b"\xff\xff"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError):
            import_scorecard(tmp_path / name)
    with pytest.raises(InputError):
        import_scorecard(tmp_path / "nothing.csv")


def test_more_than_six_decimals_are_rounded_and_told() -> None:
    imported = from_csv(TABLE.replace(",5\n", ",5.12345678\n", 1))
    assert imported.card.decimals == 6
    assert imported.findings[0].code == "points_rounded"
    assert imported.card.look_up({"年龄": 30.0, "行业": "建筑业"}) == 505.123457


def test_the_printed_table_is_bilingual_and_adds_up() -> None:
    card = demo_card()
    rows = {language: printed_rows(card, language) for language in ("en", "zh")}
    assert (printed_header("en").bin, printed_header("zh").bin) == ("bin", "分箱")
    assert [row.points for row in rows["en"]] == [row.points for row in rows["zh"]]
    assert (rows["en"][0].bin, rows["en"][0].points) == ("", "512.37")
    assert [row.bin for row in rows["en"][1:7]] == [
        "(-∞, 25)", "[25, 40.300000000000004)", "[40.300000000000004, 60)", "[60, ∞)", "missing", "no record",
    ]  # fmt: skip
    assert (rows["zh"][1].characteristic, rows["zh"][5].bin, rows["zh"][6].bin) == ("年龄", "缺失", "无记录")
    assert rows["en"][1].points == "-12.05"


# --- as a model ---------------------------------------------------------------------------------------------------


def _plan(levels: Sequence[str]) -> FeaturePlan:
    definitions = tuple(
        FeatureDefinition.create((), name, "identity", kind=kind)
        for name, kind in (("noise", "number"), ("trade", "category"), ("age", "number"))
    )
    schema = TableSchema({"id": "key", "noise": "number", "trade": "category", "age": "number"})
    return FeaturePlan("loan", "id", definitions, {"loan": schema}, levels={"trade": tuple(levels)})


def test_a_card_bound_to_a_plan_gives_the_same_points_and_their_log_odds() -> None:
    card, levels = demo_card(), (*reversed(LEVELS), "brand new")
    model = bind(card, _plan(levels))
    codes = {level: float(code) for code, level in enumerate(levels)}
    rows = demo_rows()
    X = np.array([
        [0.0, math.nan if row["trade"] is None else codes.get(row["trade"], float(len(levels))),
         math.nan if row["age"] is None else row["age"]]
        for row in rows
    ])  # fmt: skip
    assert model.score(X).tolist() == _looked_up(card, rows)
    odds_of_good = np.exp(-model.margin(X))
    by_definition = 20.0 * 2.0 ** ((np.array(_looked_up(card, rows)) - 600.0) / 20.0)
    np.testing.assert_allclose(odds_of_good, by_definition, rtol=1e-12)
    np.testing.assert_allclose(model.contributions(X).sum(axis=1), model.margin(X), atol=1e-12)


def test_whole_points_come_back_from_the_probability_through_the_scale_of_the_product() -> None:
    card = demo_card(0)
    X = np.array([[np.nan], [-9.0]])
    low = Characteristic(card.characteristics[0].bins, (-12, 0, 17, 20, -3, -1))
    small = Scorecard("small", (low,), 512, card.scale)
    model = ScorecardModel([small], ["age"])
    assert small.scale.points(IDENTITY.apply(model.margin(X))).tolist() == model.score(X).tolist() == [509.0, 511.0]


def test_a_card_that_does_not_fit_the_plan_is_refused() -> None:
    card = demo_card()
    with pytest.raises(InputError, match="does not know the levels"):
        bind(card, _plan(LEVELS[1:]))
    with pytest.raises(InputError, match="no features wage"):
        bind(card, _plan(LEVELS), {"age": "wage"})
    with pytest.raises(InputError, match="reads a number"):
        bind(card, _plan(LEVELS), {"age": "trade", "trade": "age"})
    with pytest.raises(InputError, match="lacks trade"):
        card.look_up({"age": 1.0})
