"""Waivers and approvals: what a person lets pass."""
