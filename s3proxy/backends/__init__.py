"""Where bytes live: stores behind one Protocol."""
