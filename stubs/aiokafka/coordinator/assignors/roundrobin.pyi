class RoundRobinPartitionAssignor:
    name: str
