"""danegate and what it is compared with, all in front of the same sink, all with one P-256 key, TLS 1.3 and
X25519, two worker processes where there are workers, and no delays or limits that are meant for strangers."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "lib"))

from lab import zones  # noqa: E402
from lab.pin import make_certificate  # noqa: E402
from lab.postfix import Postfix, greets  # noqa: E402
from lab.proc import RUN, children_of, wait_until  # noqa: E402
from lab.programs import Danegate, bin_dir  # noqa: E402

SINK = "127.25.0.61"
SINK_PORT = 2525
EXTENSIONS = "PIPELINING", "SIZE 1000000000", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES"


class Peer:
    """A server on `address`, port 25. `clear`: it ends no TLS, the load speaks to it in clear. `workers`: processes,
    where a peer lets one choose."""

    name = address = None
    clear = False
    workers = 2

    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key
        self.dir = RUN / f"bench-{self.name}"
        self.dir.mkdir(parents=True, exist_ok=True)
        self.proc = None

    def launch(self, *argv):
        with open(self.dir / "out.log", "w") as log:
            self.proc = subprocess.Popen([str(a) for a in argv], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def start(self):
        self.begin()
        wait_until(lambda: greets(self.address, 25), 20, f"{self.name} to greet")
        return self

    def stop(self):
        self.proc.terminate()
        self.proc.wait(30)

    def pids(self):
        return [self.proc.pid, *children_of(self.proc.pid)]


class Ours(Peer):
    name, address = "danegate", zones.EDGE
    identities = None  # the standard one
    deadline_s = 20
    state_dir = None  # a fresh one

    def begin(self):
        self.danegate = Danegate(name="bench-danegate", backend=f"{SINK}:{SINK_PORT}", changes={
            **({"state_dir": self.state_dir} if self.state_dir else {}),
            "log": {"level": "warning"},
            "proxy": {"workers": self.workers},
            "identities": self.identities or [{"name": zones.MX}],
            "backend": {"client_info": "none", "reply_timeout": "60s", "data_timeout": "60s"},
            "smtp": {"max_message_size": "500M", "max_transactions": 1000},
            "limits": {"sessions": 100000, "sessions_per_address": 100000, "sessions_per_prefix": 100000},
        })
        self.danegate.start_serving(self.deadline_s)

    def stop(self):
        self.danegate.stop()

    def pids(self):
        pid = self.danegate.proc.pid
        return [pid, *children_of(pid)]


class Limit(Peer):
    """The sink with STARTTLS: BoringSSL and epoll, nothing is passed on."""

    name, address = "limit", "127.25.0.62"

    def begin(self):
        self.launch(bin_dir() / "bench-sink", self.address, 25, self.certificate, self.key)


class Nginx(Peer):
    name, address = "nginx", "127.25.0.63"

    def begin(self):
        offers = " ".join(f'"{e}"' for e in EXTENSIONS)
        conf = self.dir / "nginx.conf"
        conf.write_text(f"""load_module /usr/lib/nginx/modules/ngx_mail_module.so;
user root;
daemon off;
pid {self.dir}/pid;
error_log {self.dir}/error.log warn;
worker_processes {self.workers};
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; multi_accept on; }}
mail {{
  server_name mx1.example.lab;
  auth_http 127.25.0.64:8099/;
  xclient off;
  smtp_auth none;
  smtp_capabilities {offers};
  ssl_certificate {self.certificate};
  ssl_certificate_key {self.key};
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_ecdh_curve X25519;
  timeout 600s;
  proxy_timeout 600s;
  server {{ listen {self.address}:25 backlog=4096; protocol smtp; starttls on; }}
}}
http {{
  access_log off;
  keepalive_requests 1000000;
  server {{
    listen 127.25.0.64:8099 backlog=4096;
    location / {{
      add_header Auth-Status OK;
      add_header Auth-Server {SINK};
      add_header Auth-Port {SINK_PORT};
      return 204;
    }}
  }}
}}
""")
        self.launch("/usr/sbin/nginx", "-c", conf, "-e", self.dir / "error.log")


class Stunnel(Peer):
    """Opens its backend connection first and knows no SMTP beyond STARTTLS."""

    name, address = "stunnel", "127.25.0.65"

    def begin(self):
        both = self.dir / "both.pem"
        both.write_text(Path(self.key).read_text() + Path(self.certificate).read_text())
        both.chmod(0o600)
        conf = self.dir / "stunnel.conf"
        conf.write_text(f"""foreground = yes
pid = {self.dir}/pid
debug = 3
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[smtp]
accept = {self.address}:25
connect = {SINK}:{SINK_PORT}
protocol = smtp
cert = {both}
sslVersionMin = TLSv1.2
curves = X25519
TIMEOUTidle = 600
""")
        self.launch("/usr/bin/stunnel4", conf)


class BeforeQueue(Peer):
    """Postfix with smtpd_proxy_filter: the one peer that is a whole SMTP server and has no queue either."""

    name, address = "postfix", "127.25.0.66"

    def begin(self):
        self.postfix = Postfix("bench-postfix", {f"{self.address}:25": [f"smtpd_proxy_filter={SINK}:{SINK_PORT}"]}, {
            "myhostname": "mx1.example.lab",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": self.certificate,
            "smtpd_tls_key_file": self.key,
            "smtpd_tls_session_cache_database": "",
            "message_size_limit": "500000000",
            "default_process_limit": "1100",
            "max_use": "1000000",
            "smtpd_recipient_restrictions": "permit_mynetworks, reject",
            "relay_domains": "sink.bench",
            "smtpd_client_connection_count_limit": "0",
            "smtpd_client_message_rate_limit": "0",
            "smtpd_proxy_options": "",
        })
        self.postfix.start()

    def stop(self):
        self.postfix.stop()

    def pids(self):
        master = int((self.postfix.queue / "pid" / "master.pid").read_text())
        return [master, *children_of(master)]


class Haproxy(Peer):
    """TCP only: what passing octets on costs, without TLS."""

    name, address, clear = "haproxy", "127.25.0.67", True

    def begin(self):
        conf = self.dir / "haproxy.cfg"
        conf.write_text(f"""global
  maxconn 9000
  nbthread 2
defaults
  mode tcp
  timeout connect 10s
  timeout client 600s
  timeout server 600s
listen smtp
  bind {self.address}:25
  server sink {SINK}:{SINK_PORT}
""")
        self.launch("/usr/sbin/haproxy", "-db", "-f", conf)


ALL = [Ours, Limit, Nginx, Stunnel, BeforeQueue, Haproxy]


class Sink(Peer):
    name, address = "sink", SINK

    def begin(self):
        self.launch(bin_dir() / "bench-sink", SINK, SINK_PORT)

    def start(self):
        self.begin()
        wait_until(lambda: greets(SINK, SINK_PORT), 10, "the sink to greet")
        return self

    def report(self):
        """Ends it; what it took."""
        import json

        self.stop()
        return json.loads((self.dir / "out.log").read_text())


def certificate():
    cert, key, _ = make_certificate("bench", "mx1.example.lab")
    return cert, key
