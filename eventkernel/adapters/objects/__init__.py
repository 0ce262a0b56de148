"""Object stores: a folder, and whatever speaks S3."""
