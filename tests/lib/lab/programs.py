"""danegate and tlsa-sync as the tests run them: configuration, sockets, signals, sanitizer reports."""

import copy
import fcntl
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import termios
from pathlib import Path

from . import zones
from .proc import PROJECT, RUN, LabError, Proc, children_of, run, send_signal, slowness, wait_until

REPORTS = RUN / "sanitizer"  # a file in here is a finding of ASan or UBSan


def bin_dir():
    """Where the programs are: $DANEGATE_BIN, or the first preset that has been built."""
    if os.environ.get("DANEGATE_BIN"):
        return Path(os.environ["DANEGATE_BIN"])
    for preset in ("asan", "release", "dev"):
        if (PROJECT / "build" / preset / "bin" / "danegate").exists():
            return PROJECT / "build" / preset / "bin"
    raise LabError("no danegate under build/*/bin: build first (cmake --preset asan && cmake --build --preset asan)")


def sanitizer_env():
    REPORTS.mkdir(parents=True, exist_ok=True)
    return {
        "ASAN_OPTIONS": f"log_path={REPORTS}/asan:detect_leaks=1:abort_on_error=0:exitcode=99:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": f"log_path={REPORTS}/ubsan:print_stacktrace=1:halt_on_error=1:exitcode=99",
        "LSAN_OPTIONS": "exitcode=99",
    }


def sanitizer_reports():
    return sorted(REPORTS.glob("*san.*")) if REPORTS.exists() else []


def to_yaml(value, indent=""):
    """Nested dicts, lists and scalars as block YAML."""
    lines = []
    for key, inner in value.items():
        if isinstance(inner, dict):
            lines += [f"{indent}{key}:", to_yaml(inner, indent + "  ")]
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            lines.append(f"{indent}{key}:")
            for item in inner:
                block = to_yaml(item, indent + "    ")
                lines.append(f"{indent}  - {block.lstrip()}")
        elif isinstance(inner, list):
            lines.append(f"{indent}{key}: [{', '.join(scalar(i) for i in inner)}]")
        else:
            lines.append(f"{indent}{key}: {scalar(inner)}")
    return "\n".join(lines)


def scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    plain = text and all(c.isalnum() or c in "._/-" for c in text)
    return text if plain else json.dumps(text)


def merged(base, changes):
    """base with nested changes; None removes a key."""
    result = copy.deepcopy(base)
    for key, value in (changes or {}).items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def ask_line(path, line, timeout_s=30, until_close=False):
    """One line to a unix socket; the answer line, or everything until the server closes."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout_s * slowness())
        s.connect(str(path))
        s.sendall(line.encode() + b"\n")
        data = bytearray()
        while until_close or not data.endswith(b"\n"):
            part = s.recv(65536)
            if not part:
                break
            data += part
        return data.decode()


LAB_DNS = {
    "trust_anchor": "/usr/share/dns/root.key",
    "root_hints": "/usr/share/dns/root.hints",
    "timeout": "2s",
}


class Program:
    """What both have in common: a configuration file, a log, a stats socket."""

    binary = None

    def __init__(self, name, config, extra_args=()):
        self.dir = RUN / name
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        self.config_file = self.dir / "danegate.yaml"
        self.log = self.dir / "log"
        self.extra_args = list(extra_args)
        self.proc = None
        self.write_config(config)

    def write_config(self, config):
        self.config = config
        self.config_file.write_text(to_yaml(config) + "\n")

    def change_config(self, changes):
        self.write_config(merged(self.config, changes))

    @classmethod
    def path(cls):
        return bin_dir() / cls.binary

    def argv(self):
        return [self.path(), "-c", self.config_file, *self.extra_args]

    def launch(self):
        """Starts the program without waiting for it to be ready."""
        self.proc = Proc(self.argv(), self.log, env=sanitizer_env()).start()
        return self

    def start(self, deadline_s=20):
        self.launch()
        wait_until(lambda: self.proc.must_run() and self.ready(), deadline_s, f"{self.binary} to be ready ({self.log})")
        return self

    def stop(self):
        if self.proc:
            self.proc.resume()
            status = self.proc.stop(timeout_s=30)
            self.proc = None
            return status
        return None

    def crash(self):
        """kill -9 of the main process."""
        self.proc.kill()

    def running(self):
        return self.proc is not None and self.proc.running()

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def show(self, what):
        """A stats command's answer for people."""
        return ask_line(self.stats_socket, what, until_close=True)

    def json(self, what):
        """A stats command's answer for programs."""
        return json.loads(self.show("json " + what))


