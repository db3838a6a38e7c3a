"""Fewer examples of each property while one works (`make check`); all of them in `make test`.

None has a deadline: on a busy machine what is slow is the machine.
"""

from hypothesis import settings

settings.register_profile("whole", deadline=None)
settings.register_profile("quick", max_examples=25, deadline=None)
settings.load_profile("whole")
