"""Exim, unpacked beside the installed Postfix: a backend with a Maildir, and a sender that verifies DANE."""

import collections
import os
import pwd
import re
import shutil
import signal
from pathlib import Path

from . import zones
from .postfix import greets
from .proc import RUN, Proc, children_of, run, send_signal, wait_until

EXIM = Path("/opt/beside/exim4-daemon-light/usr/sbin/exim4")
OWNER = "Debian-exim"

COMMON = """exim_user = {owner}
exim_group = {owner}
primary_hostname = {host}
spool_directory = {spool}
log_file_path = {log}.%s
pid_file_path =
keep_environment =
never_users =
deliver_drop_privilege = true
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 500
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 10000
message_size_limit = 100M
tls_advertise_hosts =
hosts_treat_as_local =
local_interfaces = {address}
daemon_smtp_ports = {port}
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
"""


class Exim:
    """One daemon with its own configuration and spool, all of it as an ordinary user."""

    def __init__(self, name, address, port, config, **values):
        self.name, self.address, self.port = name, address, port
        owner = pwd.getpwnam(OWNER)
        self.dir = RUN / name
        self.spool = Path("/var/spool") / f"lab-{name}"
        self.log = self.dir / "mail.log.main"
        for d in (self.dir, self.spool):
            shutil.rmtree(d, ignore_errors=True)
            d.mkdir(parents=True)
            os.chown(d, owner.pw_uid, owner.pw_gid)
        self.config = self.spool / "exim.conf"  # not below a directory that others may write: Exim looks
        text = (COMMON + config).format(owner=OWNER, host=f"{name}.{zones.ZONE}", spool=self.spool, log=self.dir / "mail.log",
                                        address=address, port=port, **values)
        self.config.write_text(text)
        self.owner = owner
        self.proc = None

    def argv(self, *options):
        return [EXIM, "-C", self.config, *options]

    def start(self):
        self.proc = Proc(self.argv("-bdf"), self.dir / "daemon.log").start()
        wait_until(lambda: self.proc.must_run() and greets(self.address, self.port), 15, f"{self.name} to greet ({self.log})")
        return self

    def stop(self):
        if self.proc:
            self.proc.stop()

    def kill_sessions(self):
        """SIGKILL to the processes that receive, the daemon's own children. Those that deliver are theirs: one
        killed between writing a mailbox and noting it would deliver twice."""
        send_signal(children_of(self.proc.pid, nearest=True), signal.SIGKILL)

    def flush(self):
        run(*self.argv("-qff"), check=False)

    def queued(self):
        return int(run(*self.argv("-bpc"), check=False).stdout or 0)

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class EximBackend(Exim):
    """Accepts mail for example.lab in clear, every recipient's copy in one Maildir."""

    plain = False

    def __init__(self, name="exim", address=zones.FAKE_BACKEND, port=2526):
        self.mailbox = Path("/var/mail") / f"lab-{name}" / "new"
        shutil.rmtree(self.mailbox.parent, ignore_errors=True)
        self.mailbox.parent.mkdir(parents=True)
        super().__init__(name, address, port, """dsn_advertise_hosts = *
begin acl
rcpt:
  accept domains = {domain}
  deny message = relay not permitted
begin routers
all:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {mailbox}
  maildir_format
  delivery_date_add
  envelope_to_add
  return_path_add
begin retry
* * F,1m,1s
""", domain=zones.DOMAIN, mailbox=self.mailbox.parent)
        os.chown(self.mailbox.parent, self.owner.pw_uid, self.owner.pw_gid)

    def got_chunks(self):
        return re.search(r" <= .* K ", self.log_text()) is not None

    def messages(self):
        return sorted(self.mailbox.iterdir()) if self.mailbox.exists() else []


class EximSender(Exim):
    """Sends with hosts_require_dane: only over TLS with a key that a validated record pins."""

    def __init__(self, name="eximsender", address="127.25.0.41", port=25):
        super().__init__(name, address, port, """dns_dnssec_ok = 1
begin acl
rcpt:
  accept
begin routers
mx:
  driver = dnslookup
  transport = smtp
  dnssec_request_domains = *
  ignore_target_hosts = <; ::1
  self = send
begin transports
smtp:
  driver = smtp
  interface = {interface}
  dnssec_request_domains = *
  hosts_require_dane = *
  hosts_try_fastopen =
  allow_localhost = true
begin retry
* * F,1m,1s
""", interface=address)

    def outcomes(self):
        """Message id -> [log lines of its deliveries and failures]."""
        found, name_of = collections.defaultdict(list), {}
        for line in self.log_text().splitlines():
            if m := re.search(r" (\S{16}) <= .* id=([^@]+)@id\.lab", line):
                name_of[m[1]] = m[2]
            elif m := re.search(r" (\S{16}) (=>|==|\*\*) ", line):
                found[name_of.get(m[1], m[1])].append(line)
        return found
