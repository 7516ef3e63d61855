"""SIPp stories, one folder each, and what reads and plays them."""
