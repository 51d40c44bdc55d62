"""Fixtures: one DNS, sender and backend for the whole session, fresh programs for each test."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from lab import zones  # noqa: E402
from lab.fakebackend import FakeBackend  # noqa: E402
from lab.proc import PROJECT, RUN  # noqa: E402
from lab.programs import Danegate, TlsaSync, sanitizer_reports  # noqa: E402
from lab.world import World  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--part", default="1/1", help="K/N: only the K-th of N parts; whole files are dealt out in turn")


def pytest_collection_modifyitems(config, items):
    part, of = map(int, config.getoption("--part").split("/"))
    files = sorted({item.path for item in items})
    mine = set(files[part - 1::of])
    config.hook.pytest_deselected(items=[i for i in items if i.path not in mine])
    items[:] = [i for i in items if i.path in mine]


@pytest.fixture(scope="session")
def world():
    made = World()
    try:
        yield made.start()
    finally:
        made.stop()


class Stage:
    """A clean place to start programs. On leaving they are stopped, their logs kept in
    build/e2e/<name>/, and a sanitizer's report is an error."""

    def __init__(self, world, name="shared"):
        self.world = world
        self.kept = PROJECT / "build" / "e2e" / name.replace("/", "_")
        self.started = []

    def edge(self, start=True, **options):
        edge = Danegate(**options)
        self.started.append(edge)
        return edge.start_serving() if start else edge

    def sync(self, *edges, start=True, **options):
        sync = TlsaSync(self.world.dns, edges, **options)
        self.started.append(sync)
        return sync.start() if start else sync

    def __enter__(self):
        self.world.fresh()
        return self

    def __exit__(self, *_):
        for program in reversed(self.started):
            program.stop()
        self._keep_logs()
        reports = {r: r.read_text(errors="replace") for r in sanitizer_reports()}
        for report in reports:
            report.unlink()
        assert not reports, "sanitizer reports:\n" + "\n".join(reports.values())

    def _keep_logs(self):
        shutil.rmtree(self.kept, ignore_errors=True)
        self.kept.mkdir(parents=True, exist_ok=True)
        for program in self.started:
            for path in (program.log, program.config_file):
                if path.exists():
                    shutil.copy(path, self.kept / f"{program.dir.name}-{path.name}")
        for log in (RUN / "sender" / "mail.log", RUN / "backend" / "mail.log"):
            lines = log.read_text(errors="replace").splitlines() if log.exists() else []
            (self.kept / f"{log.parent.name}-mail.log").write_text("\n".join(lines[-2000:]))


@pytest.fixture
def stage(world, request):
    with Stage(world, request.node.name) as made:
        yield made


@pytest.fixture
def edge(stage):
    """danegate on its own, no record in DNS yet."""
    return stage.edge()


@pytest.fixture
def hand_pinned(world, edge):
    """danegate alone, its current and next key pinned by records that the test's hand wrote."""
    assert edge.control(do="prepare", identity=zones.MX)["ok"]
    world.dns.write_tlsa(zones.MX, edge.records())
    return edge


@pytest.fixture
def pinned(stage):
    """danegate and tlsa-sync in the steady state: current and next key are published and have aged."""
    edge = stage.edge()
    sync = stage.sync(edge)
    sync.wait_steady()
    return edge, sync


@pytest.fixture
def fake():
    backend = FakeBackend()
    yield backend
    backend.close()
