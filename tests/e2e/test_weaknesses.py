"""testssl.sh finds no weakness in what danegate offers behind STARTTLS."""

import json

from lab import zones
from lab.proc import RUN, run

# Severe findings that are not weaknesses here, each with its reason.
ACCEPTED = {
    "engine_problem": "about testssl.sh's own OpenSSL: it has no GOST engine",
    "cert_chain_of_trust": "the lab's identity is self-signed: DNS vouches for its key (DANE-EE, RFC 7672 3.1.1)",
    "cert_revocation": "a self-signed certificate has no issuer that could revoke it; the TLSA record is withdrawn instead",
}
SEVERE = {"MEDIUM", "HIGH", "CRITICAL", "FATAL", "WARN"}
CHECKS = ("--protocols", "--standard", "--pfs", "--server-defaults", "--server-preference", "--vulnerable")


def test_testssl_reports_no_weakness(world, edge):
    report = RUN / "testssl.json"
    report.unlink(missing_ok=True)
    run("testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none", "--ip", zones.EDGE, *CHECKS,
        "--jsonfile", report, "--starttls", "smtp", f"{zones.MX}:25", check=False, timeout=180)
    findings = json.loads(report.read_text())
    ids = {f["id"] for f in findings}
    assert {"TLS1_2", "TLS1_3", "heartbleed", "ROBOT", "cipherlist_NULL"} <= ids, ids
    bad = [f for f in findings if f["severity"] in SEVERE and f["id"].split(" ")[0] not in ACCEPTED]
    assert not bad, "\n".join(map(str, bad))
