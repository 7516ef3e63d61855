"""kemi-presence: a SIP/SIMPLE presence server inside Kamailio."""
