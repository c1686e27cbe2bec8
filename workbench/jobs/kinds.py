"""The kinds of jobs: which flow each runs, with which arguments, under which permission.

=============  ==================================================================================  ================
kind           arguments (all have ``project``)                                                    permission
=============  ==================================================================================  ================
``import``     ``source``: folder or file                                                          ``data.import``
``sample``     ``n_enterprises``, ``seed``: fill the project with the synthetic world              ``data.import``
``features``   ``label``                                                                           ``model.train``
``train``      ``budget`` ("120s", "40trials"), ``families``, ``seed``                             ``model.train``
``score``      ``rows``, ``version``, ``as_of``, ``file_format``: writes a file under the project  ``model.score``
``monitor``    ``start``, ``end`` (ISO dates), ``source``, ``version``                             ``monitor.run``
``evidently``  ``period``                                                                          ``monitor.run``
=============  ==================================================================================  ================

A job's `result` is the JSON the flow's `stored` function can be asked for anew, in short: ``{"path": ..., "summary": ...}``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.flows.context import Context

__all__ = ["KINDS", "Kind", "run"]


@dataclass(frozen=True)
class Kind:
    """One kind of job."""

    name: str
    permission: str
    run: Callable[[Context, Mapping[str, Any]], dict[str, Any]]


KINDS: dict[str, Kind] = {}


def run(ctx: Context, kind: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Run one job's flow and return its result as JSON values; raises `NotFoundError` for an unknown kind."""
    raise NotImplementedError
