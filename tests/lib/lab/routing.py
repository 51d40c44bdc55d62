"""A DNS tree of its own for the router, an HTTPS server for MTA-STS policies, and the router process spoken to
directly: `danegate --router` has one descriptor, its wire."""

import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading

from . import nameservers as ns
from .proc import RUN, LabError, run, slowness, wait_until
from .programs import bin_dir, sanitizer_env, to_yaml
from .zones import ROUTED_MX, soa

ROOT = "127.25.1.1"  # serves everything
SILENT = "127.25.1.2"  # nobody is there
POLICY = "127.25.1.80"  # the policy hosts
SELF_SIGNED = "127.25.1.81"  # one whose certificate nobody vouches for
MX = ROUTED_MX  # where a Postfix is, in the tests that start one

RECORD = "3 1 1 " + "0123456789abcdef" * 4
UNUSABLE = "1 1 1 " + "0123456789abcdef" * 4


def zone(name, lines, ttl=1):
    return f"$ORIGIN {name}.\n$TTL {ttl}\n@ SOA {soa('a.root-servers.lab.', negative_ttl=1)}\n@ NS a.root-servers.lab.\n{lines}\n"


def mail_zone(extra=""):
    """A host for each thing that can be the matter with one, and a domain for each whose MX it is."""
    hosts = f"""
plain A {MX}
dane A {MX}
_25._tcp.dane TLSA {RECORD}
_2525._tcp.dane TLSA {RECORD}
six AAAA fd25::25
unusable A {MX}
_25._tcp.unusable TLSA {UNUSABLE}
far CNAME dane
near CNAME plain
_25._tcp.near TLSA {RECORD}
out CNAME mx.insecure.lab.
_25._tcp.out TLSA {RECORD}
outplain CNAME mx.insecure.lab.
bogustlsa A {MX}
_tcp.bogustlsa NS a.root-servers.lab.
_tcp.bogustlsa DS 12345 13 2 {"00" * 32}
deadtlsa A {MX}
_tcp.deadtlsa NS ns.lab.
empty TXT "nothing else"
"""
    names = "plain dane six unusable far near out outplain bogustlsa deadtlsa empty gone".split()
    domains = "".join(f"d-{n} MX 10 {n}\n" for n in names)
    domains += "null MX 0 .\nimplicit A " + MX + "\nalias CNAME d-dane\nbroken MX 10 mx.broken.lab.\ndead MX 10 mx.dead.lab.\n"
    domains += "insecure-mx MX 10 mx.insecure.lab.\ntwo MX 20 dane\ntwo MX 10 plain\ntwo MX 10 bogustlsa\n"
    return zone("mail.lab", hosts + domains + extra)


