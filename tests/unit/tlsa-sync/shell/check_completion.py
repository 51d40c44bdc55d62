"""What the shells offer is what the program takes, no more and no less: its own help is the measure."""

import pathlib
import re
import subprocess
import sys
import tempfile

program = sys.argv[1]
failures = []


def out(*words):
    return subprocess.run([program, *words], capture_output=True, text=True, check=True).stdout


def options_in(help_text):
    """'  -n, --lines NUMBER  how many' -> {'-n', '--lines'}"""
    return {word for line in help_text.splitlines() if re.match(r"  -", line) for word in re.findall(r"(?<!\S)--?[a-z]+", line[:24])}


def bash(*words):
    """What bash offers with the cursor at the end of the last word."""
    script = f"""
eval "$({program} --completion bash)"
COMP_WORDS=({program} {' '.join(repr(w) for w in words)})
COMP_CWORD={len(words)}
_tlsa_sync
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    return set(subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split())


def same(what, offered, wanted):
    if offered != wanted or not wanted:
        failures.append(f"{what}: offered {sorted(offered)}, taken {sorted(wanted)}")


commands = set(re.findall(r"^  ([a-z-]+)  ", out("--help"), re.M))
same("commands", bash(""), commands)
same("commands, begun", bash("ro"), {c for c in commands if c.startswith("ro")})
same("commands, behind -c", bash("-c", "/etc/passwd", ""), commands)
for command in commands:
    same(command, bash(command, "-"), options_in(out(command, "--help")))
    same(command + " behind an option", bash("-s", "/x", command, "--"), {o for o in options_in(out(command, "--help")) if o[1] == "-"})
for option in bash("-"):
    done = subprocess.run([program, option, "/nonexistent", "nonexistent"], capture_output=True, text=True)
    if "there is no option" in done.stderr:
        failures.append(f"{option} is offered and not taken")
for option in re.findall(r"(?<!\S)\[?(--?[a-z]+)", out("--help").split("commands:")[0]):
    if option not in bash("-"):
        failures.append(f"{option} is in the usage and not offered")
same("shells", bash("--completion", ""), {"bash", "zsh"})

with tempfile.TemporaryDirectory() as directory:
    config = pathlib.Path(directory) / "c.yaml"
    config.write_text("""proxy:
  hostname: mx1.example.org
identities:
  - name: mx1.example.org
  - name: mx2.example.org
    algorithms: [rsa-3072]
backend:
  address: 127.0.0.1:2525
tlsa_sync:
  rfc2136:
    tsig_name: key
    tsig_key_file: /nonexistent
""")
    same("identities", bash("-c", str(config), "rotate", "--wait", ""), {"mx1.example.org", "mx2.example.org"})
    same("run, which takes no identity", bash("-c", str(config), "run", ""), options_in(out("run", "--help")))

zsh = out("--completion", "zsh")
rows = {name: set(words.split()) for name, words in re.findall(r"^([a-z'-]+)\) words_of=\((.*)\) ;;$", zsh, re.M)}
same("zsh, commands", {w for w in rows.get("''", set()) if not w.startswith("-")}, commands)
for command in commands:
    same("zsh, " + command, rows.get(command, set()), options_in(out(command, "--help")))

print("\n".join(failures) or "ok")
sys.exit(bool(failures))
