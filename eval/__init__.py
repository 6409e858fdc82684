"""What judges: pose errors, epipolar and photometric metrics, the gate, intervals, protocols, reports.

Sees clips and cameras only, never the model that made them, so that any generator is judged alike.
Write ``from eval import poses``: a bare ``import eval.poses`` rebinds the builtin `eval` in that module.
"""