class RouterDns:
    """root, lab., mail.lab., sts.lab. signed; insecure.lab not; broken.lab with a DS of nothing; dead.lab is not served."""

    def __init__(self, pinned=RECORD):
        """`pinned` is the record of pinned.mail.lab."""
        signed = ("lab", "mail.lab", "sts.lab", "broken.lab")
        lines = "  - domain: .\n    file: root.zone\n    template: signed\n"
        lines += "".join(f"  - domain: {z}.\n    file: {z}.zone\n    template: signed\n" for z in signed)
        lines += "  - domain: insecure.lab.\n    file: insecure.lab.zone\n"
        lines += "  - domain: _tcp.bogustlsa.mail.lab.\n    file: bogustlsa.zone\n    template: signed\n"
        self.knot = ns.Knot("router-dns", ROOT, lines)
        self.knot.make_key("broken.lab.")
        self.knot.make_key("_tcp.bogustlsa.mail.lab.")
        ds = "".join(self.knot.make_key(f"{z}.") + "\n" for z in ("mail.lab", "sts.lab"))
        host = f"mx A {MX}\n@ MX 10 mx\n_25._tcp.mx TLSA {RECORD}"
        self.write("insecure.lab", zone("insecure.lab", host))
        self.write("broken.lab", zone("broken.lab", host))
        self.write("bogustlsa", zone("_tcp.bogustlsa.mail.lab", f"_25 TLSA {RECORD}"))
        self.write("mail.lab", mail_zone(f"pinned A {MX}\n_25._tcp.pinned TLSA {pinned}\nd-pinned MX 10 pinned\n"
                                              f"_mta-sts.d-dane TXT \"v=STSv1; id=1\"\nmta-sts.d-dane A {SILENT}\n"))
        self.sts = {}
        self.write("sts.lab", self.sts_zone())
        children = "".join(f"{z} NS a.root-servers\n" for z in ("mail", "sts", "insecure", "broken"))
        children += f"dead NS ns\nns A {SILENT}\n"
        self.write("lab", zone("lab", f"a.root-servers A {ROOT}\n{children}{ds}broken DS 12345 13 2 {'00' * 32}"))
        lab_ds = self.knot.make_key("lab.")
        self.write("root", f"$ORIGIN .\n$TTL 3600\n@ SOA {soa('a.root-servers.lab.')}\n@ NS a.root-servers.lab.\n"
                   f"lab. NS a.root-servers.lab.\na.root-servers.lab. A {ROOT}\n{lab_ds}\n")
        self.anchor = self.knot.write("root.ds", self.knot.make_key(".") + "\n")
        self.hints = self.knot.write("root.hints", f". 3600000 NS a.root-servers.lab.\na.root-servers.lab. 3600000 A {ROOT}\n")

    def write(self, name, text):
        self.knot.write(f"{name}.zone", text)

    def start(self):
        self.knot.start()
        ns.wait_answering([self.knot], "mail.lab")
        return self

    def stop(self):
        self.knot.stop()

    def sts_zone(self):
        """Domains of MTA-STS: sts maps a label to (id or None, address of its policy host)."""
        lines = f"mx1 A {MX}\nmx2 A {MX}\n"
        for label, (text, address) in self.sts.items():
            lines += f"{label} MX 10 mx1\nmta-sts.{label} A {address}\n"
            lines += f'_mta-sts.{label} TXT "v=STSv1; id={text};"\n' if text else ""
        self.serial = getattr(self, "serial", 0) + 1
        return zone("sts.lab", lines).replace(" 1 3600 600", f" {self.serial} 3600 600")

    def set_sts(self, **domains):
        self.sts.update(domains)
        self.write("sts.lab", self.sts_zone())
        self.knot.control("-b", "zone-reload", "sts.lab.")

    def config(self):
        return {"trust_anchor": str(self.anchor), "root_hints": str(self.hints), "timeout": "3s"}


def make_ca(directory, names):
    """A CA, a certificate from it for `names`, and one for the same names that vouches for itself."""
    directory.mkdir(parents=True, exist_ok=True)
    san = "subjectAltName=" + ",".join(f"DNS:{n}" for n in names)
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    ca, ca_key = directory / "ca.pem", directory / "ca.key"
    run("openssl", "req", "-x509", *new, "-subj", "/CN=lab CA", "-keyout", ca_key, "-out", ca)
    run("openssl", "req", *new, "-subj", "/CN=policy", "-addext", san, "-keyout", directory / "good.key", "-out", directory / "good.csr")
    run("openssl", "x509", "-req", "-in", directory / "good.csr", "-CA", ca, "-CAkey", ca_key, "-days", "30", "-copy_extensions", "copy",
        "-out", directory / "good.pem")
    run("openssl", "req", "-x509", *new, "-subj", "/CN=policy", "-addext", san, "-keyout", directory / "self.key", "-out", directory / "self.pem")
    return ca


