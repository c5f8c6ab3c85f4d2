"""A command line as it may be written down: without what its URIs carry to log in."""

import re
from collections.abc import Sequence

USER = re.compile(r"(?<=://)[^/\s@]+@")  # s3://key:secret@bucket
OPTION = re.compile(r"([?&][^=&\s]*(?:key|secret|token|password)[^=&\s]*=)[^&\s]+", re.I)


def discreet(words: Sequence[str]) -> list[str]:
    """Return the words with `***` in place of names, keys and passwords within URIs."""
    return [OPTION.sub(r"\1***", USER.sub("***@", word)) for word in words]
