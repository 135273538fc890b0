"""The lock is complete: pip has nothing to resolve, today or in a year."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from eventstore.extras import DISTRIBUTION
from tests.install.lock import ROOT, Environment, here, pins, supported

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def wanted() -> list[Requirement]:
    """Return what the project itself requires, with all its extras and groups."""
    extras = [line for lines in PROJECT["project"]["optional-dependencies"].values() for line in lines]
    groups = [line for lines in PROJECT["dependency-groups"].values() for line in lines]
    lines = [*PROJECT["project"]["dependencies"], *extras, *groups]
    found = [Requirement(line) for line in lines]
    return [requirement for requirement in found if requirement.name != DISTRIBUTION]


def required_by(name: NormalizedName, extra: str, environment: Environment) -> Iterator[Requirement]:
    """Yield what a locked package requires with one of its extras, '' for none, where it is installed."""
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate({**environment, "extra": extra}):
            yield requirement


ENVIRONMENTS = {f"{each['python_version']}-{each['sys_platform']}": each for each in supported()}


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_every_requirement_is_pinned_by_a_version_that_meets_it(environment: Environment) -> None:
    own = [each for each in wanted() if each.marker is None or each.marker.evaluate({**environment, "extra": ""})]
    waiting = [(requirement, "the project") for requirement in own]
    pinned = pins(environment)
    seen: set[tuple[NormalizedName, str]] = set()
    problems = []
    while waiting:
        requirement, by = waiting.pop()
        name = canonicalize_name(requirement.name)
        version = pinned.get(name)
        if version is None:
            problems.append(f"{by} requires {requirement}, which is not in the lock")
        elif not requirement.specifier.contains(version, prereleases=True):
            problems.append(f"{by} requires {requirement}, and the lock has {version}")
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [(each, str(name)) for each in required_by(name, extra, environment)]
    assert problems == []


def test_this_environment_holds_what_the_lock_names_and_nothing_else() -> None:
    installed = {canonicalize_name(each.metadata["Name"]): each.version for each in metadata.distributions()}
    for own in (DISTRIBUTION, "pip", "setuptools"):
        installed.pop(canonicalize_name(own), None)
    assert installed == pins(here())
