"""The broken scenario files are data, not tests."""

collect_ignore_glob = ["broken/*"]
