"""A small lending business as CSV files: clients, of whom some default, and their monthly payments."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.flows import importing, projects
from workbench.flows.context import Context
from workbench.flows.spec import ProjectSpec

SPEC: dict[str, Any] = {
    "name": "lending",
    "data": {
        "tables": {
            "clients": {"columns": {"sector": {"type": "category"}, "default_next_month": {"type": "boolean"}}},
            "payments": {"event_time": "paid_on", "columns": {"paid_on": {"type": "date", "role": "event_time"}}},
        },
        "relationships": [
            {"parent": "clients", "parent_column": "client_id", "child": "payments", "child_column": "client_id"}
        ],
    },
    "labels": [
        {
            "name": "default_next_month",
            "root_table": "clients",
            "key_column": "client_id",
            "column": "default_next_month",
            "bad_values": [1],
            "cutoff": {"date": "2024-09-01"},
        }
    ],
    "features": {"windows": ["3m", "all"], "select_top": 10},
}


def lending_project(
    ctx: Context, folder: Path, n_clients: int = 400, *, name: str = "lending",
    tables: dict[str, Any] | None = None, relationships: Sequence[dict[str, str]] = (),
) -> str:  # fmt: skip
    """Make the project, import its tables, return its name; one payment in fifty names a client that is not there.

    `tables` and `relationships` of the data model come besides; their files lie in `folder`.
    """
    rng = np.random.default_rng(7)
    risk = rng.normal(size=n_clients)
    bad = rng.random(n_clients) < 1 / (1 + np.exp(1.2 - 1.5 * risk))
    clients = ["client_id,limit_cny,sector,default_next_month"]
    payments = ["payment_id,client_id,paid_on,amount_cny,days_late"]
    for client in range(n_clients):
        clients.append(f"K{client:05d},{rng.integers(10, 90) * 1000},{'CFG'[client % 3]},{int(bad[client])}")
        for month in range(1, 9):
            late = max(0, int(rng.normal(2 + 6 * risk[client], 4)))
            owner = "K99999" if (8 * client + month) % 50 == 0 else f"K{client:05d}"
            payments.append(f"P{client:05d}{month:02d},{owner},2024-{month:02d}-15,{rng.integers(100, 900)},{late}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "clients.csv").write_text("\n".join(clients) + "\n", "utf-8")
    (folder / "payments.csv").write_text("\n".join(payments) + "\n", "utf-8")
    data = {**SPEC["data"], "tables": {**SPEC["data"]["tables"], **(tables or {})},
            "relationships": [*SPEC["data"]["relationships"], *relationships]}  # fmt: skip
    projects.create(ctx, ProjectSpec.model_validate({**SPEC, "name": name, "data": data}))
    importing.run(ctx, name, folder)
    return name
