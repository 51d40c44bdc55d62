"""Dovecot's LMTP server: a mail store with a Maildir for each recipient, on a TCP port and on a unix socket. It believes
XCLIENT of those whom it trusts."""

import collections
import os
import pwd
import re
import shutil
import socket
from pathlib import Path

from .proc import RUN, Proc, wait_until

OWNER = "nobody"

CONFIG = """protocols = lmtp
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
ssl = no
login_trusted_networks = 127.0.0.0/8
auth_username_format = %Lu
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = {dir}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={mail}/%d/%n
}}
mail_location = maildir:{mail}/%d/%n
service lmtp {{
  inet_listener lmtp {{
    address = {address}
    port = {port}
  }}
  unix_listener {dir}/lmtp {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


class Dovecot:
    """It knows `users` (addresses) only."""

    def __init__(self, address, users, port=2424, name="dovecot"):
        self.address, self.port = address, port
        self.dir = RUN / name
        self.socket = self.dir / "lmtp"
        self.mail = Path("/var/mail") / f"lab-{name}"
        for d in (self.dir, self.mail):
            shutil.rmtree(d, ignore_errors=True)
            d.mkdir(parents=True)
            d.chmod(0o755)
        owner = pwd.getpwnam(OWNER)
        os.chown(self.mail, owner.pw_uid, owner.pw_gid)
        self.log = self.dir / "dovecot.log"
        (self.dir / "users").write_text("".join(f"{user}:{{PLAIN}}unused\n" for user in users))
        conf = self.dir / "dovecot.conf"
        conf.write_text(CONFIG.format(dir=self.dir, mail=self.mail, address=address, port=port, uid=owner.pw_uid, gid=owner.pw_gid))
        self.proc = Proc(["dovecot", "-F", "-c", conf], self.dir / "output")

    def start(self):
        self.proc.start()
        wait_until(lambda: self.proc.must_run() and self._greets(), 15, f"Dovecot to greet ({self.log})")
        return self

    def _greets(self):
        with socket.create_connection((self.address, self.port), timeout=2) as s:
            return s.recv(512).startswith(b"220")

    def stop(self):
        self.proc.stop()

    def texts(self):
        """(recipient, the message) of everything stored."""
        for path in sorted(self.mail.glob("*/*/new/*")):
            yield f"{path.parts[-3]}@{path.parts[-4]}", path.read_text(errors="replace")

    def copies(self, message_id):
        """Recipient -> how many copies of the message it has."""
        wanted = re.compile(rf"^Message-ID:\s*<{re.escape(message_id)}@id\.lab>", re.M | re.I)
        return collections.Counter(to for to, text in self.texts() if wanted.search(text))

    def received(self, message_id):
        """The newest Received field of one of the message's copies: Dovecot's own."""
        text = next(t for _, t in self.texts() if f"<{message_id}@id.lab>" in t)
        return re.search(r"^Received: (.*\n(?:\s.*\n)*)", text, re.M)[1]

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""
