"""Importing ten million rows from CSV, Parquet and PostgreSQL: time, memory, and what plain reading takes.

``python -m benchmarks.importing [--small] [--postgresql URL]`` makes a ledger of six columns, imports it in processes
of their own, beside a plain reader of the same bytes, prints what it measures, then one JSON object as its last line
(``--small``: half a million rows). The database is given by its address, with a password in ``PGPASSWORD`` where it
needs one; a table ``ledger_benchmark`` is made in it and dropped. Without an address its keys are left out.

- ``rows``: how many;
- ``csv_seconds``, ``parquet_seconds``, ``postgresql_seconds``: our import, with types, keys, findings and fingerprint;
- ``csv_cpu_seconds`` and so on: the same in CPU time of our process;
- ``csv_peak_mb`` and so on: most memory of our process;
- ``csv_vs_plain``, ``parquet_vs_plain``: our time over that of ``pandas.read_csv`` and ``pandas.read_parquet``, which
  hold all rows in memory; ``postgresql_vs_plain``: over a bare ``COPY`` of the table to nowhere;
- ``csv_plain_peak_mb`` and so on: the memory of those;
- ``cancel_seconds``: the longest time between two moments at which a cancel is heard, over all of our imports.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

_BLOCK = 500_000
_TABLE = "ledger_benchmark"
_MEASURED = """
import json, os, resource, sys, time
from pathlib import Path
kind, source, staging = sys.argv[1], sys.argv[2], Path(sys.argv[3])

class Listener:
    longest, last = 0.0, None
    def report(self, fraction, message=None):
        now = time.perf_counter()
        self.longest = max(self.longest, now - (self.last or now))
        self.last = now

def ours():
    from core.progress import CallbackProgress
    progress = CallbackProgress(listener.report)
    if kind == "postgresql":
        from warehouse.sql_importing import import_database
        from warehouse.sql_source import DatabaseSource, TableQuery
        chosen = [TableQuery(name="ledger", table="TABLE")]
        variable = "PGPASSWORD" if os.environ.get("PGPASSWORD") else None
        database = DatabaseSource(url=source, password_env=variable, tables=chosen)
        found = import_database(database, staging=staging, progress=progress)
    else:
        from warehouse.importing import import_tables
        found = import_tables(Path(source), staging=staging, progress=progress)
    return found.table_set.n_rows(found.table_set.names[0])

def plain():
    if kind == "postgresql":
        import psycopg
        n = 0
        with psycopg.connect(source) as connection, connection.cursor().copy("copy TABLE to stdout") as copy:
            for block in copy:
                n += bytes(block).count(10)
        return n
    import pandas as pd
    return len(pd.read_csv(source, parse_dates=["booked_on"]) if kind == "csv" else pd.read_parquet(source))

listener, start = Listener(), time.perf_counter()
rows = plain() if sys.argv[4] == "plain" else ours()
seconds, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"rows": rows, "seconds": seconds, "cpu": used.ru_utime + used.ru_stime,
                  "peak_mb": used.ru_maxrss >> 10, "cancel": listener.longest}))
