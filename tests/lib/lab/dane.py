"""Many TLS servers behind one name: each port presents a chain of its own and has a TLSA RRset of its own, in a
signed root zone that holds nothing else. For asking another client what it makes of a chain and an RRset."""

import asyncio
import json
import os
import ssl
import threading
from pathlib import Path

from . import nameservers as ns
from .proc import RUN, run

SERVER, RESOLVER, HOSTS = "127.25.5.1", "127.25.5.53", "127.25.5.25"
FIRST_PORT = 10001
BIN = Path(os.environ.get("DANEGATE_BIN", "build/asan/bin"))


def make_cases(num, seed):
    """Random cases with our verdicts, from tests/unit/certs/dane/compare.c; each gets a port."""
    program = BIN.parent / "tests/unit/certs/dane_compare"
    lines = run(program, "-j", "-n", num, "-s", seed, timeout=120).stdout.splitlines()
    return [dict(json.loads(line), port=FIRST_PORT + i) for i, line in enumerate(lines)]


class Zone:
    """A root of our own, and a resolver that validates from it."""

    def __init__(self, cases):
        self.server = ns.Knot("dane-root", SERVER, "  - domain: .\n    file: root.zone\n    template: signed\n")
        records = "".join(self._record(case["port"], rdata) for case in cases for rdata in sorted(set(case["records"])))
        self.server.write("root.zone", f"""$ORIGIN .
$TTL 3600
@ SOA a.root. hostmaster.root. 1 3600 600 1209600 60
@ NS a.root.
a.root. A {SERVER}
example.org. MX 0 mx.example.org.
mx.example.org. A {HOSTS}
{records}""")
        ds = self.server.make_key(".")
        self.resolver = ns.Unbound("dane-resolver", RESOLVER, ds)
        self.resolver.write("root.hints", f". 3600 NS a.root.\na.root. 3600 A {SERVER}\n")

    @staticmethod
    def _record(port, rdata):
        octets = bytes.fromhex(rdata)
        return f"_{port}._tcp.mx.example.org. TLSA {octets[0]} {octets[1]} {octets[2]} {octets[3:].hex()}\n"

    def start(self):
        self.server.start()
        self.resolver.start()
        ns.wait_answering([self.server], "")  # the root
        ns.wait_answering([self.resolver], "")
        return self

    def stop(self):
        self.resolver.stop()
        self.server.stop()


class Servers(threading.Thread):
    """A bare SMTP server with STARTTLS on each case's port."""

    def __init__(self, cases):
        super().__init__(daemon=True)
        self.contexts = {case["port"]: self._context(case) for case in cases}
        self.ready = threading.Event()
        self.loop = asyncio.new_event_loop()

    @staticmethod
    def _context(case):
        path = RUN / "dane-root" / f"{case['port']}.pem"
        path.write_text(case["key"] + case["chain"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    async def _serve(self, reader, writer):
        try:
            port = writer.get_extra_info("sockname")[1]
            writer.write(b"220 mx.example.org ESMTP\r\n")
            while line := await reader.readline():
                verb = line.strip().upper()
                if verb.startswith(b"EHLO"):
                    writer.write(b"250-mx.example.org\r\n250 STARTTLS\r\n")
                elif verb == b"STARTTLS":
                    writer.write(b"220 go on\r\n")
                    await writer.start_tls(self.contexts[port])
                elif verb == b"QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                else:
                    writer.write(b"250 OK\r\n")
                await writer.drain()
        except (OSError, ssl.SSLError):
            pass  # who does not like the certificate hangs up
        writer.close()

    async def _listen(self):
        for port in self.contexts:
            await asyncio.start_server(self._serve, HOSTS, port)
        self.ready.set()

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._listen())
        self.loop.run_forever()

    def __enter__(self):
        self.start()
        assert self.ready.wait(20)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join(10)


class PostfixClient:
    """posttls-finger, which is Postfix's SMTP client as far as TLS goes, with the zone's resolver."""

    def __init__(self):
        self.dir = RUN / "dane-postfix"
        self.dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "main.cf").write_text("compatibility_level = 3.6\ninet_protocols = ipv4\n")
        (self.dir / "resolv.conf").write_text(f"nameserver {RESOLVER}\noptions edns0 trust-ad\n")

    def says(self, case):
        """Its last words about the connection, and all of them. With one reference name it is asked for the host,
        with two for the domain, whose MX that is."""
        to = f"example.org:{case['port']}" if case["num_names"] == 2 else f"[mx.example.org]:{case['port']}"
        command = ('mount --bind "$0/resolv.conf" /etc/resolv.conf && '
                   'MAIL_CONFIG="$0" exec posttls-finger -c -t 20 -T 20 -l dane -L summary,verbose "$1"')
        done = run("unshare", "-m", "sh", "-c", command, self.dir, to, check=False)
        return done.stdout + done.stderr
