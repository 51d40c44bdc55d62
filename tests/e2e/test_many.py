"""Many identities, thousands on one edge: each step is about those that it concerns, and the others don't notice."""

import tempfile

import pytest

from lab import many, zones
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


KEPT = 60


@pytest.fixture
def hosts(world):
    """Names and addresses in the signed zone, for a tlsa-sync that is started later."""
    with many.in_zone(world.dns, KEPT) as made:
        yield made


def keys_of(edge):
    """Host name -> (the key it presents, the records of all keys that it has)."""
    report = edge.control(do="report")
    assert "next" not in report
    keys = {i["name"]: {g["number"]: g["keys"][0]["spki_sha256"] for g in i["generations"]} for i in report["identities"]}
    return {i["name"]: (keys[i["name"]][i["presented"]], {"3 1 1 " + k for k in keys[i["name"]].values()})
            for i in report["identities"]}


def served_as(dns, keys):
    """Does every server serve exactly these records?"""
    return all(served == records for host, (_, records) in keys.items() for served in dns.served(host).values())


def test_tlsa_sync_keeps_many_and_rolls_one(world, hosts, state, stage):
    edge = stage.edge(changes={"state_dir": state, "log": {"level": "warning"}, "identities": many.identities(KEPT)})
    sync = many.ManySync(world.dns, edge, KEPT, changes={"log": {"level": "notice"}, "tlsa_sync": {"poll": "1s", "watch": "2s"}})
    stage.started.append(sync)
    sync.start()
    sync.wait_all_steady(120)
    before = keys_of(edge)
    assert all(len(records) == 2 for _, records in before.values()) and len({key for key, _ in before.values()}) == KEPT
    assert served_as(world.dns, before)

    rolled = hosts[KEPT // 2]
    old_key, next_key = before[rolled][0], edge.digest(2, rolled)
    sync.command("rotate", rolled)
    wait_until(lambda: presented_digest(sni=rolled) == next_key, 60, "the next key to be presented")
    wait_until(lambda: sync.state_now(rolled) == "STEADY", 60, "the roll to end")
    after = keys_of(edge)
    assert after[rolled][0] == next_key and "3 1 1 " + old_key not in after[rolled][1] and len(after[rolled][1]) == 2
    assert {**after, rolled: None} == {**before, rolled: None}
    assert served_as(world.dns, after)
    for host in (hosts[0], rolled, hosts[-1]):
        assert presented_digest(sni=host) == after[host][0]
    told = [line for line in sync.log_text().splitlines() if "from=STEADY" in line]
    assert told and all(rolled in line for line in told), told
