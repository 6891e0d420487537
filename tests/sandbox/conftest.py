"""What several modules of this directory begin with."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.config import StateDir
from controller.host.agent import AgentConfig
from ovsdb.weir_db import WeirDb
from tests.sandbox.alone import ALONE
from tests.support.agent_host import POLICY, Host, inside
from tests.support.ovs_sandbox import PrivateOvs, WeirDbServer
from tests.support.system import Home, SystemUnderTest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.stem in ALONE:
            item.add_marker(pytest.mark.alone)


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


@pytest.fixture
def host() -> Iterator[Host]:
    with PrivateOvs() as ovs:
        state = StateDir(ovs.rundir / "s")
        state.run.mkdir(parents=True)
        ovs.run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "outside")
        ovs.run("ip", "link", "set", "outside", "up")
        config = AgentConfig("h1", "br-weir", state, ovs.rundir, ovs.namespace, {"up0": "up0"}, interval_s=0.2)
        with WeirDbServer(state.run) as server, WeirDb(server.remote) as db:
            db.connect()
            with Host(ovs, config, db, ovs.rundir / "agent.log") as host:
                host.request(policy=POLICY)
                yield host


@pytest.fixture
def instance(host: Host) -> Iterator[str]:
    name = f"{host.ovs.namespace}.i"
    inside(None, "ip", "netns", "add", name)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
