"""Processes, deadlines and the lab's directory. Everything else builds on these few things."""

import os
import signal
import subprocess
import time
from pathlib import Path

RUN = Path("/run/lab")  # labroot binds build/lab here, so logs and sockets are visible outside
PROJECT = Path(__file__).resolve().parents[3]


class LabError(Exception):
    """Something in the laboratory itself went wrong, or a deadline passed."""


def require_labroot():
    if not os.environ.get("LAB_ROOT"):
        raise LabError("run this inside the lab: tests/lib/labroot exec …")


def slowness():
    """Deadlines are multiplied by this; set LAB_SLOW=3 on a loaded machine."""
    return float(os.environ.get("LAB_SLOW", "1"))


def wait_until(predicate, deadline_s, what, every_s=0.05):
    """Polls until predicate() is true and returns its value. A deadline is a failure that says what
    was waited for, and what the predicate last raised, if it did."""
    end = time.monotonic() + deadline_s * slowness()
    last = None
    while True:
        try:
            value = predicate()
            if value:
                return value
            last = None
        except (OSError, LabError, LookupError, ValueError, EOFError, subprocess.TimeoutExpired) as e:
            last = e
        if time.monotonic() >= end:
            because = f" (last: {last})" if last else ""
            raise LabError(f"after {deadline_s:g} s still waiting for {what}{because}")
        time.sleep(every_s)


def run(*argv, check=True, timeout=60, input=None, env=None):
    """Runs a command to its end; its output is in the exception when it fails."""
    argv = [str(a) for a in argv]
    done = subprocess.run(
        argv, input=input, capture_output=True, text=True, timeout=timeout * slowness(),
        env={**os.environ, **(env or {})}, errors="replace",
    )
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def children_of(pid, nearest=False):
    """All descendants of pid, nearest first; or only its own children."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (OSError, IndexError):
                continue
            if fields[0] != "Z":
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        for child in parents.get(todo.pop(0), []):
            found.append(child)
            if not nearest:
                todo.append(child)
    return found


def send_signal(pids, sig):
    for pid in pids:
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            pass


class Proc:
    """One foreground program. Output goes to LOG; stop() is idempotent."""

    def __init__(self, argv, log, env=None, cwd=None):
        self.argv = [str(a) for a in argv]
        self.log = Path(log)
        self.env = env
        self.cwd = cwd
        self.popen = None

    def start(self):
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.cwd,
                env={**os.environ, **(self.env or {})}, start_new_session=True,
            )
        return self

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def must_run(self):
        if not self.running():
            raise LabError(f"{self.argv[0]} ended; its log {self.log}:\n{self.log_tail()}")
        return True

    def everyone(self):
        return [self.pid, *children_of(self.pid)]

    def pause(self):
        """SIGSTOP, with all children: the program is alive and silent."""
        send_signal(self.everyone(), signal.SIGSTOP)

    def resume(self):
        send_signal(self.everyone(), signal.SIGCONT)

    def kill(self):
        """SIGKILL to the main process only: what a crash looks like."""
        send_signal([self.pid], signal.SIGKILL)
        self.popen.wait()

    def wait(self, timeout_s):
        try:
            return self.popen.wait(timeout_s * slowness())
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.argv[0]} did not end within {timeout_s:g} s") from None

    def stop(self, timeout_s=20):
        """SIGTERM, then SIGKILL to everyone left. Returns the exit status."""
        if self.popen is None:
            return None
        family = self.everyone() if self.running() else []
        send_signal(family, signal.SIGCONT)
        if self.running():
            self.popen.terminate()
            try:
                self.popen.wait(timeout_s * slowness())
            except subprocess.TimeoutExpired:
                send_signal(family, signal.SIGKILL)
                self.popen.wait()
        send_signal([p for p in family if p != self.pid], signal.SIGKILL)
        return self.popen.returncode

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_tail(self, lines=15):
        return "\n".join(self.log_text().splitlines()[-lines:])
