"""Every knob of isocost on one page: see settings.py."""
