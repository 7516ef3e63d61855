"""Bodies of lists as a strict subscriber reads them: kemi/rls/aggregate_state.py, and tests/multipart.py, which reads."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi.event_package import VERSION, Document
from kemi.rls import aggregate_state
from kemi.rls.rlmi import Instance, ListState, Resource
from kemi.subscription import State
from tests.multipart import Instance as ToldInstance
from tests.multipart import Invalid, Reader, Told, errors_of, read
from tests.unit.rls.lists import ALICE, BOB, CAROL, DAVE
from tests.unit.rls.states import LIST, PENDING, PIDF, STATE, STATES, active, document

TOKEN = "0123456789abcdef"


BODY = """--kp0xT
Content-Transfer-Encoding: binary
Content-ID: <0.T@d>
Content-Type: application/rlmi+xml;charset="UTF-8"

<?xml version="1.0" encoding="UTF-8"?>
<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:l@d" version="4" fullState="true">
<resource uri="sip:a@d">
<instance id="1" state="active" cid="1.T@d"/>
</resource>
</list>

--kp0xT
Content-Transfer-Encoding: binary
Content-ID: <1.T@d>
Content-Type: application/pidf+xml

<p/>
--kp0xT--
"""


def written(state: ListState, version: int = 0, *, token: str = TOKEN, is_linphone: bool = False) -> tuple[str, bytes]:
    body = aggregate_state.write(state, token, is_linphone)
    return body.content_type, body.content.replace(VERSION, str(version)).encode()


def told(state: ListState, version: int = 0, *, is_linphone: bool = False) -> Told:
    return read(*written(state, version, is_linphone=is_linphone), is_linphone)


@pytest.mark.rfc("RLS-003", "RLS-008", "RLS-032")
def test_a_body_octet_by_octet() -> None:
    state = ListState("sip:l@d", (Resource("sip:a@d", (), (Instance("1", State.ACTIVE, body=Document("<p/>", PIDF, "t")),)),))
    content_type, body = written(state, 4, token="T")
    assert content_type == 'multipart/related;type="application/rlmi+xml";start="<0.T@d>";boundary=kp0xT'
    assert body.decode() == BODY.replace("\n", "\r\n")


@pytest.mark.rfc("RLS-003", "RLS-005", "RLS-007", "RLS-009", "RLS-025")
def test_a_subscriber_reads_what_was_told() -> None:
    found = told(STATE)
    assert (found.uri, found.version, found.is_full, found.names) == (LIST, 0, True, (("", "Friends"),))
    assert found.uris == [BOB, CAROL, DAVE, ALICE]
    assert found.instance(BOB).body == document("here").content.encode()
    assert [found.instance(each).said for each in (CAROL, DAVE)] == [("pending", None), ("terminated", "rejected")]
    assert found.of(ALICE).instances == ()


@pytest.mark.rfc("RLS-033")
def test_an_empty_list_has_one_part() -> None:
    assert told(ListState(LIST, ())) == Told(LIST, 0, True, (), ())


@pytest.mark.rfc("RLS-009")
def test_each_resource_has_its_own_document_however_alike_the_uris_are() -> None:
    users = [f"sip:{user}@example.org" for user in ("bob", "bob2", "bo", "bob22", "sip:bob".replace(":", "%3A"))]
    state = ListState(LIST, tuple(Resource(uri, (), (active(f"of {uri}"),)) for uri in users))
    for uri in users:
        body = told(state).instance(uri).body
        assert isinstance(body, bytes)
        assert f"<note>of {uri}</note>".encode() in body


@pytest.mark.rfc("RLS-032")
def test_the_same_state_is_the_same_body_and_another_token_makes_other_ids() -> None:
    assert written(STATE) == written(STATE)
    ids = [set(re.findall(rb"Content-ID: (.*)\r", written(STATE, token=token)[1])) for token in ("a", "b")]
    assert len(ids[0] | ids[1]) == 4


@pytest.mark.rfc("RLS-032")
def test_a_boundary_is_in_no_part() -> None:
    texts = [f"kp0x{TOKEN}", f"\r\n--kp0x{TOKEN}--\r\n", f"kp0x{TOKEN}x0 kp0x{TOKEN}x1"]
    state = ListState(LIST, tuple(Resource(f"sip:{at}@d", (), (active(text),)) for at, text in enumerate(texts)))
    content_type, _ = written(state)
    assert content_type.endswith(f";boundary=kp0x{TOKEN}x2")
    assert told(state).uris == ["sip:0@d", "sip:1@d", "sip:2@d"]


@pytest.mark.parametrize("token", ["", "a-b", "a b", "a" * 33, 'a"', "a\r\n", "\xe9"])
def test_a_token_is_letters_and_digits(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        aggregate_state.write(STATE, token)


@pytest.mark.parametrize(
    ("uri", "domain"),
    [("sip:a@[2001:db8::1]:5070", "[2001:db8::1]"), ("sips:a@EXAMPLE.org;x=y", "example.org"), ("nothing", "anonymous.invalid")],
)
def test_content_ids_are_of_the_lists_domain(uri: str, domain: str) -> None:
    content_type, body = written(ListState(uri, (Resource(BOB, (), (active(),)),)), token="T")
    assert f'start="<0.T@{domain}>"' in content_type
    assert f"Content-ID: <1.T@{domain}>\r\n".encode() in body


# A list in a list

NESTED = ListState(
    LIST,
    (
        Resource(BOB, (), (active("before"),)),
        Resource(
            CAROL, (), (Instance("1", State.ACTIVE, body=ListState(CAROL, (Resource(BOB, (), (active("inside"),)),), version=5)),)
        ),
        Resource(DAVE, (), (Instance("1", State.ACTIVE, body=ListState(DAVE, (), is_full=False)),)),
        Resource(ALICE, (), (active("behind"),)),
    ),
)


@pytest.mark.rfc("RLS-020", "RLS-008")
def test_a_list_in_a_list_is_a_part_with_parts_of_its_own() -> None:
    found = told(NESTED, 3)
    inner, empty = found.instance(CAROL).body, found.instance(DAVE).body
    assert isinstance(inner, Told)
    assert isinstance(empty, Told)
    assert (inner.version, inner.is_full, inner.uris) == (5, True, [BOB])
    assert (empty.version, empty.is_full, empty.uris) == (3, False, [])
    notes = [b"<note>before</note>", b"<note>inside</note>", b"<note>behind</note>"]
    bodies = [found.instance(BOB).body, inner.instance(BOB).body, found.instance(ALICE).body]
    assert all(isinstance(body, bytes) and note in body for note, body in zip(notes, bodies, strict=True))


@pytest.mark.rfc("RLS-020")
def test_the_document_of_a_list_may_be_written_already() -> None:
    inner = aggregate_state.write(ListState(CAROL, (Resource(BOB, (), (active("inside"),)),)), TOKEN)
    state = ListState(LIST, (Resource(CAROL, (), (Instance("1", State.ACTIVE, body=Document(*inner, "t")),)),))
    body = read(*written(state, token="outer")).instance(CAROL).body
    assert isinstance(body, Told)
    assert body.uris == [BOB]


# Linphone


def test_linphone_finds_parts_by_bare_ids() -> None:
    content_type, body = written(NESTED, is_linphone=True)
    assert "start=" not in content_type
    assert b"Content-Id: 1.0123456789abcdef@example.org\r\n" in body
    assert b"<0" not in body
    assert b"Content-ID" not in body
    assert told(STATE, is_linphone=True) == told(STATE)
    assert errors_of(content_type, body) != ""
    assert errors_of(*written(NESTED), is_linphone=True) != ""


# Anything


def check(state: ListState, found: Told, version: int) -> None:
    """What was read is what was told."""
    assert (found.uri, found.is_full) == (state.uri, state.is_full)
    assert found.version == (version if state.version is None else state.version)
    assert found.uris == [each.uri for each in state.resources]
    for resource, read_one in zip(state.resources, found.resources, strict=True):
        assert len(read_one.instances) == len(resource.shown)
        for instance, read_instance in zip(resource.shown, read_one.instances, strict=True):
            check_instance(instance, read_instance, version)


def check_instance(instance: Instance, found: ToldInstance, version: int) -> None:
    assert (found.id, found.state, found.reason) == (instance.id, instance.state.value, instance.reason and instance.reason.value)
    if isinstance(instance.body, ListState):
        assert isinstance(found.body, Told)
        check(instance.body, found.body, version)
    elif instance.body is None:
        assert found.body is None
    else:
        assert found.body == instance.body.content.replace(VERSION, str(version)).encode()
        assert found.content_type == instance.body.content_type


@given(STATES, st.integers(0, 9), st.sampled_from(["T", TOKEN, "0xT"]), st.booleans())
@pytest.mark.rfc("RLS-003", "RLS-008", "RLS-020", "RLS-032")
def test_whatever_is_told_is_read(state: ListState, version: int, token: str, is_linphone: bool) -> None:
    check(state, read(*written(state, version, token=token, is_linphone=is_linphone), is_linphone), version)


# The reader: every fault is seen

GOOD_TYPE, GOOD = written(STATE)
CID = f"1.{TOKEN}@example.org"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("multipart/related", "multipart/mixed"),
        ('type="application/rlmi+xml"', 'type="application/pidf+xml"'),
        ('type="application/rlmi+xml";', ""),
        ("type=", "boundary=x;type="),
        ("boundary=", "x="),
        (f"=kp0x{TOKEN}", f'="kp0x{TOKEN}"'),
        (f"=kp0x{TOKEN}", f"=kp0x{TOKEN};"),
        (f"=kp0x{TOKEN}", "=kp0x"),
        ("<0.", "<1."),
        ('"<0.', '"0.'),
    ],
)
def test_a_bad_content_type_is_seen(old: str, new: str) -> None:
    assert GOOD_TYPE.replace(old, new) != GOOD_TYPE
    assert errors_of(GOOD_TYPE, GOOD) == ""
    assert errors_of(GOOD_TYPE.replace(old, new), GOOD) != ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"--kp0x{TOKEN}--\r\n", ""),
        (f"--kp0x{TOKEN}--\r\n", f"--kp0x{TOKEN}\r\n"),
        (f"--kp0x{TOKEN}--", f"--kp0x{TOKEN}--\r\nmore"),
        (f"--kp0x{TOKEN}\r\nContent-Transfer", f"preamble\r\n--kp0x{TOKEN}\r\nContent-Transfer"),
        ("here", f"kp0x{TOKEN}"),
        ("\r\n", "\n"),
        ("binary\r\n", "binary\n"),
        ("binary", "base64"),
        ("Content-ID: ", "Content-ID:"),
        (f"Content-ID: <{CID}>\r\n", ""),
        (f"Content-ID: <{CID}>", f"Content-ID: {CID}"),
        (f"Content-ID: <{CID}>", f"Content-Id: {CID}"),
        (f"Content-ID: <{CID}>", f"Content-ID: <0.{TOKEN}@example.org>"),
        (f"Content-ID: <{CID}>", "Content-ID: <nothing>"),
        (f"Content-ID: <{CID}>", f"Content-ID: <{CID}>\r\nContent-ID: <{CID}>"),
        ("Content-Type: application/pidf+xml\r\n", ""),
        ("Content-Type: application/rlmi+xml", "Content-Type: application/xml"),
        (f'cid="{CID}"', 'cid="other@example.org"'),
        (f'cid="{CID}"', f'cid="&lt;{CID}&gt;"'),
        (f' cid="{CID}"', ""),
        (f'state="active" cid="{CID}"', 'state="pending"'),
        ('state="pending"', f'state="pending" cid="{CID}"'),
        ('state="pending"', 'state="waiting"'),
        (' reason="rejected"', ""),
        ('reason="rejected"', 'reason="closed"'),
        ('state="pending"', 'state="pending" reason="rejected"'),
        ('version="0"', ""),
        ('version="0"', 'version="-1"'),
        ('fullState="true"', ""),
        ('fullState="true"', 'fullState="full"'),
        ("</list>", ""),
        ("</list>", "<entry/></list>"),
        ("<list ", "<resource "),
        (f'<resource uri="{CAROL}"', f'<resource uri="{BOB}"'),
        (f'<resource uri="{CAROL}"', "<resource"),
        ("</presence>", ""),
        ('<instance id="1" state="pending"/>', '<instance id="1" state="pending"/><instance id="1" state="pending"/>'),
    ],
)
def test_a_bad_body_is_seen(old: str, new: str) -> None:
    text = GOOD.decode()
    assert text.replace(old, new) != text
    assert errors_of(GOOD_TYPE, text.replace(old, new)) != ""


@pytest.mark.rfc("RLS-020")
def test_a_cid_of_another_level_is_seen() -> None:
    content_type, body = written(NESTED)
    inner = f"2-1.{TOKEN}@example.org"
    assert f'cid="{inner}"'.encode() in body
    assert errors_of(content_type, body.decode().replace(f'cid="{inner}"', f'cid="{CID}"')) != ""
    assert errors_of(content_type, body.decode().replace(f'uri="{CAROL}" version', f'uri="{BOB}" version')) != ""


# Several bodies


@pytest.mark.rfc("RLS-004", "RLS-005", "RLS-018")
def test_a_subscriber_puts_bodies_together() -> None:
    reader = Reader([ALICE, BOB, CAROL, DAVE])
    reader.take(*written(STATE))
    reader.take(*written(STATE._replace(resources=(Resource(CAROL, (), (active("back"),)),), is_full=False), 1))
    assert {uri: each.state for uri, each in reader.instances()} == {BOB: "active", CAROL: "active", DAVE: "terminated"}
    reader.take(*written(STATE, 3))
    assert {uri: each.state for uri, each in reader.instances()} == {BOB: "active", CAROL: "pending", DAVE: "terminated"}


@pytest.mark.parametrize(
    ("before", "state", "version"),
    [
        ([], STATE, 1),
        ([], STATE._replace(is_full=False), 0),
        ([0], STATE, 0),
        ([0], STATE._replace(is_full=False), 2),
        ([0, 1], STATE, 1),
        ([0], STATE._replace(resources=STATE.resources[1:]), 1),
    ],
)
def test_a_subscriber_sees_wrong_numbers_and_missing_members(before: list[int], state: ListState, version: int) -> None:
    reader = Reader([ALICE, BOB, CAROL, DAVE])
    for each in before:
        reader.take(*written(STATE, each))
    with pytest.raises(Invalid):
        reader.take(*written(state, version))


def test_only_one_resource_and_instance_are_what_was_asked_for() -> None:
    found = told(ListState(LIST, (Resource(BOB, (), (PENDING, active("a", "2"))),)))
    with pytest.raises(Invalid):
        found.of(CAROL)
    with pytest.raises(Invalid):
        found.instance(BOB)
