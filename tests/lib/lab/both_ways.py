"""Messages sent both ways: through danegate, and by Postfix' own client, which decides by its own lights what it thinks of
the same mail hosts. `scene` has a `sender` (hops.FreeSender) and the `hops` (hops.Hops)."""

import collections

from .client import Client
from .hops import EDGE
from .proc import LabError, wait_until
from .traffic import message, new_id, submit

Outcome = collections.namedtuple("Outcome", "by_edge heard answer by_postfix")


def transaction(recipient, deliver=True):
    """(message id, code and enhanced code of RCPT's reply, code of the message's or None)."""
    sent = new_id()
    with Client(EDGE).secure() as client:
        assert client.command("MAIL FROM:<lab@sender.example.lab>")[0] == 250
        code, text = client.command(f"RCPT TO:<{recipient}>")
        heard = f"{code} {text[-1].split()[0]}"
        if code != 250 or not deliver:
            return sent, heard, None
        assert client.command("DATA")[0] == 354
        client.send(message(sent, recipient=recipient) + ".\r\n")
        return sent, heard, client.reply()[0]


def send_all(scene, recipients, only_by_edge=()):
    """One message each way to every recipient (key -> address), waited for all at once: key -> Outcome."""
    by_postfix = {key: submit(scene.sender, to) for key, to in recipients.items() if key not in only_by_edge}
    found = {key: Outcome(*transaction(to), by_postfix.get(key)) for key, to in recipients.items()}
    wait_until(lambda: all(scene.sender.read_log().outcomes[i] for i in by_postfix.values()), 40, "Postfix to have tried all")
    due = [i for o in found.values() for i in (o.by_edge, o.by_postfix) if o.answer == 250 and i]
    try:
        wait_until(lambda: set(due) <= set(scene.hops.delivered()), 10, "the messages")
    except LabError:
        pass  # each message's own test says what is missing
    return found


def judge(scene, found, refused):
    """The message was stored once each way, or, with an enhanced code in `refused`, neither way."""
    if refused:
        assert (found.heard, found.answer) == (f"451 {refused}", None), found
    else:
        assert found.heard.startswith("250 2.") and found.answer == 250, found
    stored = scene.hops.delivered()
    copies = 0 if refused else 1
    assert stored[found.by_edge] == copies, found
    # Postfix comes to the same decision.
    assert scene.sender.outcomes[found.by_postfix][0] == ("deferred" if refused else "sent"), scene.sender.reasons
    assert stored[found.by_postfix] == copies, found
