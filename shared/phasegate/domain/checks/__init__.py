"""Proofs and checks ask the tables: the proof, whether an output is there; the checks, whether it is sound."""
