"""Rehearse: each arm once, in small, on a few of the images, before anything is started."""
