"""Where a ray enters a solid: kernels for ellipsoids, upright cylinders, boxes, and the room from within."""

import math

from recon.splats.kernels.jit import kernel

BOX, ELLIPSOID, CYLINDER, ROOM = 0, 1, 2, 3
"""Kinds of solid; the room is a box seen from within."""
NO_HIT = 1e30
"""Distance of nothing: beyond any scene, and finite in float32, so that sums with it stay numbers."""
NEAREST = 1e-5
"""Least distance of a hit, in lengths of the ray: a ray that leaves a surface must not hit it again by rounding."""


@kernel
def _enter_ellipsoid(half, ox, oy, oz, dx, dy, dz):
    """As `enter_solid`; an ellipsoid has face 0 only."""
    ex, ey, ez, fx, fy, fz = (
        ox / half[0],
        oy / half[1],
        oz / half[2],
        dx / half[0],
        dy / half[1],
        dz / half[2],
    )
    a = fx * fx + fy * fy + fz * fz
    b = ex * fx + ey * fy + ez * fz
    inside = b * b - a * (ex * ex + ey * ey + ez * ez - 1)
    if inside <= 0:
        return NO_HIT, 0
    t = (-b - math.sqrt(inside)) / a
    return (t, 0) if t > NEAREST else (NO_HIT, 0)


@kernel
def _enter_cylinder(half, ox, oy, oz, dx, dy, dz):
    """As `enter_solid`; an upright cylinder has its side, face 0, and its ends, faces 4 and 5."""
    best, face = NO_HIT, 0
    a = dx * dx + dy * dy
    b = ox * dx + oy * dy
    inside = b * b - a * (ox * ox + oy * oy - half[0] * half[0])
    if inside > 0 and a > 1e-12:
        t = (-b - math.sqrt(inside)) / a
        if t > NEAREST and abs(oz + t * dz) <= half[2]:
            best = t
    if abs(dz) > 1e-9:
        t = (-math.copysign(half[2], dz) - oz) / dz
        x, y = ox + t * dx, oy + t * dy
        if NEAREST < t < best and x * x + y * y <= half[0] * half[0]:
            best, face = t, 4 if dz > 0 else 5
    return best, face


@kernel
def _enter_box(kind, half, ox, oy, oz, dx, dy, dz):
    """As `enter_solid`, by slabs; of the room the far wall is hit, from within."""
    near, far, near_face, far_face = -NO_HIT, NO_HIT, 0, 0
    for axis in range(3):
        o, d = (ox, dx) if axis == 0 else ((oy, dy) if axis == 1 else (oz, dz))
        if abs(d) < 1e-12:
            if abs(o) > half[axis]:
                return NO_HIT, 0
            continue
        t0, t1 = (-math.copysign(half[axis], d) - o) / d, (math.copysign(half[axis], d) - o) / d
        if t0 > near:
            near, near_face = t0, 2 * axis + (0 if d > 0 else 1)
        if t1 < far:
            far, far_face = t1, 2 * axis + (1 if d > 0 else 0)
    if near > far:
        return NO_HIT, 0
    if kind == ROOM:
        return (far, far_face) if far > NEAREST else (NO_HIT, 0)
    return (near, near_face) if near > NEAREST else (NO_HIT, 0)


@kernel
def enter_solid(kind, half, ox, oy, oz, dx, dy, dz):
    """Distance along a ray, in the solid's frame, to its first hit, and the face; NO_HIT where it misses."""
    if kind == ELLIPSOID:
        return _enter_ellipsoid(half, ox, oy, oz, dx, dy, dz)
    if kind == CYLINDER:
        return _enter_cylinder(half, ox, oy, oz, dx, dy, dz)
    return _enter_box(kind, half, ox, oy, oz, dx, dy, dz)
