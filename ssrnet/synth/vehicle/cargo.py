"""A box truck's cargo box, chassis and tail."""

from __future__ import annotations

import numpy as np

from ssrnet.synth.mesh import Mesh, box, tube
from ssrnet.synth.vehicle.specs import ModelSpec


def cargo_box(model: ModelSpec) -> list[Mesh]:
    """Box, frame and rear lamps in the cab's body frame, behind the cab."""
    s = model.shape
    x, front, floor, top = s.x, s.box_front, s.box_floor, s.box_height
    middle, height, end = front + s.box_length / 2, top - floor, front + s.box_length
    center_z, half = (floor + top) / 2, s.box_width / 2
    pieces = [box((x(middle), 0, center_z), (s.box_length, s.box_width, height), "cargo", "cargo")]
    ribs = int(s.box_length / 0.45)
    for k in range(ribs):
        station = front + 0.2 + k * (s.box_length - 0.4) / max(ribs - 1, 1)
        for sign in (1, -1):
            pieces.append(box((x(station), sign * half, center_z), (0.045, 0.028, height - 0.16), "cargo", "cargo"))
    for z in (floor + 0.03, top - 0.03):
        for sign in (1, -1):
            pieces.append(box((x(middle), sign * half, z), (s.box_length + 0.02, 0.045, 0.09), "rim", "cargo"))
        for station in (front, end):
            pieces.append(box((x(station), 0, z), (0.045, s.box_width, 0.09), "rim", "cargo"))
    for sign in (1, -1):
        pieces += [
            box((x(middle - 0.3), sign * 0.38, floor - 0.13), (s.box_length + 0.4, 0.09, 0.2), "black", "underbody"),
            box((x(end + 0.005), sign * half * 0.98, center_z), (0.05, 0.07, height), "rim", "cargo"),
            box((x(front + 0.95), sign * (half - 0.10), floor - 0.32), (1.1, 0.05, 0.34), "black", "underbody"),
            box((x(end - 0.02), sign * (half - 0.30), floor - 0.17), (0.06, 0.34, 0.12), "tail", "rear lamp"),
            box((x(end + 0.012), sign * (half - 0.30), floor - 0.17), (0.01, 0.10, 0.10), "amber", "rear lamp"),
        ]
        for y in (0.22, 0.62):
            rod = np.array(
                [[x(end + 0.04), sign * y * half, floor + 0.05], [x(end + 0.04), sign * y * half, top - 0.05]]
            )
            pieces.append(tube(rod, 0.016, "rim", "cargo", 6))
        for z in (0.25, 0.5, 0.75):
            pieces.append(
                box((x(end + 0.012), sign * half * 0.93, floor + z * height), (0.02, 0.14, 0.05), "rim", "cargo")
            )
    pieces += [
        box((x(end + 0.006), 0, center_z), (0.014, 0.018, height - 0.1), "seam", "cargo"),
        box((x(end - 0.05), 0, floor - 0.42), (0.06, s.box_width - 0.2, 0.10), "black", "bumper"),
        box((x(end), 0, floor - 0.20), (0.02, 0.46, 0.14), "plate", "plate"),
        box((x(front + 0.5), 0, floor - 0.25), (2.4, 0.7, 0.3), "black", "underbody"),
        box(
            (x(s.front_overhang + s.wheelbase), 0, s.wheel_radius),
            (0.16, s.box_width - 0.5, 0.16),
            "black",
            "underbody",
        ),
    ]
    return pieces
