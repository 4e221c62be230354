"""The rooms keep what they promise: docstrings, weight, size, public names."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from contract_cases import PACKAGE, ROOMS, ROOT

import tokentrail

MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 800
HEAVY = {"duckdb", "boto3", "botocore", "rich", "click", "pyspark"}


def named(path: Path) -> str:
    """A module's name for the report of a test."""
    return str(path.relative_to(PACKAGE))


def loads(module: str) -> set[str]:
    """The heavy packages that are loaded once a module has been imported in a fresh interpreter."""
    script = f"import sys, {module}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for_what_it_may_import_and_what_it_never_does(room: str) -> None:
    """Each room's docstring has these three sentences."""
    said = importlib.import_module(f"tokentrail.{room}").__doc__ or ""

    assert len([line for line in said.splitlines() if line.strip()]) >= 3
    assert "import" in said
    assert "never" in said.lower()


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_says_what_it_is(path: Path) -> None:
    """Each module has a docstring."""
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_can_be_read_in_one_go(path: Path) -> None:
    """No module has more than 800 lines: one that is longer has more than one idea."""
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize(
    "module",
    ["tokentrail", "tokentrail.events.kernel", "tokentrail.policy.history.effects", "tokentrail.lineage.trace",
     "tokentrail.lineage.link", "tokentrail.store.interface", "tokentrail.results", "tokentrail.testing"],
)  # fmt: skip
def test_reasoning_is_light(module: str) -> None:
    """Importing what reasons, or the package itself, loads no engine, cloud or terminal library."""
    assert loads(module) == set()


def test_the_case_opens_no_terminal() -> None:
    """A program that uses the library alone loads nothing for terminals."""
    assert loads("tokentrail.case") <= {"duckdb"}


def test_public_names_are_exact() -> None:
    """`tokentrail.__all__` names what can be had from it, and each name leads to its home."""
    assert set(tokentrail.__all__) == {
        "Case",
        "Credential",
        "Finding",
        "Guard",
        "IngestSummary",
        "Lead",
        "Plan",
        "Status",
        "TimelineEvent",
        "TokenTrailError",
        "Trace",
        "__version__",
    }
    for name in tokentrail.__all__:
        assert getattr(tokentrail, name) is not None


def test_unknown_names_are_refused() -> None:
    """A name that the package does not have is an AttributeError, as Python's own tools expect."""
    with pytest.raises(AttributeError, match="nothing_like_it"):
        tokentrail.nothing_like_it  # noqa: B018


@pytest.mark.parametrize("module", ["tokentrail.testing", "tokentrail.policy.history.effects"])
def test_names_that_are_offered_exist(module: str) -> None:
    """Each name of an `__all__` can be had."""
    found = importlib.import_module(module)

    assert [name for name in found.__all__ if not hasattr(found, name)] == []


def test_the_version_stands_once() -> None:
    """`tokentrail.__version__` is where the metadata of a build takes the version from, and no other place names one."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (itself,) = (
        one for one in tomllib.loads((ROOT / "uv.lock").read_text())["package"] if one["name"] == "tokentrail"
    )

    assert found["project"]["dynamic"] == ["version"] and "version" not in found["project"] | itself
    assert found["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "tokentrail.__version__"}
    assert importlib.metadata.version("tokentrail") == tokentrail.__version__


def test_every_room_is_placed() -> None:
    """The import contract names every room and every module beside them, so that none is beyond it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [one["layers"] for one in contracts if one.get("containers") == ["tokentrail"]]
    placed = {name.strip() for layer in layers for name in layer.split("|")}
    single = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}

    assert placed == set(ROOMS) | single


ORACLE = sorted(
    path for path in (ROOT / "tests" / "oracle").glob("*.py") if not path.stem.startswith("test_")
)


@pytest.mark.parametrize("path", ORACLE, ids=[path.stem for path in ORACLE])
def test_the_oracle_shares_no_code_with_what_it_judges(path: Path) -> None:
    """Of the package, the oracle imports the evidence builder alone."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    imported = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}

    assert {name for name in imported if f"{name}.".startswith("tokentrail.")} <= {
        name for name in imported if f"{name}.".startswith("tokentrail.testing.")
    }
