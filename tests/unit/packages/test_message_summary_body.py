"""Message summaries are read, added up and written: kemi/packages/message_summary_body.py, RFC 3842 section 5.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi.errors import UnsupportedMediaType
from kemi.packages.message_summary_body import MAX_COUNT, Counts, Summary, SummaryReport, combine, parse, write

ALICE = "sip:alice@example.org"
MAILBOX = "sip:alice@vmail.example.com"
EXAMPLE = f"""Messages-Waiting: yes\r
Message-Account: {MAILBOX}\r
Voice-Message: 4/8 (1/2)\r
\r
To: <alice@atlanta.example.com>\r
From: <bob@biloxi.example.com>\r
Subject: carpool tomorrow?\r
\r
Message-ID: 27775334485@vmail.example.com\r
"""


def report(text: str, by: str = "one", created: float = 0.0, published: float = 0.0) -> SummaryReport:
    return SummaryReport(by, created, published, parse(text.encode()))


# Reading and writing


@pytest.mark.rfc("PA-065")
def test_a_summary_is_read_and_written_as_it_was() -> None:
    summary = parse(EXAMPLE.encode())
    assert summary == Summary(
        waiting=True,
        account=MAILBOX,
        counts=(("Voice-Message", Counts(4, 8, (1, 2))),),
        messages=(
            "To: <alice@atlanta.example.com>\nFrom: <bob@biloxi.example.com>\nSubject: carpool tomorrow?",
            "Message-ID: 27775334485@vmail.example.com",
        ),
    )
    assert write(summary) == EXAMPLE


@pytest.mark.rfc("PA-065")
def test_nothing_known_is_written_as_no() -> None:
    assert write(Summary()) == "Messages-Waiting: no\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "messages-waiting:YES\nvoice-MESSAGE :2 / 8( 0/2 )",
        "MESSAGES-WAITING : Yes \r\nVOICE-message:\t2/8 (0 / 2)\r\n",
        "Messages-Waiting: yes\r\nVoice-Message: 02/08 (0/2)\r\n\r\n",
    ],
)
def test_however_it_was_written_case_space_and_line_ends_come_out_as_in_the_rfc(text: str) -> None:
    assert write(parse(text.encode())) == "Messages-Waiting: yes\r\nVoice-Message: 2/8 (0/2)\r\n"


def test_classes_keep_their_order_and_new_ones_are_kept() -> None:
    text = "Messages-Waiting: yes\r\nFax-Message: 1/0\r\nx-pager-Message: 0/1\r\nVoice-Message: 0/0\r\n"
    assert [name for name, _ in parse(text.encode()).counts] == ["Fax-Message", "X-Pager-Message", "Voice-Message"]


@pytest.mark.rfc("PA-065")
@pytest.mark.parametrize(("written", "read"), [("4294967295", MAX_COUNT), ("4294967296", MAX_COUNT), ("9" * 20, MAX_COUNT)])
def test_counts_go_up_to_32_bits(written: str, read: int) -> None:
    ((_, counts),) = parse(f"Messages-Waiting: yes\r\nVoice-Message: {written}/0 (0/{written})\r\n".encode()).counts
    assert counts == Counts(read, 0, (0, read))


def test_folded_header_fields_and_several_blank_lines_are_read() -> None:
    text = "Messages-Waiting: yes\n\n\nSubject: a\n  b\n\n \n\nSubject: c\n\n"
    assert parse(text.encode()).messages == ("Subject: a b", "Subject: c")


@pytest.mark.rfc("PUB-013")
@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "\r\nMessages-Waiting: yes\r\n",
        "Messages-Waiting: maybe\r\n",
        "Messages-Waiting yes\r\n",
        "Voice-Message: 1/0\r\n",
        "Messages-Waiting: yes\r\nMessages-Waiting: yes\r\n",
        "Messages-Waiting: yes\r\nVoice-Message: 1\r\n",
        "Messages-Waiting: yes\r\nVoice-Message: -1/0\r\n",
        "Messages-Waiting: yes\r\nVoice-Message: 1/0 (0/0\r\n",
        "Messages-Waiting: yes\r\nVoice-Message: 1/0 (0)\r\n",
        f"Messages-Waiting: yes\r\nVoice-Message: {'9' * 21}/0\r\n",
        "Messages-Waiting: yes\r\nVoice-Message: 1/0\r\nvoice-message: 2/0\r\n",
        "Messages-Waiting: yes\r\nMessage-Account: <sip:a@x>\r\n",
        "Messages-Waiting: yes\r\nMessage-Account: alice\r\n",
        "Messages-Waiting: yes\r\nVoice-Message: 1/0\r\nMessage-Account: sip:a@x\r\n",
        "Messages-Waiting: yes\r\nX: y\r\n",
        "Messages-Waiting: yes\r\n\r\nno header field\r\n",
        "Messages-Waiting: yes\r\n\r\n: nothing\r\n",
        "Messages-Waiting: yes\r\n\r\nSubject: a\rVoice-Message: 9/9\r\n",
        "Messages-Waiting: yes\r\n\r\nSubject: \0\r\n",
        "Messages-Waiting: yes\r\n\r\nSubject: a\u2028Subject: b\r\n",
    ],
)
def test_what_is_no_summary_is_refused_with_the_type_that_is_taken(wrong: str) -> None:
    with pytest.raises(UnsupportedMediaType) as refused:
        parse(wrong.encode())
    assert dict(refused.value.headers) == {"Accept": "application/simple-message-summary"}


def test_what_is_not_utf_8_is_refused() -> None:
    with pytest.raises(UnsupportedMediaType):
        parse(b"Messages-Waiting: yes\r\n\r\nSubject: \xff\r\n")


# Several publications


def test_of_one_mailbox_the_last_publication_counts() -> None:
    reports = [
        report("Messages-Waiting: yes\nVoice-Message: 2/0", by="before the restart", created=1, published=1),
        report("Messages-Waiting: no\nVoice-Message: 0/2", by="after it", created=2, published=2),
    ]
    summary, counted = combine(reports, ALICE)
    assert (summary, counted) == (reports[1].summary, (reports[1],))


def test_of_one_mailbox_who_speaks_again_counts_though_it_was_there_first() -> None:
    reports = [
        report("Messages-Waiting: no", by="first", created=1, published=3),
        report("Messages-Waiting: yes", by="second", created=2, published=2),
    ]
    assert not combine(reports, ALICE)[0].waiting


def test_a_mailbox_without_a_name_is_the_users_own() -> None:
    reports = [
        report("Messages-Waiting: yes\nVoice-Message: 2/0", created=1),
        report(f"Messages-Waiting: no\nMessage-Account: {ALICE}", by="two", created=2, published=2),
    ]
    assert combine(reports, ALICE)[0] == reports[1].summary


def test_different_mailboxes_are_added_up_under_the_name_of_their_owner() -> None:
    reports = [
        report(f"Messages-Waiting: yes\nMessage-Account: {MAILBOX}\nVoice-Message: 2/8 (0/2)\nFax-Message: 1/0\n\nSubject: a"),
        report("Messages-Waiting: no\nMessage-Account: tel:+4930\nVoice-Message: 0/1\nFax-Message: 0/1 (0/1)", by="two", created=1),
    ]
    assert write(combine(reports, ALICE)[0]) == (
        f"Messages-Waiting: yes\r\nMessage-Account: {ALICE}\r\n"
        "Voice-Message: 2/9 (0/2)\r\nFax-Message: 1/1 (0/1)\r\n\r\nSubject: a\r\n"
    )


def test_a_mailbox_alone_keeps_its_name_and_none_has_none() -> None:
    assert combine([report(EXAMPLE)], ALICE)[0] == parse(EXAMPLE.encode())
    assert combine([], ALICE) == (Summary(), ())


# Anything

COUNT = st.integers(0, MAX_COUNT)
COUNTS = st.builds(Counts, COUNT, COUNT, st.none() | st.tuples(COUNT, COUNT))
CLASSES = st.lists(st.sampled_from(["Voice-Message", "Fax-Message", "Text-Message"]), unique=True)
SUMMARY = st.builds(
    Summary,
    waiting=st.booleans(),
    account=st.sampled_from(["", ALICE, MAILBOX, "tel:+4930"]),
    counts=CLASSES.flatmap(lambda names: st.tuples(*[st.tuples(st.just(name), COUNTS) for name in names])),
    messages=st.lists(st.sampled_from(["Subject: a", "Subject: b\nX: y"]), max_size=2).map(tuple),
)
REPORTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), SUMMARY), max_size=5).map(
    lambda made: [
        SummaryReport(f"p{number}", float(created), float(published), summary)
        for number, (created, published, summary) in enumerate(made)
    ]
)


@pytest.mark.rfc("PA-065")
@given(SUMMARY)
def test_what_is_written_is_read_as_the_same(summary: Summary) -> None:
    assert parse(write(summary).encode()) == summary


@pytest.mark.rfc("PA-065")
@given(REPORTS, st.randoms(use_true_random=False))
def test_any_order_of_publications_gives_one_summary_that_can_be_written(reports: list[SummaryReport], chance: object) -> None:
    summary, counted = combine(reports, ALICE)
    shuffled = list(reports)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert combine(shuffled, ALICE) == (summary, counted)
    assert parse(write(summary).encode()) == summary
    assert summary.waiting == any(each.summary.waiting for each in counted)
    assert len(counted) == len({each.summary.account or ALICE for each in reports})


@given(
    st.text(alphabet="Mesag-Witn: yoVc/0123()\r\n\t<>\0é", max_size=200) | st.binary(max_size=50).map(lambda b: b.decode("latin-1"))
)
def test_whatever_comes_is_read_or_refused(text: str) -> None:
    body = f"Messages-Waiting: yes\r\n{text}".encode()
    try:
        summary = parse(body)
    except UnsupportedMediaType:
        return
    assert parse(write(summary).encode()) == summary
