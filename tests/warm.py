"""What commands that tests type have imported before they begin: one process imports it (``tests.commands``)."""

import gc

import tests.world  # noqa: F401 - the worker of most pipelines in tests

# Whoever is forked need not copy it.
gc.freeze()
