"""How long a story waits for what should come at once: on a busy or slow machine that is long."""

PATIENCE = 30  # seconds


def patient(seconds):
    """What a story thinks is long enough, or PATIENCE when that is longer."""
    return max(seconds, PATIENCE)
