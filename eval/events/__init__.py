"""When and where does it move? Onsets of motion in a video as a point process in time and space.

Onsets are found in dynamic masks (`onsets`), and explained by a background that varies smoothly (`poisson`) and by onsets that
set off others nearby (`hawkes`). A fitted intensity is tested by time rescaling (`residuals`), drawn from (`simulate`), and asked
where movement is likely next (`predict`).

Nothing happened before the window, as far as the models know: a video that starts in the middle of much movement puts what old
onsets set off down to the background.
"""
