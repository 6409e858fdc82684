"""The closed loop: photos, splats, novel views, blind recovery, gate, better splats."""
