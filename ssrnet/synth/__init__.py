"""The synthetic city: a procedural vehicle Re-ID data set whose every mesh, texture and scene our code makes.

Two levels of identity, then the capture: a :class:`~ssrnet.synth.vehicle.specs.ModelSpec` is shared by
look-alikes, an :class:`~ssrnet.synth.vehicle.specs.IdentitySpec` adds paint and individual marks, and a
:class:`~ssrnet.synth.camera.captures.Capture` is one photograph of it. Specs, geometry and projection need
numpy and scipy only; rendering needs the ``synth`` extra (Mitsuba 3 and its LLVM).
"""
