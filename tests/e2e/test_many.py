"""Thousands of identities on one edge: each step is about those that it concerns, and the others don't notice."""

import tempfile

import pytest

from lab import zones
from lab.pin import presented_digest
from lab.proc import wait_until

NUM = 1000
PLACE = 777  # of the one that is swapped


def name(i):
    return f"mx{i}.insecure.lab"


@pytest.fixture
def state():
    """The lab's /tmp is in memory: thousands of keys are made, each with its syncs."""
    with tempfile.TemporaryDirectory(prefix="many-", dir="/tmp") as made:
        yield made


def all_presented(edge, num):
    identities = edge.json("show identities")
    return len(identities) == num and all(i["presented"] for i in identities)


def shown(*places):
    return {i: presented_digest(sni=name(i)) for i in places}


def everybody_has_the_newest(edge):
    workers = edge.json("show info")["workers"]
    return all(w["up"] and w["acknowledged"] and w["listening"] for w in workers)


def test_each_change_is_about_those_that_it_concerns(stage, state):
    listed = [{"name": zones.MX}, *({"name": name(i)} for i in range(1, NUM))]
    edge = stage.edge(changes={"state_dir": state, "log": {"level": "warning"}, "identities": listed})
    # Mail is taken long before all keys are made.
    assert not all_presented(edge, NUM)
    wait_until(lambda: all_presented(edge, NUM), 120, f"{NUM} identities to be presented", every_s=0.5)
    before = shown(1, PLACE, NUM - 1)
    assert before == {i: edge.digest(1, name(i)) for i in before}
    assert len(set(before.values())) == 3

    # A swap of one.
    number = edge.control(do="prepare", identity=name(PLACE))["generation"]["number"]
    answer = edge.control(do="swap", identity=name(PLACE), generation=number)
    assert answer["ok"], answer
    swapped = {**before, PLACE: edge.digest(number, name(PLACE))}
    assert swapped != before and shown(*before) == swapped

    # A worker that dies: the new one gets all of them.
    dead = edge.crash_worker()
    wait_until(lambda: dead not in edge.workers() and everybody_has_the_newest(edge), 60, "a new worker with all keys")
    for _ in range(4):  # the kernel chooses the worker
        assert shown(*before) == swapped

    # A reload that takes one away and adds one.
    new = [i for i in listed if i["name"] != name(1)] + [{"name": name(NUM)}]
    edge.change_config({"identities": new})
    answer = edge.control(do="reload")
    assert answer["ok"], answer
    assert presented_digest(sni=name(1)) == presented_digest()  # unknown now: the default identity
    wait_until(lambda: edge.identity(name(NUM))["presented"], 30, "the new identity to be presented")
    assert shown(PLACE, NUM - 1, NUM) == {PLACE: swapped[PLACE], NUM - 1: swapped[NUM - 1], NUM: edge.digest(1, name(NUM))}

    # What is shown of them is whole, however long it is.
    metrics = edge.show("show metrics")
    assert metrics.endswith("# EOF\n") and metrics.count('danegate_pinned{') == NUM
    told, at = [], 0
    while at is not None:
        report = edge.control(do="report", **{"from": at})
        told += [i["name"] for i in report["identities"]]
        at = report.get("next")
    assert told == [i["name"] for i in new]
    assert edge.show("show identities").count("\n  guard  ") == NUM

    # The next start serves what this one did.
    assert edge.stop() == 0
    edge.start_serving()
    wait_until(lambda: all_presented(edge, NUM), 60, "all identities to be presented again", every_s=0.5)
    assert shown(PLACE, NUM - 1) == {i: swapped[i] for i in (PLACE, NUM - 1)}
