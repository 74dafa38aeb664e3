"""Path tracing with Mitsuba: materials, renderer, part labels."""
