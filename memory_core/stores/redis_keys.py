"""What lies where in Redis.

Keys of one conversation share a hash tag, so that a script over them is legal in a cluster:

    isocost:{conversation}:log        hash, digest -> payload
    isocost:{conversation}:parents    hash, digest -> parent + seq, so that walking reads no payload
    isocost:{conversation}:notes      hash, name -> value
    isocost:{conversation}:snapshot   hash, version / digest / seq / state
    isocost:{conversation}:ledger     list of rows, the newest `rows_max`
    isocost:{conversation}:recorded   how many rows were ever recorded
    isocost:{conversation}:total      hash, field -> sum: the total of kind "conversation"
    isocost:total:{kind}:name         the same for every other kind, beside its listing
    isocost:totals:{kind}             sorted set, name by minus the time of its newest row
    isocost:conversations             sorted set, id by minus the time of its newest row
    isocost:pins, isocost:format      what was set once

A cluster spreads the totals of conversations over its nodes, as many as there are; those of another kind are bounded
in number and lie on one node, where a script counts them.
"""

CONVERSATIONS, PINS, FORMAT_KEY = "isocost:conversations", "isocost:pins", "isocost:format"
PARTS = ("log", "parents", "notes", "snapshot", "ledger", "recorded", "total")


def part_key(conversation: str, part: str) -> str:
    """Where one of PARTS lies. Braces of the id are escaped: they would end its tag."""
    tag = conversation.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
    return f"isocost:{{{tag}}}:{part}"


def total_key(kind: str, name: str) -> str:
    """Where a total's sums lie. After the first braces nothing is a tag any more, so a name may hold some."""
    return part_key(name, "total") if kind == "conversation" else f"isocost:total:{{{kind}}}:{name}"


def listing_key(kind: str) -> str:
    """Where the names of a kind are listed."""
    return f"isocost:totals:{{{kind}}}"
