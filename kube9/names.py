"""Which texts can be names of Kubernetes objects: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/."""

LONGEST_NAMESPACE, LONGEST_NAME = 63, 253


def is_namespace(text: str) -> bool:
    """Whether a namespace can have this name."""
    return _is_label(text) and len(text) <= LONGEST_NAMESPACE


def is_name(text: str) -> bool:
    """Whether an object can, of a kind whose names may have dots, as those of ConfigMaps."""
    return all(_is_label(part) for part in text.split(".")) and len(text) <= LONGEST_NAME


def _is_label(text: str) -> bool:
    # Not by `re`, whose import costs a query 3 ms.
    plain = text.replace("-", "a")
    return plain.isascii() and plain.isalnum() and plain == plain.lower() and "-" not in (text[0], text[-1])
