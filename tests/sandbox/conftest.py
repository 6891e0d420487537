"""What several modules of this directory begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ovsdb.weir_db import WeirDb
from tests.support.ovs_sandbox import WeirDbServer
from tests.support.system import Home, SystemUnderTest


@pytest.fixture
def server() -> Iterator[WeirDbServer]:
    with WeirDbServer() as server:
        yield server


@pytest.fixture
def db(server: WeirDbServer) -> Iterator[WeirDb]:
    """Connected."""
    with WeirDb(server.remote) as db:
        db.connect()
        yield db


@pytest.fixture(scope="module")
def policy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that holds the POLICY of the module."""
    file = tmp_path_factory.mktemp("policy") / "policy.yaml"
    file.write_text(request.module.POLICY)
    return file


@pytest.fixture
def home() -> Iterator[Home]:
    with Home("home") as namespace:
        yield namespace


@pytest.fixture
def system(home: Home) -> Iterator[SystemUnderTest]:
    with SystemUnderTest(home) as under_test:
        yield under_test
