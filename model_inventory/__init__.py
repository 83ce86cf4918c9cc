"""Every model in one form: a bundle of a frozen graph and a card that describes it."""
