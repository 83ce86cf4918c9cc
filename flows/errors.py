"""What can go wrong between a request and its run; the command line prints the text and exits with 2."""


class RequestError(Exception):
    """What was asked for does not exist or contradicts itself; the text is one sentence with the remedy."""


class PrefectServerError(RuntimeError):
    """The Prefect server is missing, does not answer or does not start."""
