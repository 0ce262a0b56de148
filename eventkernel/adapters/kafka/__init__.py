"""The log on Kafka: one topic a log, its commits, its readers, and the group that shares the reading."""
