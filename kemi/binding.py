"""A binding of the registrar: a contact under which an address of record can be reached for a time (RFC 3261 section 10.2)."""

from typing import NamedTuple


class Binding(NamedTuple):
    """One binding; columns of the table `location`, which are called as Kamailio's module usrloc calls them.

    Args:
        ruid: usrloc's name of the binding; a refresh keeps it.
        username, domain: the address of record as usrloc writes it.
        received: URI of the connection that the REGISTER came over; over UDP of where a client behind a NAT sent it from, else "".
        expires: seconds since the epoch.
        q: 0 to 1, -1 where none was given.
        methods: bits of the methods in Allow, None: all.
        instance: +sip.instance, which a GRUU names (RFC 5627 section 3.1).
    """

    ruid: str
    username: str
    domain: str
    contact: str
    received: str
    expires: int
    q: float
    callid: str
    cseq: int
    user_agent: str
    socket: str
    methods: int | None
    instance: str | None
    reg_id: int
