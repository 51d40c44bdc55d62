"""Private Postfix instances: a DANE-only sender, a Maildir backend, and a receiver with STARTTLS."""

import collections
import os
import pwd
import re
import shutil
import signal
import socket
from pathlib import Path

from . import zones
from .proc import RUN, LabError, children_of, run, send_signal, wait_until

SERVICES = """pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
smtp unix - - n - 20 smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """One instance with its own configuration, queue and log. `smtpd` lists its listeners as
    ADDR:PORT -> extra `-o` options."""

    def __init__(self, name, smtpd, settings):
        self.name = name
        self.dir = RUN / name
        self.queue = Path("/var/spool") / f"lab-{name}"  # on the lab's tmpfs: quick, and traversable
        self.data = Path("/var/lib") / f"lab-{name}"
        for d in (self.dir, self.queue, self.data):
            shutil.rmtree(d, ignore_errors=True)
            d.mkdir(parents=True)
            d.chmod(0o755)
        owner = pwd.getpwnam("postfix")
        os.chown(self.data, owner.pw_uid, owner.pw_gid)
        self.log = self.dir / "mail.log"
        main = {
            "compatibility_level": "3.6",
            "queue_directory": self.queue,
            "data_directory": self.data,
            "maillog_file": self.log,
            "maillog_file_prefixes": "/run/lab",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myorigin": "$myhostname",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "alias_maps": "",
            "alias_database": "",
            "biff": "no",
            "in_flow_delay": "0s",
            "smtpd_client_connection_count_limit": "0",
            "smtpd_client_connection_rate_limit": "0",
            "smtpd_error_sleep_time": "0s",
            **settings,
        }
        (self.dir / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in main.items()))
        listeners = ""
        for listen, options in smtpd.items():
            listeners += f"{listen} inet n - n - - smtpd" + "".join(f"\n  -o {o}" for o in options) + "\n"
        (self.dir / "master.cf").write_text(listeners + SERVICES)
        self.listeners = [tuple(x.rsplit(":", 1)) for x in smtpd]
        self._log_at = 0
        self._log_rest = ""

    def start(self):
        # Without a terminal postfix(1) is silent until its own logging runs, hence script(1).
        done = run("script", "-qec", f"postfix -c {self.dir} start", "/dev/null", check=False)
        if done.returncode != 0:
            raise LabError(f"postfix {self.name} did not start: {done.stdout}{self.log_tail()}")
        for host, port in self.listeners:
            wait_until(lambda: greets(host, int(port)), 15, f"{self.name} to greet on {host}:{port}")
        return self

    def stop(self):
        run("script", "-qec", f"postfix -c {self.dir} stop", "/dev/null", check=False)

    def crash(self):
        """kill -9 of everything that belongs to it. What is in its queue stays there until start()."""
        master = int((self.queue / "pid" / "master.pid").read_text())
        send_signal([master, *children_of(master)], signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{master}").exists(), 10, f"{self.name} to be gone")

    def reload(self):
        run("postfix", "-c", self.dir, "reload")

    def flush(self):
        """Tries every queued message again, now."""
        run("postqueue", "-c", self.dir, "-f", check=False)

    def forget(self):
        """Deletes what is queued, and ends the processes that remember TLSA records."""
        run("postsuper", "-c", self.dir, "-d", "ALL", check=False)
        self.reload()

    def queued(self):
        """How many messages wait in the queue."""
        return run("postqueue", "-c", self.dir, "-j", check=False).stdout.count('"queue_id"')

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_tail(self, lines=15):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def new_log_lines(self):
        """Whole log lines since the last call."""
        if not self.log.exists():
            return []
        with open(self.log, errors="replace") as f:
            f.seek(self._log_at)
            text = self._log_rest + f.read()
            self._log_at = f.tell()
        lines = text.split("\n")
        self._log_rest = lines.pop()
        return lines


def greets(host, port):
    with socket.create_connection((host, port), timeout=2) as s:
        return s.recv(512).startswith(b"220")


def listens(host, port):
    socket.create_connection((host, port), timeout=2).close()
    return True


QUEUED = re.compile(r"postfix/cleanup\[\d+\]: (\w+): message-id=<([^>]*)@id\.lab>")
OUTCOME = re.compile(r"postfix/\w+\[\d+\]: (\w+): to=<[^>]*>,.* status=(\w+) (\(.*\))$")
UNSURE = re.compile(r"postfix/smtp\[\d+\]: (\w+): .*message may be sent more than once")
TLS = re.compile(r"postfix/smtp\[\d+\]: (\w+) TLS connection established to (\S+):")


class Sender(Postfix):
    """Sends with `dane-only`: no delivery unless the server's key matches a validated TLSA record.
    Reads its own log into counts; ids are the local parts of Message-IDs at id.lab."""

    def __init__(self, name="sender", address=zones.SENDER, settings=None):
        super().__init__(name, {f"{address}:25": []}, {
            "myhostname": f"sender.{zones.ZONE}",
            "smtp_bind_address": address,
            "relay_domains": "",
            "smtp_host_lookup": "dns",
            "smtp_dns_support_level": "dnssec",
            "smtp_tls_security_level": "dane-only",
            "smtp_tls_loglevel": "1",
            "smtp_tls_connection_reuse": "no",
            "smtp_connection_cache_on_demand": "no",
            "smtp_connect_timeout": "15s",
            "smtp_helo_timeout": "30s",
            "smtp_data_done_timeout": "60s",
            "default_destination_concurrency_failed_cohort_limit": "0",
            "default_destination_concurrency_limit": "10",
            "minimal_backoff_time": "2s",
            "maximal_backoff_time": "4s",
            "queue_run_delay": "2s",
            "bounce_queue_lifetime": "0",
            **(settings or {}),
        })
        self.address = address
        self.id_of = {}  # queue id -> message id
        self.outcomes = collections.defaultdict(list)  # message id -> ["sent", "deferred", …] in order
        self.reasons = collections.Counter()  # text of what was not sent -> times
        self.tls = collections.Counter()  # "Verified" etc. -> connections
        self.unsure = set()  # message ids that may have been taken although no answer was heard

    def read_log(self):
        for line in self.new_log_lines():
            if m := UNSURE.search(line):
                self.unsure.add(self.id_of.get(m[1], m[1]))
            if m := QUEUED.search(line):
                self.id_of[m[1]] = m[2]
            elif m := OUTCOME.search(line):
                self.outcomes[self.id_of.get(m[1], m[1])].append(m[2])
                if m[2] != "sent":
                    self.reasons[m[3]] += 1
            elif m := TLS.search(line):
                self.tls[m[1]] += 1
        return self

    def sent(self, message_id):
        return "sent" in self.read_log().outcomes[message_id]

    def deferred(self, message_id):
        return "deferred" in self.read_log().outcomes[message_id]


class MaildirBackend(Postfix):
    """Accepts mail for `domains` in clear and writes every message to one Maildir. `listen` is ADDR:PORT with
    `options`, or several as Postfix has them."""

    def __init__(self, name="backend", listen=f"{zones.BACKEND}:2525", domains=(zones.DOMAIN,), options=(), settings=None):
        mailbox = Path("/var/mail") / f"lab-{name}"
        shutil.rmtree(mailbox, ignore_errors=True)
        owner = pwd.getpwnam("nobody")
        mailbox.mkdir(parents=True)
        os.chown(mailbox, owner.pw_uid, owner.pw_gid)
        super().__init__(name, listen if isinstance(listen, dict) else {listen: list(options)}, {
            "myhostname": f"{name}.{zones.ZONE}",
            "virtual_mailbox_domains": ", ".join(domains),
            "virtual_mailbox_base": mailbox,
            "virtual_mailbox_maps": "static:all/",
            "virtual_uid_maps": f"static:{owner.pw_uid}",
            "virtual_gid_maps": f"static:{owner.pw_gid}",
            "virtual_minimum_uid": "1",
            "smtpd_recipient_restrictions": "reject_unauth_destination",
            "smtpd_peername_lookup": "no",  # no greeting waits for a name server that a test has stopped
            "smtpd_authorized_xclient_hosts": "127.0.0.0/8",
            "smtpd_authorized_xforward_hosts": "127.0.0.0/8",
            "local_header_rewrite_clients": "",
            "message_size_limit": "60000000",
            "mailbox_size_limit": "0",
            "virtual_mailbox_limit": "0",
            **(settings or {}),
        })
        self.mailbox = mailbox / "all" / "new"
        self._ids = {}  # file name -> message id

    def messages(self):
        """The stored messages' files."""
        return sorted(self.mailbox.iterdir()) if self.mailbox.exists() else []

    def delivered(self):
        """How often each message id was stored (a Counter): more than once is a duplicate."""
        for path in self.messages():
            if path.name not in self._ids:
                found = re.search(rb"^Message-ID:\s*<([^>]*)@id\.lab>", path.read_bytes(), re.M | re.I)
                self._ids[path.name] = found[1].decode() if found else path.name
        return collections.Counter(self._ids.values())

    def text_of(self, message_id):
        """One stored message as bytes."""
        self.delivered()
        for name, found in self._ids.items():
            if found == message_id:
                return (self.mailbox / name).read_bytes()
        raise LabError(f"no message {message_id} in {self.mailbox}")


class HandMx(MaildirBackend):
    """mx2: a receiver with STARTTLS of its own, no danegate. Its TLSA records are written by the tests:
    it proves that the laboratory itself notices a wrong pin."""

    def __init__(self, certificate, key, name="mx2", address=zones.HAND_MX):
        super().__init__(name, f"{address}:25", (zones.DOMAIN_HAND,), settings={
            "myhostname": zones.MX_HAND,
            "smtpd_tls_security_level": "may",
            "smtpd_tls_chain_files": f"{key}, {certificate}",
        })
