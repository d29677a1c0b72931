"""Log lines of the long-running commands: to stderr, in UTC, with milliseconds."""

import logging
import time


def set_up(level: str) -> None:
    """Log from the given level on: debug, info, warning or error."""
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("urllib3").setLevel("ERROR")  # its retries are ours, and its warnings would come twice
