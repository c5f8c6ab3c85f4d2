"""A defense, an attack or a model in one line, for people."""

from typing import Any

from attacks.by_name import Keys


def one_line(keys: Keys) -> str:
    """Return a defense, an attack or a model in one line: its name and every field with a value.

    Defaults are printed too, since they define it as much as what was written in the YAML.
    """
    name, fields = getattr(keys, "name", ""), fields_in_line(keys)
    return f"{name}({fields})" if fields else name


def fields_in_line(keys: Keys) -> str:
    """Return every field with a value but the name, what is nested last.

    What a class calls `unsaid` is left out, so that stored results read as they did.
    """
    left_out = {"name", *getattr(keys, "unsaid", ())}
    values = {key: getattr(keys, key) for key in type(keys).model_fields if key not in left_out}
    nested_last = sorted(values.items(), key=lambda item: isinstance(item[1], Keys))
    return ", ".join(f"{key} {_inline(v)}" for key, v in nested_last if v not in (None, ()))


def _inline(value: Any) -> str:
    """A field's value; a float in full, or in 255ths, as radii are stated, where that is exact."""
    if isinstance(value, Keys):
        return one_line(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, float):
        return str(value)
    if float(short := f"{value:g}") == value:
        return short
    return f"{round(255 * value)}/255" if value == round(255 * value) / 255 else str(value)
