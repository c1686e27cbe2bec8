"""Running a command and watching the memory of all its processes, and how much a folder grows meanwhile."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Watched", "watch"]

_EVERY_S = 0.05


@dataclass(frozen=True)
class Watched:
    """What a command answered (the JSON of its last line), its time, and the most memory and disk it took."""

    answer: Any
    seconds: float
    peak_mb: float
    peak_disk_mb: float


def watch(arguments: list[str], folder: Path) -> Watched:
    """Run Python with `arguments`; peaks are sampled 20 times a second.

    Parameters
    ----------
    arguments : list of str
        Of the interpreter.
    folder : path
        Whose files are counted: temporary ones and what is written as the result.
    """
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    peaks = [0.0, 0.0]
    watcher = threading.Thread(target=_watch, args=(process, folder, peaks))
    watcher.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - begin
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"{arguments} ended with {process.returncode}")
    return Watched(json.loads(output.splitlines()[-1]), seconds, peaks[0] / 1e6, peaks[1] / 1e6)


def _watch(process: "subprocess.Popen[str]", folder: Path, peaks: list[float]) -> None:
    while process.poll() is None:
        peaks[0] = max(peaks[0], sum(_resident_bytes(pid) for pid in _tree(process.pid)))
        peaks[1] = max(peaks[1], _disk_bytes(folder))
        time.sleep(_EVERY_S)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        except OSError:
            continue
        found += [int(child) for child in children]
    return found


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _disk_bytes(folder: Path) -> int:
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                total += (Path(place) / name).stat().st_blocks * 512
            except OSError:  # gone meanwhile
                continue
    return total
