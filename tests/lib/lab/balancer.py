"""HAProxy as a load balancer in front of danegate: TCP through, the client told in a PROXY header."""

import csv
import io
import socket

from . import zones
from .proc import RUN, Proc, run, wait_until

CONFIG = """global
  stats socket {socket} mode 600
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout check 20s
frontend smtp
  bind {address}:25
  default_backend edge
backend edge
  source {address}
  option smtpchk EHLO balancer.lab
  server edge {edge}:25 {header} check check-send-proxy inter 300ms
"""


class Balancer:
    """`header` is HAProxy's word for it: send-proxy (version 1) or send-proxy-v2."""

    def __init__(self, header, address="127.25.0.24"):
        self.address = address
        self.dir = RUN / "balancer"
        self.dir.mkdir(parents=True, exist_ok=True)
        self.config = self.dir / "haproxy.cfg"
        self.socket = self.dir / "haproxy.sock"
        self.config.write_text(CONFIG.format(socket=self.socket, address=address, edge=zones.EDGE, header=header))
        self.proc = Proc(["/usr/sbin/haproxy", "-W", "-f", self.config], self.dir / "haproxy.log")

    def __enter__(self):
        run("/usr/sbin/haproxy", "-c", "-f", self.config)
        self.proc.start()
        wait_until(lambda: self.proc.must_run() and self.state() == ("UP", "L7OK"), 15, "HAProxy to find the edge healthy")
        return self

    def __exit__(self, *_):
        self.proc.stop()

    def state(self):
        """What the health check says of the edge: (status, why)."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(self.socket))
            s.sendall(b"show stat\n")
            text = b""
            while part := s.recv(65536):
                text += part
        rows = csv.DictReader(io.StringIO(text.decode().lstrip("# ")))
        return next((r["status"], r["check_status"]) for r in rows if r["pxname"] == "edge" and r["svname"] == "edge")
