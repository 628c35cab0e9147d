"""The ports are the outside world as the services see it: what a backend must provide, and nothing more.

Each backend under ``phasegate.adapters`` implements all of them; the services know no other way out.
"""

from phasegate.ports.claims import Claim, ClaimRequest, Leases
from phasegate.ports.clock import Clock
from phasegate.ports.events import Events
from phasegate.ports.installation import Installation
from phasegate.ports.objects import ObjectStore
from phasegate.ports.queues import QueueTask, Tasks
from phasegate.ports.records import Heal, QuarantineRecord, ReportNote
from phasegate.ports.state import RunReader, RunWriter, State
from phasegate.ports.warehouse import Bound, Parameter, Partition, Partitions, Replaced, Row, Struct, Warehouse
from phasegate.ports.worker import Worker

__all__ = [
    "Bound",
    "Claim",
    "ClaimRequest",
    "Clock",
    "Events",
    "Heal",
    "Installation",
    "Leases",
    "ObjectStore",
    "Parameter",
    "Partition",
    "Partitions",
    "QuarantineRecord",
    "QueueTask",
    "Replaced",
    "ReportNote",
    "Row",
    "RunReader",
    "RunWriter",
    "State",
    "Struct",
    "Tasks",
    "Warehouse",
    "Worker",
]
