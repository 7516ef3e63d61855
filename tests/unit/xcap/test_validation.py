"""Whether documents are what their application usages want (RFC 4825 section 8.2.5)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi.xcap import tree, usages, validation
from kemi.xcap.errors import (
    Conflict,
    ConstraintFailure,
    ContentTooLarge,
    NotUtf8,
    NotWellFormed,
    SchemaValidationError,
    XcapError,
)
from kemi.xcap.usages import USAGES
from tests.unit.xcap.documents import DOCUMENTS

LISTS = "urn:ietf:params:xml:ns:resource-lists"
POLICY = (
    'xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules" '
    'xmlns:o="urn:oma:xml:xdm:common-policy" '
    'xmlns:p="urn:oma:xml:prs:pres-rules" xmlns:i="urn:iptel:xml:ns:im-rules" xmlns:x="urn:x"'
)


def lists(inside: str) -> bytes:
    return f'<resource-lists xmlns="{LISTS}" xmlns:x="urn:x">{inside}</resource-lists>'.encode()


def rules(inside: str) -> bytes:
    return f"<ruleset {POLICY}>{inside}</ruleset>".encode()


def rule(conditions: str = "", actions: str = "", transformations: str = "", name: str = "r") -> str:
    inside = (
        f"<conditions>{conditions}</conditions><actions>{actions}</actions><transformations>{transformations}</transformations>"
    )
    return f'<rule id="{name}">{inside}</rule>'


def pidf(inside: str) -> bytes:
    namespace = "urn:ietf:params:xml:ns:pidf"
    scope = f'xmlns="{namespace}" xmlns:dm="{namespace}:data-model" xmlns:rp="{namespace}:rpid"'
    return f'<presence {scope} entity="sip:alice@example.org">{inside}</presence>'.encode()


# What clients store, after RFC 4826 sections 3.3 and 4.3, RFC 5025 section 8, OMA-TS-Presence_SIMPLE_XDM, SER handbook section 10

SUB = "<pr:sub-handling>{}</pr:sub-handling>"
VALID = {
    "resource-lists": [
        lists(""),
        lists(
            '<list name="friends" x:y="1"><display-name xml:lang="en">Friends</display-name><entry uri="sip:bill@example.com">'
            "<display-name>Bill</display-name><x:a/></entry>"
            '<entry-ref ref="resource-lists/users/a/index/~~/resource-lists/list/entry"/>'
            '<list name="close"><external anchor="http://a.example/b"/></list><x:more z="1"><x:b/></x:more></list><list/>'
        ),
        lists('<list><entry uri="bob%40D"/><entry uri="sip:bob@[2001:db8::1]"/></list>'),
        lists('<list><external anchor="http%3A//a/~~/b[@c=&quot;d&quot;]"/></list>'),
    ],
    "rls-services": [
        f'<rls-services xmlns="urn:ietf:params:xml:ns:rls-services" xmlns:rl="{LISTS}"><service uri="sip:a@b">'
        "<resource-list>http://a/b</resource-list><packages><package>presence</package></packages></service>"
        '<service uri="sip:c@d"><list><rl:entry uri="sip:e@f"/></list></service></rls-services>'.encode()
    ],
    "pres-rules": [
        rules(""),
        rules(
            rule(
                '<identity><one id="sip:user@example.com"/><many domain="example.org"><except id="sip%3Ac%40d"/></many></identity>'
                '<sphere value="work"/><validity><from>2003-08-15T10:20:00.000-05:00</from><until>2003-09-15T10:20:00Z</until>'
                "</validity>",
                SUB.format("allow") + "<x:other/>",
                "<pr:provide-services><pr:service-uri-scheme>sip</pr:service-uri-scheme></pr:provide-services><pr:provide-persons>"
                "<pr:all-persons/></pr:provide-persons><pr:provide-devices/><pr:provide-activities>true</pr:provide-activities>"
                '<pr:provide-user-input>bare</pr:provide-user-input><pr:provide-unknown-attribute ns="urn:v" name="foo">true'
                "</pr:provide-unknown-attribute><pr:provide-all-attributes/>",
            )
        ),
    ],
    "org.openmobilealliance.pres-rules": [
        rules(
            rule('<o:external-list><o:entry anc="http%3A//a/%5B"/></o:external-list>', SUB.format("polite-block"), name="a")
            + rule("<o:other-identity/>", SUB.format("confirm"), "<p:provide-willingness>1</p:provide-willingness>", "b")
            + rule("<o:anonymous-request/>", SUB.format("block"), name="c")
        ),
    ],
    "im-rules": [rules(rule('<identity><one id="sip:a@b"/></identity>', "<i:im-handling>block</i:im-handling>"))],
    "dialog-rules": [rules(rule(actions='<sub-handling xmlns="http://openxcap.org/ns/dialog-rules">allow</sub-handling>'))],
    "pidf-manipulation": [
        pidf(""),
        pidf(
            '<tuple id="a"><status><basic>open</basic></status><rp:class>x</rp:class><contact priority="0.8">sip:a@b</contact>'
            '</tuple><note xml:lang="en">out</note><dm:person id="p"><rp:activities><rp:away/><rp:other/></rp:activities>'
            "<rp:activities/><rp:mood><rp:note>n</rp:note><rp:happy/></rp:mood>"
            '<rp:place-type><lt:home xmlns:lt="urn:ietf:params:xml:ns:location-type"/></rp:place-type><rp:sphere>work</rp:sphere>'
            '<rp:user-input idle-threshold="60">idle</rp:user-input><rp:time-offset>60</rp:time-offset></dm:person>'
        ),
    ],
    "test-app": [b'<foo xmlns="urn:test:default-namespace" a="b">text<bar xmlns=""><baz/></bar></foo>'],
}

RLS = '<rls-services xmlns="urn:ietf:params:xml:ns:rls-services"><service uri="a">{}</service></rls-services>'
INVALID = {
    "resource-lists": [
        b"<resource-lists/>", b'<resource-lists xmlns="urn:x"/>', lists("<entry uri='a'/>"), lists("<list><entry/></list>"),
        lists("<list><x:a/><entry uri='a'/></list>"), lists("<list other=''/>"), lists("text"), lists("<list>text</list>"),
        lists("<list><entry-ref/></list>"), lists("<list xmlns=''/>"), f'<list xmlns="{LISTS}"/>'.encode(),
    ],
    "rls-services": [
        RLS.format("").encode(), RLS.replace(' uri="a"', "").format("<list/>").encode(),
        RLS.format('<list><entry uri="b"/></list>').encode(),
    ],
    "pres-rules": [
        rules("<rule/>"), rules(rule() + rule()), rules(rule("<identity/>")), rules(rule("<identity><one/></identity>")),
        rules(rule("<validity><from>today</from></validity>")), rules(rule(actions="<pr:sub-handling>maybe</pr:sub-handling>")),
        rules(rule(transformations="<pr:provide-mood>yes</pr:provide-mood>")), rules(rule(actions="<sub-handling/>")),
        rules(rule(transformations="<pr:provide-services><pr:all-services/><pr:class>a</pr:class></pr:provide-services>")),
        b'<sub-handling xmlns="urn:ietf:params:xml:ns:pres-rules">allow</sub-handling>', lists(""),
    ],
    "im-rules": [rules(rule(actions="<i:im-handling>2</i:im-handling>"))],
    "pidf-manipulation": [
        b'<presence xmlns="urn:ietf:params:xml:ns:pidf"/>', pidf('<tuple id="a"/>'), pidf('<tuple id="a"><status/></tuple>' * 2),
        pidf("<status/>"), pidf('<dm:person id="p"><rp:mood><rp:away/></rp:mood></dm:person>'),
    ],
    "test-app": [b'<bar xmlns="urn:test:default-namespace"/>', b"<root/>"],
}  # fmt: skip


@pytest.mark.rfc("XCS-042")
@pytest.mark.parametrize(("auid", "document"), [(auid, each) for auid, some in VALID.items() for each in some])
def test_what_clients_store_is_valid(auid: str, document: bytes) -> None:
    assert validation.read(USAGES[auid], document).tag in USAGES[auid].roots


@pytest.mark.rfc("XCS-008")
@pytest.mark.parametrize(("auid", "document"), [(auid, each) for auid, some in INVALID.items() for each in some])
def test_what_the_schema_forbids_is_refused(auid: str, document: bytes) -> None:
    with pytest.raises(SchemaValidationError):
        validation.read(USAGES[auid], document)


# SER's draft

DRAFT = rules(
    rule(
        "<identity><id>sip:bob@example.org</id></identity><validity><from>2027-01-15T08:00:00Z</from><to>2027-01-16T00:00:00Z</to>"
        "</validity>",
        "<pr:sub-handling>allow</pr:sub-handling><x:other/>",
    )
    + rule(
        '<identity><domain domain="example.org"/><except entity="eve"/></identity>',
        '<sub-handling xmlns="">block</sub-handling>',
        name="b",
    )
    + rule('<identity><any-identity><domain domain="a"/><except-domain domain="b"/></any-identity></identity>', name="c")
)
POLICIES = [auid for auid, usage in USAGES.items() if usage.media_type == "application/auth-policy+xml"]


@pytest.mark.parametrize("auid", POLICIES)
def test_the_draft_is_taken_where_it_is_asked_for(auid: str) -> None:
    handling = b"im-handling" if auid == "im-rules" else b"sub-handling"
    draft = DRAFT.replace(b"<sub-handling", b"<" + handling).replace(b"</sub-handling", b"</" + handling)
    with pytest.raises(SchemaValidationError):
        validation.read(USAGES[auid], draft)
    taking = usages.with_draft(USAGES[auid])
    for read in (validation.read, validation.read_edited):
        assert read(taking, draft).tag in taking.roots
    for document in VALID.get(auid, []):
        validation.read(taking, document)


@pytest.mark.parametrize(
    "document",
    [
        DRAFT.replace(b"<id>", b"<identitty>").replace(b"</id>", b"</identitty>"),
        DRAFT.replace(b"except-domain", b"except-domian"),
        DRAFT.replace(b"pr:sub-handling", b"pr:handling"),
        DRAFT.replace(b'<sub-handling xmlns="">block</sub-handling>', b'<sub xmlns="">block</sub>'),
        DRAFT.replace(b'xmlns="urn:ietf:params:xml:ns:common-policy" ', b""),
        DRAFT.replace(b'xmlns="urn:ietf:params:xml:ns:common-policy"', b'xmlns="urn:x:y"'),
        b'<rule xmlns="urn:ietf:params:xml:ns:common-policy"/>',
    ],
)
def test_what_neither_the_draft_nor_the_schema_knows_is_refused(document: bytes) -> None:
    with pytest.raises(SchemaValidationError):
        validation.read(usages.with_draft(USAGES["pres-rules"]), document)


def test_the_draft_is_one_of_rules_only() -> None:
    for auid, usage in USAGES.items():
        assert (usages.with_draft(usage) is usage) is (auid not in POLICIES)


@pytest.mark.rfc("XCS-035")
def test_unknown_namespaces_are_taken_and_announced_ones_have_to_be_known() -> None:
    usage = USAGES["pres-rules"]
    validation.read(usage, rules(rule(actions="<x:anything><x:at-all/></x:anything>")))
    for unknown in ("<pr:provide-tea>true</pr:provide-tea>", "<i:im-wondering/>", "<x:a><pr:nothing/></x:a>"):
        with pytest.raises(SchemaValidationError):
            validation.read(usage, rules(rule(transformations=unknown)))


@pytest.mark.rfc("XCS-007")
@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (b"", NotWellFormed), (b"<foo", NotWellFormed), (lists("<list></lists>"), NotWellFormed),
        (lists("&undefined;"), NotWellFormed),
        (lists("<y:a/>"), NotWellFormed), (b"\xff\xfe<\0a\0/\0>\0", NotUtf8), (lists("\xe9").decode().encode("latin-1"), NotUtf8),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?><a/>', NotUtf8),
    ],
)  # fmt: skip
def test_what_is_no_document_in_utf8_is_refused(document: bytes, kind: type[Conflict]) -> None:
    with pytest.raises(kind):
        validation.read(USAGES["resource-lists"], document)


@pytest.mark.rfc("SEC-008")
@pytest.mark.parametrize(
    "subset", ["", ' SYSTEM "file:///etc/passwd"', ' [<!ENTITY a "b">]', ' [<!ENTITY a SYSTEM "http://127.0.0.1/">]']
)
def test_a_doctype_is_refused(subset: str) -> None:
    with pytest.raises(ConstraintFailure):
        validation.read(USAGES["resource-lists"], f"<!DOCTYPE resource-lists{subset}>".encode() + lists(""))


def test_a_refusal_says_nothing_of_the_document() -> None:
    with pytest.raises(SchemaValidationError) as refusal:
        validation.read(USAGES["resource-lists"], lists('\n<list secret="secret"/>'))
    assert "line 2" in str(refusal.value)
    assert "secret" not in refusal.value.body().decode()


@pytest.mark.parametrize("usage", USAGES.values(), ids=USAGES)
def test_every_usage_has_a_schema_with_its_root(usage: usages.Usage) -> None:
    assert usage.roots <= validation.names(usage.schemas).elements
    assert usage.namespace in validation.names(usage.schemas).namespaces


@pytest.mark.parametrize("path", sorted(validation.FOLDER.glob("*.xsd")), ids=lambda path: path.stem)
def test_every_schema_is_used_or_imported(path: Path) -> None:
    others = [each.read_text() for each in validation.FOLDER.glob("*.xsd") if each != path]
    assert path.stem in usages.SCHEMAS or any(f'schemaLocation="{path.name}"' in text for text in others)


TEST_APP = USAGES["test-app"]
WRAPPED = st.builds(
    b'<foo xmlns="urn:test:default-namespace">%b</foo>'.__mod__, DOCUMENTS.map(lambda octets: octets[octets.index(b"<") :])
)


def refusal_of(read: Callable[[], object]) -> type[Exception] | None:
    try:
        read()
    except XcapError as refusal:
        return type(refusal)
    return None


@given(DOCUMENTS | WRAPPED, st.binary(max_size=3), st.integers(0, 400), st.integers(0, 3))
def test_what_is_taken_can_be_edited(octets: bytes, noise: bytes, at: int, gone: int) -> None:
    """Both parsers take a document, or it is refused; for the same reason as an edit would be."""
    octets = octets[:at] + noise + octets[at + gone :]
    edits = refusal_of(lambda: tree.parse(octets))
    reads = refusal_of(lambda: validation.read(TEST_APP, octets))
    assert reads is edits if edits else reads in (None, SchemaValidationError, NotWellFormed)


_MARKUP = (
    """:|<|>|/|=|"|'|&| |?|]]>|a|xml:|:xml:|xmlns|xmlns=''|\0|\x7f|<:list/>|<list:/>|<xml:a/>| :name='a'| xml:lang='a'|<a:list/>"""
)
MARKUP = st.sampled_from([each.encode() for each in _MARKUP.split("|")])
CHANGES = st.lists(st.tuples(MARKUP, st.integers(0, 140), st.integers(0, 3)), max_size=4)


