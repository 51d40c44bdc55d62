#!/usr/bin/env python3
"""Checks the architecture from the #include lines alone.

 * A room includes only itself and rooms below it; proxy and tlsa-sync never meet.
 * A file without a suffix is pure: it includes no header of a suffixed file and
   no system header that reaches the outside world.
 * Every .c includes its own header first; every header says Owns/Never/Spec/Start at.

Usage: check_includes.py SOURCE_DIR; with --self-test it proves that it can fail.
"""
import re
import sys
import tempfile
from pathlib import Path

BELOW = {
    "base": set(),
    "config": {"base"},
    "dns": {"config", "base"},
    "certs": {"config", "base"},
    "proxy": {"certs", "dns", "config", "base"},
    "tlsa-sync": {"certs", "dns", "config", "base"},
}
# The pin guard decides over TLSA values, which are pure values of `dns`.
SIBLINGS = {("certs", "dns/tlsa.h"), ("certs", "dns/name.h")}
SUFFIX = re.compile(r"_(uv|ssl|ldns|ares|ub|fs|db|curl)$")
IMPURE = re.compile(
    r"^(uv|ares|unbound|sqlite3|microhttpd|seccomp|time|unistd|fcntl|poll|pthread|dirent|netdb)\.h$|^(openssl|ldns|curl)/|^sys/(?!types|un|socket)")
# gmtime_r turns a number into a date and reads no clock.
ALLOWED = {("base/instant.c", "time.h")}
# Programs' entry points and commands are shells by nature.
SHELL_NAMES = re.compile(r"^(main|cmd_\w+)$")
HEADER_WORDS = ("Owns:", "Never:", "Spec:", "Start at:")


def is_pure(path):
    return not SUFFIX.search(path.stem) and not SHELL_NAMES.match(path.stem)


def check_file(root, path):
    room = path.relative_to(root).parts[0]
    text = path.read_text()
    own = str(path.relative_to(root).with_suffix(".h"))
    includes = re.findall(r'^\s*#\s*include\s+(["<])([^">]+)[">]', text, re.M)
    for kind, name in includes:
        if kind == '"':
            target = name.split("/")[0]
            if target in BELOW and target != room and target not in BELOW[room] and (room, name) not in SIBLINGS:
                yield f"{path}: room {room} may not include {name}"
            if is_pure(path) and SUFFIX.search(Path(name).stem):
                yield f"{path}: a pure file includes {name}"
        elif is_pure(path) and IMPURE.search(name) and (str(path.relative_to(root)), name) not in ALLOWED:
            yield f"{path}: a pure file includes <{name}>"
    if path.suffix == ".c" and (root / own).exists() and (not includes or includes[0][1] != own):
        yield f"{path}: does not include its own header first"
    if path.suffix == ".h":
        head = text[:1200]
        for word in HEADER_WORDS:
            if word not in head:
                yield f"{path}: the header does not say {word}"


def check(root):
    num = 0
    for room in BELOW:
        for path in sorted((root / room).rglob("*.[ch]")):
            num += 1
            yield from check_file(root, path)
    if num < 10 and "--self-test" not in sys.argv:
        yield f"{root}: only {num} files found"


def self_test():
    head = "/* Owns: Never: Spec: Start at: */\n"
    bad = {
        "base/a.h": head + '#include "dns/name.h"\n',
        "base/b.c": "#include <uv.h>\n",
        "config/c.c": '#include "base/wire_uv.h"\n',
        "proxy/d_uv.h": head + '#include "tlsa-sync/rollover.h"\n',
        "certs/e_ssl.c": '#include "dns/secure_ub.h"\n',
        "dns/f.h": "/* says nothing */\n",
        "base/a.c": '#include "base/ec.h"\n#include "base/a.h"\n',
    }
    good = {"certs/pin.h": head + '#include "dns/tlsa.h"\n', "proxy/g_uv.c": "#include <uv.h>\n"}
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp)
        for name, text in {**bad, **good}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        found = "\n".join(check(root))
        missed = [n for n in bad if n not in found]
        wrong = [n for n in good if n in found]
        return [f"not caught: {n}" for n in missed] + [f"wrongly caught: {n}" for n in wrong]


def main():
    problems = self_test() if "--self-test" in sys.argv else list(check(Path(sys.argv[1])))
    print("\n".join(problems) if problems else "ok")
    return 1 if problems else 0


sys.exit(main())
