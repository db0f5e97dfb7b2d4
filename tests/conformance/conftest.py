"""Our hierarchies, each made once per run of a worker."""

from __future__ import annotations

import pytest

from tests.conformance.hierarchy import Hierarchy


@pytest.fixture(scope="session")
def sm2(tmp_path_factory: pytest.TempPathFactory) -> Hierarchy:
    return Hierarchy(tmp_path_factory.mktemp("ours"), "sm2")


@pytest.fixture(scope="session")
def rsa(tmp_path_factory: pytest.TempPathFactory) -> Hierarchy:
    return Hierarchy(tmp_path_factory.mktemp("ours"), "rsa")


@pytest.fixture(scope="session")
def ec(tmp_path_factory: pytest.TempPathFactory) -> Hierarchy:
    return Hierarchy(tmp_path_factory.mktemp("ours"), "ec")


@pytest.fixture(params=["rsa", "ec"])
def classic(request: pytest.FixtureRequest) -> Hierarchy:
    """The same test on the RSA and on the EC hierarchy."""
    made: Hierarchy = request.getfixturevalue(request.param)
    return made


@pytest.fixture(params=["sm2", "rsa", "ec"])
def ours(request: pytest.FixtureRequest) -> Hierarchy:
    """The same test on all three hierarchies."""
    made: Hierarchy = request.getfixturevalue(request.param)
    return made
