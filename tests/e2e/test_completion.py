"""The completion scripts in the real shells, with keys pressed at a terminal."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time

import pytest

from lab.proc import RUN, run, slowness
from lab.programs import TlsaSync, sanitizer_env

# What is completed is echoed by a function of the program's name, so nothing is run but the script.
ECHO = "tlsa-sync() { echo GOT:$*:; }"
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "PS1='% '; . {script}; {echo}\n"),
    "zsh": (["zsh", "-f", "-i"], "PS1='%% '; fpath=({directory} $fpath); autoload -U compinit; compinit -D -u; {echo}\n"),
}


class Terminal:
    """A shell at a terminal of its own."""

    def __init__(self, argv):
        self.ours, theirs = pty.openpty()
        self.child = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, cwd=RUN,
                                      env={**os.environ, **sanitizer_env(), "TERM": "dumb", "HISTFILE": ""},
                                      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY))
        os.close(theirs)
        self.shown = ""

    def type(self, keys, wanted):
        """Types and waits until `wanted` is shown behind what was shown before."""
        before = len(self.shown)
        os.write(self.ours, keys.encode())
        end = time.monotonic() + 30 * slowness()
        while wanted not in self.shown[before:]:
            ready, _, _ = select.select([self.ours], [], [], max(0, end - time.monotonic()))
            assert ready, f"{keys!r} does not make the shell show {wanted!r}: {self.shown!r}"
            self.shown += os.read(self.ours, 65536).decode(errors="replace")

    def close(self):
        self.child.kill()
        self.child.wait()
        os.close(self.ours)


@pytest.mark.parametrize("shell", SHELLS)
def test_completion(shell):
    directory = RUN / "completion"
    directory.mkdir(exist_ok=True)
    script = directory / ("_tlsa-sync" if shell == "zsh" else "tlsa-sync.bash")
    script.write_text(run(TlsaSync.path(), "--completion", shell, env=sanitizer_env()).stdout)
    argv, setup = SHELLS[shell]
    terminal = Terminal(argv)
    try:
        terminal.type(setup.format(script=script, directory=directory, echo=ECHO), "GOT")
        terminal.type("echo rea''dy\n", "ready")
        # A command, an option of its own, and one before the command.
        for keys, wanted in (("tlsa-sync rot\t--em\t--f\t\n", "rotate --emergency --force"), ("tlsa-sync ren\t--w\t\n", "renew --wait"),
                             ("tlsa-sync --ver\t\n", "--version"), ("tlsa-sync -c /x stat\t--wa\t\n", "-c /x status --watch"),
                             ("tlsa-sync status --em\t\n", "status --em")):
            terminal.type(keys, f"GOT:{wanted}:")
    finally:
        terminal.close()
