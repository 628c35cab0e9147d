"""A fence keeps an attempt that was given up from writing after the one that replaced it."""

from phasegate.domain.errors import StaleFence
from phasegate.ports import Partition, Warehouse


def check_fence(warehouse: Warehouse, partition: Partition, fence: int, fence_column: str = "_fence") -> None:
    """Refuse to go on when the partition already carries a higher fence.

    For services that write by themselves: right before the write, and with the fence written on every row. Between
    this check and the write a newer attempt may still come; only a statement that checks and writes in one, as
    ``Warehouse.replace_partition`` does, closes that gap. Raises StaleFence, and TransientError from the query.
    """
    sql = f"SELECT MAX({fence_column}) AS fence FROM `{partition.table}` WHERE {partition.date_column} = @day"
    (row,) = warehouse.query(sql, {"day": partition.day})
    if row["fence"] is not None and row["fence"] > fence:
        raise StaleFence(
            f"{partition.table} of {partition.day} carries fence {row['fence']}: an attempt with fence {fence} is void "
            "and writes nothing"
        )
