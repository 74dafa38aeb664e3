"""Loads Mitsuba with a variant that works on this machine.

Mitsuba's LLVM back end loads the first LLVM it can find, and with some system versions it aborts the whole
process, which Python cannot catch. So we point it at the library of the ``karellen-llvm-core`` wheel and
try one tiny rendering in a subprocess; if that dies we fall back to the scalar variant (slow, no LLVM).
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from ssrnet.errors import InstallationError

FAST, SLOW = "llvm_ad_rgb", "scalar_rgb"
_PROBE = """
import mitsuba as mi
mi.set_variant("llvm_ad_rgb")
import drjit as dr
dr.eval(dr.sum(dr.minimum(mi.Float([1.0, 2.0]), 1.5)))
scene = mi.load_dict({"type": "scene", "i": {"type": "path"}, "e": {"type": "constant"}, "s": {"type": "sphere"},
    "c": {"type": "perspective", "film": {"type": "hdrfilm", "width": 4, "height": 4}}})
print(float(dr.sum(mi.render(scene, spp=1).array)[0]))
"""


@cache
def load_mitsuba():
    """The ``mitsuba`` module with its variant set; the fast one where it works.

    Raises :class:`InstallationError` where the ``synth`` extra is not installed.
    """
    missing = [name for name in ("mitsuba", "mitsuba_oidn") if importlib.util.find_spec(name) is None]
    if missing:
        raise InstallationError(
            f"Rendering the synthetic city needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            "not installed; run `pip install -e .[synth]` (specs, geometry and existing images work without)."
        )
    # Dr.Jit picks its LLVM at its first import; if that came before us, its choice was never probed.
    unprobed = "drjit" in sys.modules and "DRJIT_LIBLLVM_PATH" not in os.environ
    point_at_wheel_llvm()
    if unprobed:
        os.environ["SSRNET_MITSUBA_VARIANT"] = SLOW
    variant = os.environ.get("SSRNET_MITSUBA_VARIANT") or (FAST if llvm_works() else SLOW)
    import mitsuba

    mitsuba.set_variant(variant)
    os.environ["SSRNET_MITSUBA_VARIANT"] = variant  # workers inherit the result instead of probing again
    return mitsuba


def point_at_wheel_llvm() -> None:
    """Prefer the LLVM of the ``karellen-llvm-core`` wheel, unless the user has set DRJIT_LIBLLVM_PATH."""
    if "DRJIT_LIBLLVM_PATH" not in os.environ:
        libraries = sorted(Path(sys.prefix, "lib").glob("libLLVM.so*"))
        if libraries:
            os.environ["DRJIT_LIBLLVM_PATH"] = str(libraries[0])


@cache
def llvm_works() -> bool:
    """Whether a subprocess survives one rendering with the LLVM variant."""
    try:
        done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
