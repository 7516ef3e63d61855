"""Every parameter of SER's module pa (SER handbook section 5.2) is one here, or is told what became of it."""

import pytest

from kemi import parameters, ser_parameters
from kemi.errors import ConfigurationError

SAME = {
    "default_expires": 3600, "max_subscription_expiration": 3600, "max_publish_expiration": 3600, "winfo_auth": "implicit",
    "use_callbacks": 1, "watcherinfo_notify": 1, "use_offline_winfo": 0, "offline_winfo_expiration": 259200,
    "offline_winfo_timer": 3600, "ignore_408_on_notify": 0, "default_priority_percentage": 0, "auth_rules_refresh_time": 300,
    "max_auth_requests_per_tick": 50, "notify_is_refresh": 1, "subscribe_to_users": 0, "pa_subscription_uri": "",
    "auth": "none",
}  # fmt: skip
"""Those with SER's default; without one `auth` was `none` (handbook section 5.2)."""

OTHER_DEFAULT = {"pres_rules_file": "index"}
"""As RFC 5025 section 9.7 has it; docs/migrating.md says so."""

WITHOUT_EFFECT = (
    "use_db", "accept_internal_subscriptions", "timer_interval", "async_auth_queries", "place_table", "use_place_table",
    "use_bsearch", "use_location_package", "presentity_table", "presentity_contact_table", "watcherinfo_table",
    "offline_winfo_table", "uid_column", "watcher_column", "events_column", "domain_column", "status_column",
    "created_on_column", "expires_on_column", "dbid_column", "pres_id_column", "basic_column", "expires_column",
    "priority_column", "contact_column", "tupleid_column", "etag_column", "published_id_column", "element_column",
    "note_column", "lang_column", "uri_column", "pdomain_column", "xcap_params_column", "status_extension_column",
    "w_uri_column", "display_name_column", "s_id_column", "package_column", "event_column", "accepts_column",
    "server_contact_column", "dialog_column", "doc_index_column",
)  # fmt: skip


@pytest.mark.parametrize(("name", "default"), [*SAME.items(), *OTHER_DEFAULT.items()])
def test_a_parameter_has_its_name_and_default(name: str, default: int | str) -> None:
    assert parameters.known()[f"pa.{name}"].default == default


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_what_has_no_effect_is_said_to_have_none(name: str) -> None:
    assert f"pa.{name}" not in parameters.known()
    assert f"kamailio.cfg: pa.{name} has no effect: " in ser_parameters.notice(f"pa.{name}", "kamailio.cfg")


def test_where_the_database_is_stands_elsewhere() -> None:
    with pytest.raises(ConfigurationError, match="KP_DB_URL"):
        ser_parameters.notice("pa.db_url", "kamailio.cfg")
