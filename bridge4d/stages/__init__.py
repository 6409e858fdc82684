"""Stages of a run: public functions that read folders of earlier stages and write a folder of their own.

A stage's VERSION stands beside it and is raised by hand when what it writes of the same input changes; stages of another
version are made again. Held-out photos lie in folders of their own, which no function that makes a scene is handed.
"""
