"""Other tools on the same work W(D) (bench/shape.py): a script per peer, run in an environment of its own.

``python -m bench.peers`` makes the environments and runs the scripts. The pins stand beside each script, in NAME.txt; a
peer without such a file runs in the environment of the project.
"""
