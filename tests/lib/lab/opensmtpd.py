"""OpenSMTPD, unpacked beside the installed Postfix: a backend with a Maildir. It knows neither PIPELINING nor
CHUNKING nor SMTPUTF8, takes no quoted local part, and no ORCPT but a plain one."""

import os
import pwd
import shutil
from pathlib import Path

from . import zones
from .postfix import greets, listens
from .proc import RUN, Proc, run, wait_until

HOME = Path("/opt/beside/opensmtpd")
SPOOL = Path("/var/spool/smtpd")  # where it is, and its helpers, is compiled in
OWNER = "nobody"

CONFIG = """smtp max-message-size "100M"
smtp limit max-mails 100000
smtp limit max-rcpt 100000
listen on {address} port {port} hostname {name}.{zone}{options}
table users {{ "@" = "{owner}" }}
action "store" maildir "{mailbox}" virtual <users> user {owner}
match from any for domain "{domain}" action "store"
"""


class OpenSmtpdBackend:
    """Accepts mail for example.lab in clear, every recipient's copy in one Maildir. There can be one of it. With
    `options` proxy-v2 it takes nobody's word but a PROXY header's, and greets nobody before one."""

    plain = True

    def __init__(self, name="opensmtpd", address=zones.FAKE_BACKEND, port=2529, options=""):
        self.name, self.address, self.port, self.options = name, address, port, options
        self.dir = RUN / name
        self.log = self.dir / "smtpd.log"
        mailbox = Path("/var/mail") / f"lab-{name}"
        self.mailbox = mailbox / "new"
        for d in (self.dir, mailbox, SPOOL):
            shutil.rmtree(d, ignore_errors=True)
        self.dir.mkdir(parents=True)
        owner = pwd.getpwnam(OWNER)
        mailbox.mkdir(parents=True)
        os.chown(mailbox, owner.pw_uid, owner.pw_gid)
        Path("/var/lib/opensmtpd/empty").mkdir(mode=0o711, parents=True, exist_ok=True)
        libexec = Path("/usr/libexec/opensmtpd")
        if not libexec.exists():
            libexec.parent.mkdir(exist_ok=True)
            libexec.symlink_to(HOME / "usr/libexec/opensmtpd")
        self.config = self.dir / "smtpd.conf"
        self.config.write_text(CONFIG.format(address=address, port=port, name=name, zone=zones.ZONE, domain=zones.DOMAIN,
                                             options=" " + options if options else "", owner=OWNER, mailbox=mailbox))
        self.proc = Proc([HOME / "usr/sbin/smtpd", "-d", "-f", self.config], self.log)

    def start(self):
        run(HOME / "usr/sbin/smtpd", "-n", "-f", self.config)
        self.proc.start()
        answers = listens if "proxy-v2" in self.options else greets
        wait_until(lambda: self.proc.must_run() and answers(self.address, self.port), 15, f"OpenSMTPD to greet ({self.log})")
        return self

    def stop(self):
        self.proc.stop()

    def messages(self):
        return sorted(self.mailbox.iterdir()) if self.mailbox.exists() else []

    def queued(self):
        """How many messages wait: a directory for each, below the first two digits of its id."""
        return len(list((SPOOL / "queue").glob("*/*")))

    def flush(self):
        """Nothing is ever left behind: it tries at once, and is not killed."""

    def got_chunks(self):
        return False

    # One process receives for all sessions, and the others end with it, those that deliver included: killed
    # between writing a mailbox and noting it they would deliver twice.
    kill_sessions = None