class Danegate(Program):
    binary = "danegate"

    def __init__(self, name="edge", backend=f"{zones.BACKEND}:2525", address=zones.EDGE, changes=None):
        directory = RUN / name
        self.address = address
        self.control_socket = directory / "control.sock"
        self.stats_socket = directory / "stats.sock"
        super().__init__(name, merged({
            "state_dir": str(directory / "state"),
            "log": {"level": "debug"},
            "dns": LAB_DNS,
            "proxy": {
                "hostname": zones.MX,
                "listen": [f"{address}:25"],
                "workers": 2,
                "control_socket": str(self.control_socket),
                "stats_socket": str(self.stats_socket),
                "drain_timeout": "10s",
            },
            "identities": [{"name": zones.MX}],
            # The scripted backends of the fault tests know no XCLIENT.
            "backend": {"address": backend, "client_info": "xclient" if backend == f"{zones.BACKEND}:2525" else "none",
                        "connect_timeout": "2s", "reply_timeout": "5s", "data_timeout": "6s"},
        }, changes))
        (directory / "state").mkdir(mode=0o700)

    def control(self, **request):
        """One request on the control socket; the answer, whatever it says."""
        return json.loads(ask_line(self.control_socket, json.dumps(request)))

    def ready(self):
        return self.control(do="hello")["ok"]

    def identity(self, name=zones.MX):
        """The report's entry of one identity."""
        report = self.control(do="report", identity=name)
        return next(i for i in report["identities"] if i["name"] == name)

    def standby(self):
        """The number of the newest generation."""
        return max(g["number"] for g in self.identity()["generations"])

    def swap(self, generation):
        return self.control(do="swap", identity=zones.MX, generation=generation)

    def records(self):
        """What would pin every generation it has: a set of '3 1 1 hex'."""
        return {"3 1 1 " + k["spki_sha256"] for g in self.identity()["generations"] for k in g["keys"]}

    def digest(self, generation, name=zones.MX):
        """spki_sha256 of a generation's first key."""
        found = next(g for g in self.identity(name)["generations"] if g["number"] == generation)
        return found["keys"][0]["spki_sha256"]

    def serving(self):
        """Is a generation presented, and does the edge greet?"""
        if not self.identity()["presented"]:
            return False
        with socket.create_connection((self.address, 25), timeout=10) as s:
            return s.recv(100).startswith(b"220")

    def start_serving(self, deadline_s=20):
        self.start(deadline_s)
        wait_until(self.serving, deadline_s, "danegate to present a key and greet")
        return self

    def workers(self):
        return children_of(self.proc.pid)

    def crash_worker(self, which=0):
        pid = self.workers()[which]
        send_signal([pid], signal.SIGKILL)
        return pid

    def crash(self):
        """kill -9 of the supervisor. Its workers must end by themselves."""
        workers = self.workers()
        super().crash()
        wait_until(lambda: not any(Path(f"/proc/{w}").exists() for w in workers), 30, "orphaned workers to end")

    def reload(self):
        """SIGHUP by way of the control socket, which answers with what came of it."""
        return self.control(do="reload")

    def check(self):
        """danegate --check: (exit status, output)."""
        done = run(self.path(), "-c", self.config_file, "--check", check=False, env=sanitizer_env())
        return done.returncode, done.stdout + done.stderr


