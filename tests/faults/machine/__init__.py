"""Random sequences: meshes, faults, drifts, crashes and resumes over simulated clusters, with what must hold after each.

`process.py` is one run of the wizard that may be killed at any door, `disk.py` its disk, `times.py` its clocks, `child.py` its
istioctl; `world.py` is all that outlives it, `strangers.py` what somebody else has there; `mishaps.py` is what happens between
two runs; `shapes.py` draws meshes; `picture.py` compares what stands with what an uninterrupted run makes; `convergence.py` is
the end of every sequence; `rules.py` is the state machine.
"""
