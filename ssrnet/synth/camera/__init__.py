"""From where and when a vehicle is photographed, and what the camera makes of the light."""
