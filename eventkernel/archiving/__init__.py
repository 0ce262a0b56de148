"""Archives: logs as files of CloudEvents in object storage, from which they can be restored."""
