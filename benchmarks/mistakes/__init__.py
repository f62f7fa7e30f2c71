"""The mutation matrix: hand derivations with mistakes of the catalogue planted in them."""
