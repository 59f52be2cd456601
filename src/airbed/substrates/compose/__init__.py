"""A bed as containers of docker-compose.yaml, with a kind cluster beside them."""
