"""Real SIP clients against the real server."""
