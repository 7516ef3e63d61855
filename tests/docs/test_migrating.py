"""What docs/migrating.md tells to type takes the data of a Kamailio over; every parameter and function of its modules is in it."""

import re
import sqlite3
import subprocess
from hashlib import md5
from pathlib import Path

import pytest

from tests.docs.test_docs import DOCS, ENVIRONMENT, ROOT, blocks

PAGE = DOCS / "migrating.md"
TABLES = Path("/usr/share/kamailio/db_sqlite")
LISTS = '<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list name="friends"/></resource-lists>'
SERVICES = (
    '<rls-services xmlns="urn:ietf:params:xml:ns:rls-services"><service uri="sip:friends@example.org"><resource-list>'
    "http://example.org/xcap-root/resource-lists/users/sip:alice@example.org/index/~~/resource-lists/list%5B@name=%22friends%22%5D"
    "</resource-list><packages><package>presence</package></packages></service></rls-services>"
)
DOCUMENTS = [
    (8, "/xcap-root/rls-services/users/sip:alice@example.org/index", SERVICES),
    (4, "/xcap-root/resource-lists/users/sip:alice@example.org/index", LISTS),
    (4, "/xcap-root/resource-lists/users/sip:Bob@EXAMPLE.org/my list", LISTS),
    (4, "/xcap-root/resource-lists/users/sip:eve@example.org/index", "<broken"),
    (4, "/xcap-root/resource-lists/users/sip:alice@example.net/index", LISTS),
]
"""Of Kamailio 5.6: kind, path and text, as its xcap_server stores them."""

MODULES = {
    "presence": "db_url presentity_table active_watchers_table watchers_table clean_period db_update_period waitn_time "
    "notifier_poll_rate notifier_processes force_delete startup_mode expires_offset max_expires min_expires min_expires_action "
    "server_address subs_htable_size pres_htable_size subs_db_mode publ_cache enable_sphere_check timeout_rm_subs send_fast_notify "
    "fetch_rows db_table_lock_type local_log_level local_log_facility subs_remove_match xavp_cfg retrieve_order retrieve_order_by "
    "sip_uri_match cseq_offset enable_dmq pres_subs_mode delete_same_subs timer_mode subs_respond_200 handle_publish "
    "handle_subscribe pres_auth_status pres_refresh_watchers pres_update_watchers pres_has_subscribers",
    "presence_xml": "db_url xcap_table force_active integrated_xcap_server xcap_server disable_presence disable_winfo disable_bla "
    "disable_xcapdiff passive_mode xcapauth_userdel_reason force_dummy_presence force_presence_single_body "
    "presence_single_body_priorities presence_single_body_lookup_element default_expires pres_check_basic pres_check_activities",
    "presence_dialoginfo": "force_single_dialog force_dummy_dialog default_expires",
    "rls": "server_address db_url rlpres_db_url xcap_db_url rlsubs_table rlpres_table xcap_table waitn_time notifier_poll_rate "
    "notifier_processes clean_period rlpres_clean_period max_expires hash_size integrated_xcap_server to_presence_code xcap_root "
    "rls_event outbound_proxy reload_db_subs max_notify_body_length db_mode expires_offset fetch_rows disable_remote_presence "
    "max_backend_subs rls_handle_subscribe rls_handle_notify rls_update_subs",
    "xcap_server": "db_url xcap_table xcap_root buf_size xml_ns directory_scheme directory_hostname xcaps_put xcaps_get xcaps_del",
    "xcap_client": "db_url xcap_table periodical_query query_period",
}  # fmt: skip
"""Names of parameters and functions, by module."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where Kamailio's database is."""
    with sqlite3.connect(tmp_path / "kamailio.db") as old:
        for name in ("standard", "presence", "auth_db"):
            old.executescript((TABLES / f"{name}-create.sql").read_text())
        columns = "username, domain, doc, doc_type, etag, source, doc_uri, port"
        values = [("x", "example.org", text.encode(), kind, "e", 0, path, 0) for kind, path, text in DOCUMENTS]
        old.executemany(f"INSERT INTO xcap ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        hashes = [md5(f"{name}:example.org:secret".encode()).hexdigest() for name in ("alice", "alice@example.org")]
        users = [("alice", *hashes), ("only-in-clear", "", "")]
        old.executemany("INSERT INTO subscriber (username, domain, ha1, ha1b) VALUES (?, 'example.org', ?, ?)", users)
    old.close()
    run(tmp_path, "presencectl migrate")
    return tmp_path


def run(folder: Path, text: str) -> str:
    """What it prints."""
    environment = {**ENVIRONMENT, "KP_VAR": str(folder), "PATH": f"{ROOT}/.venv/bin:{ENVIRONMENT['PATH']}"}
    text = text.replace("/var/lib/kemi-presence", str(folder))
    done = subprocess.run(
        ["bash", "-euc", text], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    return done.stdout


def told_to_type(word: str) -> str:
    (found,) = (text for text in blocks(PAGE, "bash") if word in text)
    return found


def test_users_are_taken_over_with_their_passwords(folder: Path) -> None:
    run(folder, re.sub(r"^psql .*\n", "", told_to_type("users.tsv"), flags=re.MULTILINE))
    with sqlite3.connect(folder / "presence.db") as new:
        found = new.execute("SELECT username, domain, ha1, ha1_sha256, ha1b, ha1b_sha256 FROM subscriber").fetchall()
    new.close()
    ha1, ha1b = (md5(f"{name}:example.org:secret".encode()).hexdigest() for name in ("alice", "alice@example.org"))
    assert found == [("alice", "example.org", ha1, "", ha1b, "")]


def test_documents_are_taken_over_lists_first_and_what_cannot_be_is_named(folder: Path) -> None:
    printed = run(folder, told_to_type("xcap put"))
    assert [line for line in printed.splitlines() if "not taken" in line] == [
        f"{path} is not taken over" for _kind, path, _text in DOCUMENTS[3:]
    ]
    kept = [line.split("  ")[0].strip() for line in run(folder, "presencectl xcap list").splitlines()[1:]]
    assert sorted(kept) == [
        "resource-lists/users/sip:Bob@example.org/my%20list",
        "resource-lists/users/sip:alice@example.org/index",
        "rls-services/users/sip:alice@example.org/index",
    ]


@pytest.mark.parametrize("module", MODULES)
def test_what_becomes_of_every_parameter_and_function_is_told(module: str) -> None:
    library = Path("/usr/lib/x86_64-linux-gnu/kamailio/modules", f"{module}.so").read_bytes()
    text = PAGE.read_text().split("## From Kamailio's presence modules")[1]
    for name in MODULES[module].split():
        assert f"{name}\0".encode() in library, name
        assert re.search(rf"`{name}\W", text), name
