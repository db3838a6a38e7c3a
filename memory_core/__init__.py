"""The memory of a conversation as a pure function of its transcript: numbers only.

No HTTP, no configuration, no clock. What a proxy feeds in: turns with their digests (transcript.py) and unit
vectors. What it gets out: a state folded turn by turn (update.py), a ranking of the past (recall.py), and bytes
to keep (codec.py) in a store (stores/). reference.py says the same things slowly and obviously.
"""
