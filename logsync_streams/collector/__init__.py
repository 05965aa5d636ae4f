"""The doors: what is sent to us is framed, stamped with its ids and handed to Kafka (DESIGN §4)."""
