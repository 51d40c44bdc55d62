"""What our DANE verifier makes of a chain and an RRset, against what Postfix makes of them over the wire.

The cases are random, but the same in each run except for their keys. Thousands more are compared with OpenSSL's verifier
in tests/unit/certs/dane/compare.c, which also explains and counts the differences."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from lab.dane import PostfixClient, Servers, Zone, make_cases

CASES, SEED = 240, 7
WRONG = {"62": "name", "9": "expired", "10": "expired"}  # errors of OpenSSL


def verdict_of_postfix(said):
    """"ok", or what was wrong first: it looks at the name before dates and signatures."""
    assert " TLS connection established" in said, said
    if "all TLSA records unusable" in said or "DNSSEC-signed TLSA record:" not in said:
        return "unusable"
    if "Verified TLS connection established" in said:
        return "ok"
    error = re.search(r"verification failed for .*: num=(\d+):", said)
    return WRONG.get(error and error.group(1), "mismatch")


def differs(ours, theirs):
    if ours == "mismatch":  # they may have seen another fault before that one
        return theirs in ("ok", "unusable")
    return ours != theirs


def test_verdicts_are_those_of_postfix():
    cases = make_cases(CASES, SEED)
    zone = Zone(cases).start()
    try:
        with Servers(cases), ThreadPoolExecutor(4) as pool:
            said = list(pool.map(PostfixClient().says, cases))
    finally:
        zone.stop()
    excused, wrong = [], []
    for case, words in zip(cases, said):
        ours, theirs = case["verdict"], verdict_of_postfix(words)
        if not differs(ours, theirs):
            continue
        # In the words of compare.c: `one path` and `anchor`, when we found a way that they did not, or `no key id`.
        further = ours in ("ok", "name", "expired") and theirs != "ok" and case["why"].startswith("DANE-TA")
        no_key_id = ours == "mismatch" and case["why"].endswith("self signed certificate in certificate chain")
        said_both = f"{case['port']}: ours {ours} ({case['why']}), Postfix's {theirs}\n{words}"
        (excused if further or no_key_id else wrong).append(said_both)
    assert not wrong, "\n".join(wrong)
    assert len(excused) <= CASES // 30, "\n".join(excused)
    # Not all the same: the cases are worth something.
    seen = Counter(case["verdict"] for case in cases)
    assert min(seen[v] for v in ("ok", "name", "mismatch", "unusable")) >= 15 and seen["expired"] >= 1, seen
