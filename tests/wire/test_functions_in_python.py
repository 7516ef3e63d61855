"""SER's script functions (SER handbook section 5.3) in a routing script in Python: the handbook's story of who came meanwhile.

The same functions in Kamailio's own language: tests/examples, with examples/full.cfg.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server import ROOT, Server
from tests.useragent import Agents, pidf
from tests.wire.observe import rows, wait_until

ALICE = "sip:alice@example.org"

SCRIPT = f'''
import sys

sys.path.insert(0, "{ROOT}")
import KSR

from kemi import script


class Script(script.Script):
    def ksr_request_route(self, msg):
        method = KSR.pv.get("$rm")
        if method == "SUBSCRIBE":
            self.watching(msg)
        elif method == "PUBLISH":
            self.handle_publish(msg, "registrar")
        elif method == "REGISTER":
            self.handle_registration(msg, "registrar")
        elif method == "MESSAGE":
            allowed = self.authorize_message(msg, "im-rules.xml")
            if allowed:
                KSR.sl.send_reply(200 if allowed > 0 else 403, "Done")
        else:
            self.handle_options(msg)
        return 1

    def watching(self, msg):
        handled = self.handle_subscription(msg, "registrar")
        if handled > 0 and KSR.pv.get("$hdr(Event)").startswith("presence.winfo"):
            told = self.dump_stored_winfo(msg, "registrar,presence")
            KSR.info(f"dumped: {{told}}\\n")
        elif self.check_subscription_status(msg, "pending") > 0 and self.target_online(msg, "registrar") < 0:
            stored = self.store_winfo(msg, "registrar")
            KSR.info(f"stored: {{stored}}\\n")


def mod_init():
    return script.mod_init(Script)
'''

CONFIGURATION = f"""#!KAMAILIO
#!trydefenv KP_IP
#!trydefenv KP_PORT
#!substdef "!SIP_ADDRESS!$def(KP_IP):$def(KP_PORT)!g"
debug = 2
log_stderror = yes
listen = udp:SIP_ADDRESS
#!define ROUTING_IN_PYTHON
include_file "{ROOT}/kemi-presence.cfg"
modparam("app_python3", "load", "FOLDER/routing.py")
"""


@pytest.fixture
def start(start_server: Callable[..., Server], tmp_path: Path) -> Callable[[str], Server]:
    """Starts a server with this script and these parameters."""
    (tmp_path / "routing.py").write_text(SCRIPT)
    configuration = tmp_path / "own.cfg"
    configuration.write_text(CONFIGURATION.replace("FOLDER", str(tmp_path)))
    return lambda parameters: start_server({"KP_CONFIGURATION": str(configuration), "KP_SET": f"pa.notify_interval=0;{parameters}"})


def stored(server: Server) -> list[str]:
    return [watcher for (watcher,) in rows(server, "SELECT watcher FROM watcher WHERE stored = 1")]


def lines(server: Server, begin: str) -> list[str]:
    return [line.rpartition("): ")[2] for line in server.log.read_text(errors="replace").splitlines() if f"): {begin}" in line]


def test_who_came_while_the_user_was_away_is_stored_and_told(start: Callable[[str], Server], agents_of: Agents) -> None:
    server = start("pa.auth=implicit")
    alice, bob, carol = agents_of(server, "alice"), agents_of(server, "bob"), agents_of(server, "carol")
    assert bob.subscribe(ALICE).status == 200
    assert bob.notify().get("Subscription-State").startswith("pending")
    wait_until(lambda: lines(server, "stored:") == ["stored: 1"], "the script stores bob")
    assert stored(server) == [bob.aor]
    assert alice.publish(pidf()).status == 200
    assert carol.subscribe(ALICE).status == 200
    assert carol.notify().get("Subscription-State").startswith("pending")
    assert stored(server) == [bob.aor]
    assert alice.subscribe(ALICE, event="presence.winfo").status == 200
    assert b"sip:bob@example.org" in alice.notify().body
    wait_until(lambda: lines(server, "dumped:") == ["dumped: 1"], "the script has it told")
    assert alice.subscribe(ALICE, event="presence.winfo").status == 200
    assert b"sip:bob@example.org" in alice.notify().body
    wait_until(lambda: stored(server) == [], "it was told")


@pytest.mark.parametrize(("default", "status"), [("allow", 200), ("block", 403), ("confirm", 480)])
def test_a_message_is_judged_by_the_rules(start: Callable[[str], Server], agents_of: Agents, default: str, status: int) -> None:
    server = start(f"pa.im_rules_default={default}")
    bob = agents_of(server, "bob")
    assert bob.request("MESSAGE", ALICE, "Content-Type: text/plain", body=b"hello").status == status


def test_a_registered_contact_is_online(start: Callable[[str], Server], agents_of: Agents) -> None:
    server = start("pa.auth=implicit")
    alice, bob = agents_of(server, "alice"), agents_of(server, "bob")
    assert alice.request("REGISTER", "sip:example.org", f"Contact: <{alice.contact}>", to=f"<{ALICE}>").status == 200
    assert bob.subscribe(ALICE).status == 200
    bob.notify()
    assert bob.request("OPTIONS", "sip:example.org").status == 200
    assert stored(server) == []
