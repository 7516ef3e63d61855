"""The verbs on a real database: what is committed, what is answered, what is sent."""
