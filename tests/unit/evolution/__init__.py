"""What a release promised, compared with today."""
