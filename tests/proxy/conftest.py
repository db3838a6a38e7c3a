"""Property tests share their machine with others: no deadline an example, and fewer of them."""

from hypothesis import settings

settings.register_profile("proxy", deadline=None, max_examples=60)
settings.load_profile("proxy")
