"""What a bed costs on this machine: seconds to start, memory when idle, mapped instances a second."""
