"""Room 4: the architectures, torch only. Modules ``(x, lengths) -> [(x_l, lengths_l), ...]``."""
