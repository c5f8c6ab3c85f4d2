"""Several experiments beside each other, from what is stored of them: no Ray, no torch, no data."""
