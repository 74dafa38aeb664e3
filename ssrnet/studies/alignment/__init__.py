"""`ssrnet study alignment`: the settings of camera alignment, and when to be careful, from towns that nobody trained on."""
