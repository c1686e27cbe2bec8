"""A request is one process's at a time; a process that dies lets go of it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import UnavailableError
from serving.claims import Claims

HOLD = """
import asyncio, sys
from pathlib import Path
from serving.claims import Claims

async def hold():
    async with Claims(Path(sys.argv[1])).held([("p", "r1"), ("p", "r2")]):
        print("held", flush=True)
        await asyncio.sleep(60)

asyncio.run(hold())
"""


def test_what_another_process_holds_is_waited_for_until_it_dies(tmp_path: Path) -> None:
    path = tmp_path / "claims"
    claims = Claims(path, wait_seconds=0.2)

    async def take(*names: str) -> None:
        async with claims.held([("p", name) for name in names]):
            pass

    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        asyncio.run(take("r3"))
        with pytest.raises(UnavailableError) as refused:
            asyncio.run(take("r3", "r1"))
        assert refused.value.code == "under_way"
    finally:
        holder.kill()
        holder.communicate()
    asyncio.run(take("r1", "r2", "r3"))
    claims.close()


def test_of_many_those_are_taken_that_no_other_process_holds(tmp_path: Path) -> None:
    claims = Claims(tmp_path / "claims")
    names = [("p", f"r{i}") for i in range(200)]
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "claims")], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            taken = claims.claim_all(names)
        finally:
            holder.kill()
    assert set(names) - set(taken) == {("p", "r1"), ("p", "r2")}
    assert len(set(taken.values())) == 198
    # What was let go is free again, and what a process held that died.
    for place in taken.values():
        claims.unclaim(place)
    assert set(claims.claim_all(names)) == set(names)
    claims.close()
