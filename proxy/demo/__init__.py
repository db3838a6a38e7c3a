"""The demo: a model without weights, a conversation written for it, and the table that shows the savings."""
