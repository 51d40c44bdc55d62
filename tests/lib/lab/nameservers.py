"""Knot, NSD and Unbound as child processes, with the faults the tests need."""

import shutil
from pathlib import Path

from . import zones
from .proc import RUN, LabError, Proc, run, wait_until
from .query import serial_at


class Server:
    """One name server process with its own directory and address."""

    def __init__(self, name, address):
        self.name = name
        self.address = address
        self.dir = RUN / name
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        self.proc = None
        if ":" in address:
            run("ip", "-6", "addr", "replace", f"{address}/128", "dev", "lo", "nodad")

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return path

    def answers(self, zone):
        return serial_at(self.address, zone) is not None

    def pause(self):
        """Alive but silent: every question times out."""
        self.proc.pause()

    def resume(self):
        self.proc.resume()

    def stop(self):
        if self.proc:
            self.proc.stop()


class Knot(Server):
    """A Knot server: signing primary or plain secondary, as its configuration says."""

    def __init__(self, name, address, zone_lines, keys=(), sections="", nsec3=False):
        super().__init__(name, address)
        (self.dir / "db").mkdir()
        key_section = "key:\n" + "".join(k.knot() for k in keys) if keys else ""
        self.conf = self.write("knot.conf", f"""server:
  listen: {address}@53
  rundir: {self.dir}
  pidfile: {self.dir}/knot.pid
  tcp-workers: 2
  udp-workers: 2
  background-workers: 2
control:
  listen: {self.dir}/knot.sock
  timeout: 30
log:
  - target: stdout
    any: info
database:
  storage: {self.dir}/db
{key_section}policy:
  - id: sign
    algorithm: ecdsap256sha256
    single-type-signing: on
    nsec3: {"on" if nsec3 else "off"}
{sections}template:
  - id: default
    storage: {self.dir}
  - id: signed
    storage: {self.dir}
    dnssec-signing: on
    dnssec-policy: sign
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
zone:
{zone_lines}""")

    def make_key(self, zone):
        """Generates the zone's signing key before the first start and returns its DS line. It counts as a day old, so that
        a server whose clock is behind signs with it too."""
        since = [f"{event}=now-1d" for event in ("created", "publish", "ready", "active")]
        run("keymgr", "-c", self.conf, zone, "generate", "algorithm=ecdsap256sha256", "ksk=yes", "zsk=yes", *since)
        return self.ds(zone)

    def ds(self, zone):
        lines = run("keymgr", "-c", self.conf, zone, "ds").stdout.splitlines()
        for line in lines:
            fields = line.split()
            if fields[1] == "DS" and fields[4] == "2":
                return line
        raise LabError(f"keymgr printed no SHA-256 DS for {zone}: {lines}")

    def start(self):
        self.proc = Proc(["knotd", "-c", self.conf], self.dir / "log").start()
        return self

    def control(self, *words):
        return run("knotc", "-s", self.dir / "knot.sock", *words).stdout

    def freeze(self, zone):
        """The zone stays as it is: no transfer, old answers."""
        self.control("-b", "zone-freeze", zone)

    def thaw(self, zone):
        self.control("-b", "zone-thaw", zone)
        self.control("zone-refresh", zone)


class Nsd(Server):
    """NSD as secondary of `primary`, or, with a zone file, as a server of a fixed copy."""

    def __init__(self, name, address, key=None, primary=None, zonefiles=None):
        super().__init__(name, address)
        parts = [f"""server:
  ip-address: {address}@53
  server-count: 1
  username: ""
  zonesdir: "{self.dir}"
  database: ""
  pidfile: "{self.dir}/nsd.pid"
  xfrdfile: "{self.dir}/xfrd.state"
  xfrdir: "{self.dir}"
  zonelistfile: "{self.dir}/zone.list"
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
  verbosity: 2
remote-control:
  control-enable: no
"""]
        if primary:
            parts.append(key.nsd() + f"""zone:
  name: "{zones.ZONE}"
  request-xfr: {primary} {key.name}
  allow-notify: 127.0.0.0/8 {key.name}
  allow-notify: {primary} NOKEY
  outgoing-interface: {address}
""")
        for zone, text in (zonefiles or {}).items():
            self.write(f"{zone}.zone", text)
            parts.append(f'zone:\n  name: "{zone}"\n  zonefile: "{zone}.zone"\n')
        self.conf = self.write("nsd.conf", "".join(parts))

    def start(self):
        self.proc = Proc(["nsd", "-d", "-c", self.conf], self.dir / "log").start()
        return self


class Unbound(Server):
    """The validating resolver of the sender and of everything that reads /etc/resolv.conf."""

    def __init__(self, name, address, root_ds, more=""):
        super().__init__(name, address)
        self.anchor = self.write("root.key", root_ds + "\n")
        self.hints = self.write("root.hints", f". 3600 NS a.root-servers.lab.\na.root-servers.lab. 3600 A {zones.ROOT_SERVER}\n")
        self.conf = self.write("unbound.conf", f"""server:
  interface: {address}
  username: ""
  chroot: ""
  directory: "{self.dir}"
  pidfile: "{self.dir}/unbound.pid"
  use-syslog: no
  verbosity: 1
  do-ip6: no
  do-daemonize: no
  do-not-query-localhost: no
  access-control: 127.0.0.0/8 allow
  module-config: "validator iterator"
  root-hints: "{self.hints}"
  trust-anchor-file: "{self.anchor}"
  qname-minimisation: yes
  infra-cache-min-rtt: 50
  infra-host-ttl: 2
  infra-keep-probing: yes
{more}remote-control:
  control-enable: yes
  control-interface: "{self.dir}/control.sock"
  control-use-cert: no
""")

    def start(self):
        self.proc = Proc(["unbound", "-d", "-c", self.conf], self.dir / "log").start()
        return self

    def flush(self, name="."):
        """Forgets what was answered, and who did not answer."""
        run("unbound-control", "-c", self.conf, "flush_zone", name)
        run("unbound-control", "-c", self.conf, "flush_infra", "all")


def wait_answering(servers, zone, deadline_s=20):
    for server in servers:
        wait_until(lambda s=server: s.proc.must_run() and s.answers(zone), deadline_s, f"{server.name} to serve {zone}")


def stale_server(name, address, zone, text):
    """A server of a fixed, old copy of a zone: what a regressing secondary looks like."""
    return Nsd(name, address, zonefiles={zone: text}).start()


def install_for_everyone(unbound):
    """Makes the private root the machine's root, inside the lab: programs that read the distribution's
    trust anchor (libunbound, GnuTLS, hash-slinger) use it without being told. The lab's root is thrown
    away at the end, so the files can simply be replaced."""
    Path("/usr/share/dns").mkdir(parents=True, exist_ok=True)
    Path("/usr/share/dns/root.key").write_text(unbound.anchor.read_text())
    Path("/usr/share/dns/root.hints").write_text(unbound.hints.read_text())
