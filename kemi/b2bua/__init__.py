"""The presence B2BUA: subscriptions that this server itself has with others (RFC 6665 section 4.1, SER handbook section 7)."""
