"""The outbound IO of verification: one HTTP door, one background thread, metadata and key sets kept fresh."""
