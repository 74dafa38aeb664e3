"""What surrounds a vehicle: road, buildings, sky, other traffic, lamps."""
