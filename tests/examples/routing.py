"""A routing script of one's own, as docs/functions.md shows it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import KSR

from kemi import script


class Script(script.Script):
    def ksr_request_route(self, msg):
        method = KSR.pv.get("$rm")
        if method == "SUBSCRIBE":
            self.handle_subscription(msg, "registrar")
        elif method == "PUBLISH":
            self.handle_publish(msg, "registrar")
        elif method == "OPTIONS":
            self.handle_options(msg)
        else:
            KSR.sl.send_reply(405, "Method Not Allowed")
        return 1


def mod_init():
    return script.mod_init(Script)