class PolicyHost:
    """HTTPS at port 443. `pages` maps a host name to (status, content type, body, further headers); `asked` counts."""

    def __init__(self, address, certificate, key):
        self.pages = {}
        self.asked = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                host = self.headers.get("Host", "").split(":")[0]
                outer.asked[host] = outer.asked.get(host, 0) + 1
                status, kind, body, headers = outer.pages.get(host, (404, "text/plain", "", {}))
                if self.path != "/.well-known/mta-sts.txt":
                    status = 404
                self.send_response(status)
                self.send_header("Content-Type", kind)
                length = {"Content-Length": len(body.encode())}
                for name, value in {**length, **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(body.encode())
                except OSError:
                    pass  # it may have read enough

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self):
                # The handshake is the handler's thread's, so that a client that breaks it off stops nobody.
                s, peer = super().get_request()
                s.settimeout(10)
                return context.wrap_socket(s, server_side=True, do_handshake_on_connect=False), peer

            def handle_error(self, *_):
                pass

        self.server = Server((address, 443), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, domain, body, status=200, kind="text/plain", headers=None):
        self.pages["mta-sts." + domain] = (status, kind, body, headers or {})

    def count(self, domain):
        return self.asked.get("mta-sts." + domain, 0)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def policy(mode, *mx, max_age=86400):
    return "version: STSv1\r\nmode: " + mode + "\r\n" + "".join(f"mx: {m}\r\n" for m in mx) + f"max_age: {max_age}\r\n"


class Router:
    """The process, asked over its wire as the supervisor does."""

    def __init__(self, dns, connectors, name="router", **sections):
        self.dir = RUN / name
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        self.log = self.dir / "log"
        self.config = {"state_dir": str(self.dir), "proxy": {"hostname": "edge.lab.test"}, "identities": [{"name": "edge.lab.test"}],
                       "dns": dns.config(), "connectors": connectors, **sections}
        self.number = 0
        self.popen = None

    def start(self):
        ours, theirs = socket.socketpair()

        def prepare():
            os.dup2(theirs.fileno(), 3)

        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen([bin_dir() / "danegate", "--router"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          env={**os.environ, **sanitizer_env()}, preexec_fn=prepare, close_fds=False)
        theirs.close()
        self.wire = ours
        self.lines = ours.makefile("r")
        ours.settimeout(60 * slowness())
        return self.configure()

    def configure(self, **sections):
        self.config.update(sections)
        self.number += 1
        self.send({"do": "config", "number": self.number, "text": to_yaml(self.config) + "\n", "name": "danegate.yaml",
                   "own_names": ["edge.lab.test"]})
        said = self.read()
        if said != {"configured": self.number}:
            raise LabError(f"the router does not take its settings: {said}")
        return self

    def send(self, message):
        self.wire.sendall(json.dumps(message).encode() + b"\n")

    def read(self):
        line = self.lines.readline()
        if not line:
            raise LabError(f"the router has ended; its log:\n{self.log_text()}")
        return json.loads(line)

    def ask(self, connector, domain=""):
        self.number += 1
        self.send({"route": self.number, "connector": connector, "domain": domain})
        answer = self.read()
        if answer["route"] != self.number:
            raise LabError(f"an answer to another question: {answer}")
        return answer

    def ask_until(self, connector, domain, wanted, deadline_s=20):
        """Asks until what summary() says is `wanted`: a cache may hold an older answer for a second or two."""
        last = []

        def told():
            last.append(summary(self.ask(connector, domain)))
            return last[-1] == wanted

        try:
            wait_until(told, deadline_s, f"{domain} by {connector} to be {wanted}", every_s=0.2)
        except LabError as e:
            raise LabError(f"{e}; the last answer was {last[-1]}") from None

    def log_text(self):
        return self.log.read_text(errors="replace")

    def stop(self):
        """Closing the wire ends it. Returns its exit status."""
        if self.popen is None:
            return None
        self.lines.close()
        self.wire.close()
        status = self.popen.wait(30 * slowness())
        self.popen = None
        return status


def summary(route):
    """What a route says, in a line: `REFUSAL`, or for each hop `name tls verify [sts]` or `name REFUSAL`."""
    if "refused" in route:
        return route["refused"]
    hops = []
    for h in route["hops"]:
        sts = " sts" if h["sts"] else ""
        hops.append(f"{h['name']} " + (h.get("refused") or f"{h['tls']} {h['verify']}{sts}"))
    return "; ".join(hops)
