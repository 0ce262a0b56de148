"""A running system: both modes, its data folder, its settings, its servers."""