"""


def block(start: int, n_rows: int) -> pa.Table:
    """Return rows `start` onwards of the ledger: a key, a client, a day, an amount, a kind and a reference."""
    number = np.arange(start, start + n_rows)
    reference = (number * 2_654_435_761) % (1 << 40)
    days = np.datetime64("2015-01-01") + (number * 31 % 3_650).astype("timedelta64[D]")
    return pa.table(
        {
            "entry_no": number + 10_000_000,
            "client_id": number * 7_919 % 400_000,
            "booked_on": pa.array(days),
            "amount": number * 31 % 999_983 / 100,
            "kind": np.array(["收", "支", "转", "费"], dtype=object)[number % 4],
            "reference": np.char.add("R", reference.astype(str)).astype(object),
        }
    )


def write_ledger(folder: Path, n_rows: int) -> dict[str, Path]:
    """Write the ledger as CSV and as Parquet, block by block."""
    paths = {"csv": folder / "ledger.csv", "parquet": folder / "ledger.parquet"}
    schema = block(0, 1).schema
    with pa_csv.CSVWriter(paths["csv"], schema) as text, pq.ParquetWriter(paths["parquet"], schema) as binary:
        for start in range(0, n_rows, _BLOCK):
            rows = block(start, min(_BLOCK, n_rows - start))
            text.write_table(rows)
            binary.write_table(rows)
    return paths


def fill(url: str, path: Path) -> None:
    """Put the ledger into a database."""
    import psycopg

    columns = "entry_no bigint primary key, client_id bigint, booked_on date, amount float8, kind text, reference text"
    with psycopg.connect(url) as connection:
        connection.execute(f"drop table if exists {_TABLE}")
        connection.execute(f"create table {_TABLE} ({columns})")
        with connection.cursor().copy(f"copy {_TABLE} from stdin csv header") as copy, path.open("rb") as file:
            while part := file.read(1 << 20):
                copy.write(part)


def drop(url: str) -> None:
    """Take the ledger out of a database again."""
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute(f"drop table {_TABLE}")


def measure(kind: str, source: str, folder: Path, reader: str) -> dict[str, Any]:
    """Return the figures of one import, or of the plain reader, in a fresh process."""
    code = _MEASURED.replace("TABLE", _TABLE)
    command = [sys.executable, "-W", "ignore", "-c", code, kind, source, str(folder / "staging"), reader]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def compare(kind: str, source: str, folder: Path) -> dict[str, Any]:
    """Measure our import and the plain reader of one kind, one after the other, and print them."""
    plain = measure(kind, source, folder, "plain")
    ours = measure(kind, source, folder, "ours")
    if ours["rows"] != plain["rows"]:
        raise RuntimeError(f"{kind}: {ours['rows']} rows imported, {plain['rows']} read")
    print(
        f"{kind:>10}: {ours['rows']:,} rows in {ours['seconds']:.0f} s (CPU {ours['cpu']:.0f} s), at most "
        f"{ours['peak_mb']:,} MB; plain {plain['seconds']:.0f} s (CPU {plain['cpu']:.0f} s), {plain['peak_mb']:,} MB; "
        f"a cancel is heard within {ours['cancel']:.1f} s"
    )
    return {
        f"{kind}_seconds": round(ours["seconds"], 1),
        f"{kind}_cpu_seconds": round(ours["cpu"], 1),
        f"{kind}_peak_mb": ours["peak_mb"],
        f"{kind}_plain_peak_mb": plain["peak_mb"],
        f"{kind}_vs_plain": round(ours["seconds"] / plain["seconds"], 2),
        f"{kind}_cpu_vs_plain": round(ours["cpu"] / plain["cpu"], 2),
        "cancel_seconds": ours["cancel"],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--small", action="store_true", help="half a million rows")
    parser.add_argument("--postgresql", metavar="URL", help="a database to write a table to, without a password")
    options = parser.parse_args()
    n_rows = 500_000 if options.small else 10_000_000
    answer: dict[str, Any] = {"rows": n_rows}
    cancels = []
    with tempfile.TemporaryDirectory(prefix="workbench-benchmark-") as name:
        folder = Path(name)
        paths = write_ledger(folder, n_rows)
        for kind, path in paths.items():
            found = compare(kind, str(path), folder)
            cancels.append(found.pop("cancel_seconds"))
            answer |= found
        if options.postgresql:
            fill(options.postgresql, paths["csv"])
            found = compare("postgresql", options.postgresql, folder)
            cancels.append(found.pop("cancel_seconds"))
            answer |= found
            drop(options.postgresql)
    print(json.dumps({**answer, "cancel_seconds": round(max(cancels), 1)}))


if __name__ == "__main__":
    main()
