"""What clips say together: rates and means of a model, and its comparison with a control.

Clips are the unit: intervals and tests are over clips (or groups of them), never over frames or pairs of frames.
"""
