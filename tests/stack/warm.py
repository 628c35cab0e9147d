"""What commands for a deployment have imported before they begin, beside what all have (``tests.warm``)."""

import gc

import google.cloud.bigquery
import google.cloud.firestore
import google.cloud.pubsub_v1
import google.cloud.storage
import google.cloud.tasks_v2  # noqa: F401 - each client of these is made, and its library imported, when it is needed

import phasegate.deployment  # noqa: F401 - as above

gc.freeze()
