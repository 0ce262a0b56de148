"""Log and ledger on real servers: replicas in a race, crashes between steps, exchanged ledgers, lost servers."""