@given(st.booleans(), CHANGES)
def test_a_comment_behind_a_document_makes_no_difference(has_declaration: bool, changes: list[tuple[bytes, int, int]]) -> None:
    """Without it there is nothing in these but elements, attributes and text, which is read in a shorter way."""
    octets = b'<?xml version="1.0" encoding="UTF-8"?>\n' if has_declaration else b""
    octets += b'<resource-lists xmlns="%b"><list name="a"><entry uri="b:c">d</entry></list></resource-lists>' % LISTS.encode()
    for markup, at, gone in changes:
        octets = octets[:at] + markup + octets[at + gone :]
    reads = [refusal_of(lambda: validation.read(USAGES["resource-lists"], each)) for each in (octets, octets + b"<!---->")]  # noqa: B023
    assert reads[0] is reads[1]


@pytest.mark.rfc("SEC-009")
def test_documents_above_the_limits_are_refused() -> None:
    for inside in (b"<a>" * 64 + b"</a>" * 64, b"<a/>" * tree.MAX_ELEMENTS, b" " * tree.MAX_OCTETS):
        with pytest.raises(ContentTooLarge):
            validation.read(TEST_APP, b'<foo xmlns="urn:test:default-namespace">%b</foo>' % inside)
    validation.read(TEST_APP, b'<foo xmlns="urn:test:default-namespace">%b</foo>' % (b"<a>" * 63 + b"</a>" * 63))
