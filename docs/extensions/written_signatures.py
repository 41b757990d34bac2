"""Signatures as the source has them.

At run time the package's types are looser than what a caller should give: `Level` is `Any` there,
so that a wrong word is answered by the package's own message and not by a type checker.
"""

import ast
import inspect
import textwrap
from typing import Any

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's hook."""
    app.connect("autodoc-process-signature", _written)
    return {"parallel_read_safe": True}


def _written(
    app: Sphinx, what: str, name: str, documented: Any, *_: Any
) -> tuple[str, str | None] | None:
    """Arguments and returned type of a function, a method, or a class with its own `__init__`."""
    if what not in ("function", "method", "class"):
        return None
    function = vars(documented).get("__init__") if inspect.isclass(documented) else documented
    try:
        source = inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):  # written by a decorator, or in C
        return None
    (definition,) = ast.parse(textwrap.dedent(source)).body
    if not isinstance(definition, ast.FunctionDef):
        return None
    arguments = definition.args
    if arguments.args and arguments.args[0].arg in ("self", "cls"):
        del arguments.args[0]
    for defaults in (arguments.defaults, arguments.kw_defaults):
        defaults[:] = [_spelled_out(default, function.__globals__) for default in defaults]
    returns = None if definition.name == "__init__" else definition.returns
    return f"({ast.unparse(arguments)})", None if returns is None else ast.unparse(returns)


def _spelled_out(default: ast.expr | None, names: dict[str, Any]) -> ast.expr | None:
    """The words that a constant stands for, where it does."""
    value = names.get(default.id) if isinstance(default, ast.Name) else None
    return ast.Constant(value) if isinstance(value, str) else default
