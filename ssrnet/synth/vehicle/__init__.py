"""One vehicle as geometry: body, faces, fittings, wheels, marks."""
