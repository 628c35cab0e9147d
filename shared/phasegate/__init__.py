"""Phasegate runs and supervises backfills: domain, services, ports and adapters."""

__version__ = "0.2.0"
