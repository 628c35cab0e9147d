"""Phasegate runs and supervises backfills: domain, services, ports and adapters."""

__version__ = "0.1.0"
