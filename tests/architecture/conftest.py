"""The product's source, parsed once for all rules about it."""

import ast
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Source:
    """One file of product code."""

    path: Path
    module: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The package on the floors of the house."""
        return self.module.partition(".")[0]

    def at(self, node: ast.AST) -> str:
        """Return where `node` stands, as an editor understands it."""
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def packages() -> list[str]:
    """The product's packages, as the import rules name them."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(configuration["tool"]["importlinter"]["root_packages"])


@pytest.fixture(scope="session")
def sources(packages: list[str]) -> list[Source]:
    """Every Python file of the product."""
    paths = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    return [Source(path, _module(path), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
