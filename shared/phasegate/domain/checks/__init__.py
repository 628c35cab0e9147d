"""What is asked of the tables: the proof that an output is there, and the checks that say whether it is sound."""
