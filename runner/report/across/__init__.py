"""How several experiments beside each other are shown, written from compared.json alone."""
