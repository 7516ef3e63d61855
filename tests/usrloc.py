"""A double of Kamailio's registrar and usrloc, for the double of KSR: bindings in memory, as `$ulc` shows them (5.6)."""

import re
from collections.abc import Callable
from typing import Any

EXPIRES = 2_000_000_000
ATTRIBUTES = ("aor", "addr", "received", "expires", "callid", "q", "cseq", "user_agent", "socket", "methods", "ruid", "regid",
              "instance", "conid")  # fmt: skip


REGISTRAR: dict[str, tuple[type, ...]] = {
    "save_uri": (str, int, str), "reg_send_reply": (), "reg_fetch_contacts": (str, str, str), "unregister_ruid": (str, str, str),
}  # fmt: skip
"""Functions of module registrar that this double does, with the types of their arguments."""


class Usrloc:
    """Bindings by address of record, and what was copied for `$ulc`."""

    def __init__(self) -> None:
        self.bindings: dict[str, list[dict[str, Any]]] = {}
        self.answer: list[str] = []
        """Contacts of the answer that is to be sent; `*` does not touch them, as in Kamailio."""
        self._copied: list[dict[str, Any]] = []
        self._made = 0

    def add(self, uri: str, contact: str, **changes: Any) -> dict[str, Any]:
        """A binding of an address of record, as a REGISTER over UDP makes it."""
        self._made += 1
        binding = dict.fromkeys(ATTRIBUTES) | {
            "aor": uri.partition(":")[2], "addr": contact, "received": "", "expires": EXPIRES, "callid": "call-1", "q": -1,
            "cseq": 1, "user_agent": "n/a", "socket": "udp:192.0.2.1:5060", "methods": -1, "ruid": f"uloc-{self._made}", "regid": 0,
        }  # fmt: skip
        if unknown := set(changes) - set(ATTRIBUTES):
            raise ValueError(f"no attributes of a contact: {unknown}")
        self.bindings.setdefault(uri, []).append(binding | changes)
        return self.bindings[uri][-1]

    def save(self, uri: str, contacts: list[str], received: str, connection: int) -> int:
        """Change the bindings as Contact says; no more than what tests need."""
        if contacts == ["*"]:
            self.bindings.pop(uri, None)
            return 3
        for contact in contacts:
            addr = re.sub(r".*<|>.*", "", contact)
            self.bindings[uri] = [each for each in self.bindings.get(uri, []) if each["addr"] != addr]
            if not re.search(r";\s*expires=0\b", contact.partition(">")[2]):
                self.add(uri, addr, received=received, conid=connection or None)
        self.answer = [each["addr"] for each in self.bindings.get(uri, [])]
        return 1

    def copy(self, uri: str) -> int:
        """For `$ulc`. An address of record whose last binding was removed one by one is known, and has none."""
        self._copied = list(self.bindings.get(uri, []))
        return 1 if uri in self.bindings else -1

    def value(self, attribute: str, index: int) -> Any:
        if attribute == "count":
            return len(self._copied) or None
        return self._copied[index][attribute] if index < len(self._copied) else None

    def remove(self, uri: str, ruid: str) -> int:
        kept = [each for each in self.bindings[uri] if each["ruid"] != ruid]
        found = len(kept) < len(self.bindings[uri])
        self.bindings[uri] = kept
        return 1 if found else -3


class Registrar:
    """Module registrar, as a part of KSR."""

    def __init__(self) -> None:
        self.usrloc = Usrloc()

    def _registrar_save_uri(self: Any, table: str, flags: int, uri: str) -> int:
        contacts = [each.strip() for value in self.message.all("Contact") for each in value.split(",")]
        return int(self.usrloc.save(uri, contacts, self.variables.get("$avp(received)", ""), self.message.connection))

    def _registrar_reg_send_reply(self: Any) -> int:
        self._reply_headers += "".join(f"Contact: <{each}>\r\n" for each in self.usrloc.answer)
        self.usrloc.answer = []
        return int(self._answer(200, "OK", stateful=bool(self._transaction)))

    def _registrar_reg_fetch_contacts(self, table: str, uri: str, profile: str) -> int:
        return self.usrloc.copy(uri)

    def _registrar_unregister_ruid(self, table: str, uri: str, ruid: str) -> int:
        return self.usrloc.remove(uri, ruid)


def sent_by(vias: list[str], number: int) -> str | None:
    """The host in a Via."""
    hosts = re.findall(r"(?:^|,)\s*[^\s,]+ (\[[^]]*\]|[^:;,]+)", ",".join(vias))
    return hosts[number] if len(hosts) > number else None


SENT_BY: dict[str, Callable[[Any, tuple[str, str]], Any]] = {
    "$via0(host)": lambda message, _: sent_by(message.all("Via"), 0),
    "$via1(host)": lambda message, _: sent_by(message.all("Via"), 1),
}
"""Who registers says there where it believes to be."""
