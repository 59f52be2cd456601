"""A bed as plain processes of this machine, kept by supervisor."""
