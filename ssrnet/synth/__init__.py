"""The synthetic city: a procedural vehicle Re-ID data set with every mesh, texture and scene made by our code.

Siblings share a :class:`~ssrnet.synth.vehicle.specs.ModelSpec`; an
:class:`~ssrnet.synth.vehicle.specs.IdentitySpec` adds paint and individual marks; a
:class:`~ssrnet.synth.camera.captures.Capture` is one photograph of a vehicle. README.md beside this file
says how the rooms work together.
"""
