"""The demo: the six patterns on a bed, clean and with partial failures, each row held to what must come out."""