class TlsaSync(Program):
    binary = "tlsa-sync"

    def __init__(self, dns, edges, name="sync", changes=None, key=None):
        directory = RUN / name
        key = key or dns.key
        self.control_socket = directory / "control.sock"
        self.stats_socket = directory / "stats.sock"
        self.secret = RUN / f"{name}.tsig"
        super().__init__(name, merged({
            "log": {"level": "debug"},
            "dns": LAB_DNS,
            "proxy": {"hostname": zones.MX},
            "identities": [{"name": zones.MX}],
            "backend": {"address": f"{zones.BACKEND}:2525"},
            "tlsa_sync": {
                "journal": str(directory / "journal.db"),
                "control_socket": str(self.control_socket),
                "stats_socket": str(self.stats_socket),
                "instances": [str(e.control_socket) for e in edges],
                "publisher": "rfc2136",
                "rfc2136": {"tsig_name": key.name, "tsig_algorithm": key.algorithm, "tsig_key_file": str(self.secret)},
                "ttl": f"{zones.TTL_S}s",
                "wait": "two-ttl",
                "confirmations": 2,
                "poll": "500ms",
                "watch": "1s",
                "cache_margin": "2s",
                "hold": "3s",
                "rotate_every": "0",
                "probe": {"timeout": "3s"},
            },
        }, changes))
        self.secret.write_text(key.secret + "\n")
        self.secret.chmod(0o600)

    def argv(self):
        return [self.path(), "-c", self.config_file, "run"]

    def command(self, *words, check=True, timeout=120):
        """A subcommand as an operator types it."""
        return run(self.path(), "-c", self.config_file, *words, check=check, timeout=timeout, env=sanitizer_env())

    def on_terminal(self, answer, *words, behind=""):
        """A subcommand with a terminal for its input and output; (exit status, what it showed). `answer` is typed once
        `behind` has been shown; "\x03" is Ctrl-C."""
        ours, theirs = pty.openpty()
        child = subprocess.Popen([str(self.path()), "-c", str(self.config_file), *words], stdin=theirs, stdout=theirs,
                                 stderr=theirs, env={**os.environ, **sanitizer_env()}, close_fds=True, start_new_session=True,
                                 preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY))
        os.close(theirs)
        shown = b""
        while True:
            if answer and behind.encode() in shown:
                os.write(ours, answer.encode())
                answer = ""
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that the other side has closed
                break
            if not part:
                break
            shown += part
        os.close(ours)
        return child.wait(timeout=60 * slowness()), shown.decode(errors="replace")

    def ready(self):
        return bool(self.show("show info"))

    def status(self, identity=zones.MX):
        """`tlsa-sync status --json`: the entry of one identity."""
        answer = json.loads(self.command("status", "--json").stdout)
        return next(i for i in answer["identities"] if i["identity"] == identity)

    def state(self):
        return self.status()["state"]

    def state_now(self, identity=zones.MX):
        """The same, quicker: straight from the control socket, and little is asked for."""
        return json.loads(ask_line(self.control_socket, json.dumps({"do": "roll", "identity": identity})))["state"]

    def wait_state(self, *states, deadline_s=60):
        def reached():
            status = self.status()
            return status if status["state"] in states else None
        try:
            return wait_until(reached, deadline_s, f"state {' or '.join(states)}", every_s=0.2)
        except LabError as e:
            raise LabError(f"{e}; status: {self.status_or_error()}") from None

    def status_or_error(self):
        done = self.command("status", check=False)
        return done.stdout + done.stderr

    def wait_says(self, *texts, states=None, deadline_s=30):
        """Waits until the status that people read has all the texts, in one of the states."""
        def said():
            text, state = self.command("status").stdout, self.status()["state"]
            return all(t in text for t in texts) and (states is None or state in states)

        wait_until(said, deadline_s, f"status to say {texts} in {states}", every_s=0.3)

    def wait_steady(self, deadline_s=60):
        return self.wait_state("STEADY", deadline_s=deadline_s)

    def rotate(self):
        return self.command("rotate").stdout

    def history(self):
        return self.command("history").stdout
