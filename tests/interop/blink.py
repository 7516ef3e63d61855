"""What Blink's engine (python3-sipsimple 5.5) does with documents and lists, in the order and in the words in which it does it.

Every URI inside XML is percent-encoded, also those that need it not, and entries have no scheme. Its lists are named by the OMA;
whom it watches is a list of its own that its service links to; whom it lets watch are lists that its rules refer to.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
from lxml import etree

from tests.multipart import Reader, Told
from tests.server import Server
from tests.useragent import Message, UserAgent, pidf

DOMAIN = "example.org"
USER_AGENT = "User-Agent: Blink 5.5.0 (Linux)"
ACCEPT = "Accept: multipart/related, application/rlmi+xml, application/pidf+xml"
SUPPORTED = ("Supported: 100rel, replaces, norefersub, gruu", "Supported: eventlist")
RESOURCE_LISTS = "urn:ietf:params:xml:ns:resource-lists"

LISTS = ("oma_buddylist", "oma_grantedcontacts", "oma_blockedcontacts", "sipsimple_presence_rls", "sipsimple_dialog_rls")
GRANTED, BLOCKED, WATCHED = LISTS[1:4]
ADDRESSBOOK = (
    '<list name="sipsimple_addressbook"><contact xmlns="urn:ag-projects:xml:ns:addressbook" id="c1"><name>Bob &amp; Söhne</name>'
    '<uris default="u1"><uri id="u1" uri="bob%40example.org" type="SIP"/></uris></contact></list>'
)
RULES = """<?xml version='1.0' encoding='UTF-8'?>
<cp:ruleset xmlns:cp="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules" \
xmlns:ocp="urn:oma:xml:xdm:common-policy">{}</cp:ruleset>"""
RULE = (
    '<cp:rule id="{}"><cp:conditions>{}</cp:conditions><cp:actions><pr:sub-handling>{}</pr:sub-handling></cp:actions>{}</cp:rule>'
)


class Document(NamedTuple):
    """Where a document is and what it is."""

    auid: str
    content_type: str
    name: str = "index"


LISTS_DOCUMENT = Document("resource-lists", "application/resource-lists+xml")
SERVICES = Document("rls-services", "application/rls-services+xml")
PRESENCE_RULES = Document("org.openmobilealliance.pres-rules", "application/auth-policy+xml")
DOCUMENTS = (
    LISTS_DOCUMENT,
    SERVICES,
    PRESENCE_RULES,
    Document("org.openxcap.dialog-rules", "application/auth-policy+xml"),
    Document("pidf-manipulation", "application/pidf+xml"),
    Document("org.openmobilealliance.pres-content", "application/vnd.oma.pres-content+xml", "oma_status-icon/index"),
)
NEEDED = {LISTS_DOCUMENT.auid, SERVICES.auid, PRESENCE_RULES.auid}
"""Without these it does nothing for an hour."""


class Blink:
    """One user's."""

    def __init__(self, server: Server, user: str, password: str) -> None:
        self.user, self.uri = user, f"sip:{user}@{DOMAIN}"
        self.list_uri = f"sip:{user}+presence@{DOMAIN}"
        self.root = f"http://127.0.0.1:{server.http_port}/xcap-root"
        self.phone = UserAgent(server.address, user, transport="tcp")
        self.reader = Reader()
        self._password = password
        self._web = self._connection()
        self._etags: dict[Document, str] = {}
        self._calls: dict[str, str] = {}

    def close(self) -> None:
        self._web.close()
        self.phone.close()

    def _connection(self) -> httpx.Client:
        return httpx.Client(auth=httpx.DigestAuth(self.user, self._password), timeout=20)

    def _url(self, document: Document) -> str:
        return f"{self.root}/{document.auid}/users/{self.uri}/{document.name}"

    # Documents

    def served(self) -> set[str]:
        """What the server says that it can."""
        answer = self._web.get(f"{self.root}/xcap-caps/global/index")
        assert answer.status_code == 200, answer.text
        names = etree.fromstring(answer.content).iterfind("{*}auids/{*}auid")
        return {each.text or "" for each in names}

    def fetch(self, served: set[str]) -> dict[str, int]:
        """All its documents that the server has a name for, each over a connection of its own, at the same time."""

        def get(document: Document) -> int:
            with self._connection() as web:
                return web.get(self._url(document), headers={"Accept": document.content_type}).status_code

        documents = [each for each in DOCUMENTS if each.auid in served]
        with ThreadPoolExecutor(len(documents)) as pool:
            return dict(zip([each.auid for each in documents], pool.map(get, documents), strict=True))

    def put(self, document: Document, body: str) -> int:
        """The whole document, as new or in the place of the one that it knows."""
        known = self._etags.get(document)
        condition = {"If-Match": known} if known else {"If-None-Match": "*"}
        head = {"Content-Type": document.content_type} | condition
        answer = self._web.put(self._url(document), content=body.encode(), headers=head)
        if answer.status_code in (200, 201):
            self._etags[document] = answer.headers["ETag"]
        return answer.status_code

    def etag(self, document: Document) -> str:
        """Of the document that it has put, without quotes."""
        return self._etags[document].strip('"')

    def put_lists(self, members: Mapping[str, Iterable[str]]) -> int:
        """Its lists; those that are not named are empty."""
        lists = "".join(f'<list name="{name}">{_entries(members.get(name, ()))}</list>' for name in LISTS)
        return self.put(LISTS_DOCUMENT, f'<resource-lists xmlns="{RESOURCE_LISTS}">{lists}{ADDRESSBOOK}</resource-lists>')

    def put_services(self) -> int:
        """Two services, which link to its lists."""
        services = "".join(
            f'<service uri="{quote(f"sip:{self.user}+{package}@{DOMAIN}")}"><resource-list>'
            f"{self._anchor(f'sipsimple_{package}_rls')}</resource-list><packages><package>{package}</package></packages></service>"
            for package in ("presence", "dialog")
        )
        return self.put(SERVICES, f'<rls-services xmlns="urn:ietf:params:xml:ns:rls-services">{services}</rls-services>')

    def put_rules(self, unlisted: str = "confirm", shown: str = "") -> int:
        """Who may watch it.

        Args:
            unlisted: what is said of those who are in none of its lists.
            shown: transformations, in their element. It writes none itself, and counts on servers that show everything then.
        """
        rules = (
            ("wp_prs_grantedcontacts", self._external(GRANTED), "allow"),
            ("wp_prs_blockedcontacts", self._external(BLOCKED), "polite-block"),
            ("wp_prs_unlisted", "<ocp:other-identity/>", unlisted),
            ("wp_prs_block_anonymous", "<ocp:anonymous-request/>", "block"),
            ("wp_prs_allow_own", f'<cp:identity><cp:one id="{quote(self.uri)}"/></cp:identity>', "allow"),
        )
        return self.put(PRESENCE_RULES, RULES.format("".join(RULE.format(*each, shown) for each in rules)))

    def _anchor(self, name: str) -> str:
        return quote(f'{self._url(LISTS_DOCUMENT)}/~~/resource-lists/list[@name="{name}"]')

    def _external(self, name: str) -> str:
        return f'<ocp:external-list><ocp:entry anc="{self._anchor(name)}"/></ocp:external-list>'

    # Subscriptions

    def _subscribe(self, uri: str, event: str, *lines: str, **more: Any) -> Message:
        answer = self.phone.subscribe(uri, USER_AGENT, *lines, event=event, expires=3600, **more)
        self._calls[event] = answer.get("Call-ID")
        return answer

    def watch_documents(self, served: set[str]) -> Message:
        """A SUBSCRIBE that names its documents, relative to the root."""
        entries = "".join(
            f'<entry uri="{quote(f"{each.auid}/users/{self.uri}/{each.name}")}"/>' for each in DOCUMENTS if each.auid in served
        )
        body = f'<resource-lists xmlns="{RESOURCE_LISTS}"><list>{entries}</list></resource-lists>'
        lines = ("Accept: application/xcap-diff+xml", f"Content-Type: {LISTS_DOCUMENT.content_type}")
        return self._subscribe(self.uri, "xcap-diff", *lines, body=body.encode())

    def watch_watchers(self) -> Message:
        """A SUBSCRIBE to who watches it."""
        return self._subscribe(self.uri, "presence.winfo", "Accept: application/watcherinfo+xml")

    def watch_contacts(self) -> Message:
        """A SUBSCRIBE to its list."""
        return self._subscribe(self.list_uri, "presence", ACCEPT, *SUPPORTED)

    def told(self, event: str) -> Message:
        """The next NOTIFY of a subscription."""
        return self.phone.notify(call_id=self._calls[event])

    def told_contacts(self) -> Told:
        """The next NOTIFY about its list."""
        message = self.told("presence")
        return self.reader.take(message.get("Content-Type"), message.body)

    def publish(self, note: str) -> int:
        """That it is online."""
        return self.phone.publish(pidf("open", self.user, note=note), USER_AGENT).status


def _entries(uris: Iterable[str]) -> str:
    return "".join(f'<entry uri="{quote(each.removeprefix("sip:"))}"/>' for each in uris)
