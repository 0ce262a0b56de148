"""What events mean to the transfers' view: a document per transfer; of the accounts it keeps nothing."""
