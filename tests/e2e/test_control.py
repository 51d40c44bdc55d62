"""The control socket of danegate, as somebody who gets it wrong would use it."""

import json
import socket

import pytest

from lab import zones
from lab.proc import slowness


def ask(edge, data, half_close=True):
    """Everything that comes back until the socket is closed, as a list of objects."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30 * slowness())
        s.connect(str(edge.control_socket))
        s.sendall(data)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        text = b""
        try:
            while part := s.recv(65536):
                text += part
        except ConnectionResetError:  # closed, and some of what was sent had not been read
            pass
    return [json.loads(line) for line in text.splitlines()]


def lines(*requests):
    return b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in requests)


def test_answers_keep_the_order_of_the_requests(edge):
    """One that takes time and ones that are none in the midst; and the asker says no more behind the last."""
    answers = ask(edge, lines({"do": "hello"}, {"do": "reload"}, b"nonsense", {"do": "report"}, b'{"do":"\xff"}', b"",
                              {"do": "prepare", "identity": zones.MX}, {"do": "hello"}))
    assert len(answers) == 8, answers
    hello, reload, nonsense, report, octets, empty, prepare, last = answers
    assert hello == last and hello["program"] == "danegate" and hello["protocol"] == 1
    assert reload["ok"] and reload["changes"] == []
    assert [x["ec"] for x in (nonsense, octets, empty)] == ["EC_SYNTAX"] * 3
    assert report["identities"][0]["name"] == zones.MX
    assert prepare["generation"]["role"] == "standby"


@pytest.mark.parametrize("request_,ec,words", [
    ({"do": "swap", "identity": zones.MX}, "EC_MISSING", '"generation" is missing'),
    ({"do": "swap", "identity": zones.MX, "generation": "2"}, "EC_SYNTAX", "not a whole number"),
    ({"do": "swap", "identity": zones.MX, "generation": 0}, "EC_RANGE", "not positive"),
    ({"do": "swap", "identity": zones.MX, "generation": 77}, "EC_NOT_FOUND", "77"),
    ({"do": "swap", "identity": "mx9.example.lab", "generation": 1}, "EC_NOT_FOUND", "mx9.example.lab"),
    ({"do": "swap", "identity": "m\u00e4x" * 60, "generation": 1}, "EC_SYNTAX", "not a host name"),
    ({"do": "csr", "identity": zones.MX, "generation": 1, "algorithm": "dsa"}, "EC_SYNTAX", "ecdsa-p256"),
    ({"do": "install", "identity": zones.MX, "generation": 1, "algorithm": "ecdsa-p256"}, "EC_MISSING", '"chain" is missing'),
    ({"do": "stop"}, "EC_UNKNOWN_KEY", "hello, report, prepare"),
])
def test_a_wrong_request_is_answered_with_what_would_be_right(edge, request_, ec, words):
    before = edge.identity()["presented"]
    answer, = ask(edge, lines(request_))
    assert not answer["ok"] and answer["ec"] == ec and words in answer["why"], answer
    assert edge.identity()["presented"] == before


def test_who_does_not_wait_for_answers_is_cut_off(edge):
    """Behind a request that takes time some may wait, not any number."""
    answers = ask(edge, lines({"do": "reload"}, *[{"do": "hello"}] * 400), half_close=False)
    assert answers[-1]["ec"] == "EC_LIMIT", answers[-1]
    assert edge.control(do="hello")["ok"]
