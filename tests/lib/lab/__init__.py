"""The laboratory: real name servers, real mail servers and the programs under test, on loopback.

Runs only inside `tests/lib/labroot exec` (own network, process and mount namespaces), so every
role has a fixed address and the real port: DNS on 53, SMTP on 25.

Start at world.py (everything together), then nameservers.py, postfix.py, programs.py.
"""
