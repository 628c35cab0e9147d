"""What Phasegate itself asked a warehouse for is counted, where the warehouse says how much that was."""

from typing import NamedTuple


class Reads(NamedTuple):
    """Reads are the statements that were answered, and the bytes that BigQuery read for them."""

    statements: int = 0
    """How many SELECTs were answered, also from a cache."""
    bytes: int = 0
    """What they read, in bytes (BigQuery's ``totalBytesProcessed``: 0 for an answer from its cache)."""

    def plus(self, more: "Reads") -> "Reads":
        """Add what was read besides."""
        return Reads(self.statements + more.statements, self.bytes + more.bytes)

    def __str__(self) -> str:
        return f"{self.statements:,} statements, {self.bytes:,} bytes"
