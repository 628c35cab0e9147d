"""Property tests draw the same examples every time, and are not timed."""

from hypothesis import settings

settings.register_profile("same-every-time", derandomize=True, database=None, deadline=None)
settings.load_profile("same-every-time")
