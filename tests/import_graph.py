"""Which module of the library imports which: read from the sources, lazy imports counted."""

import ast
from graphlib import CycleError, TopologicalSorter


def modules(folder):
    """Sources below the folder of a package, by full name of the module.

    Parameters
    ----------
    folder : Path
        With the ``__init__.py`` of the package.

    Returns
    -------
    sources : dict of str to (str, bool)
        Text, and whether the module is a package.
    """
    sources = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        package = parts[-1] == "__init__"
        sources[".".join(parts[:-1] if package else parts)] = path.read_text("utf-8"), package
    return sources


def imports(name, source, package):
    """Full names of what a module imports, anywhere in its code but for the type checker.

    Parameters
    ----------
    name : str
        Full name of the module.
    source : str
        Its text.
    package : bool
        Whether it is the ``__init__.py`` of a package.

    Yields
    ------
    imported : str
        Of ``from a import b`` it is "a.b": a module, or a name in one.
    """
    waiting = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: len(name.split(".")) - node.level + package]
            origin = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("attach"):
            arguments = {word.arg: ast.literal_eval(word.value) for word in node.keywords}
            lazy = [*arguments.get("submodules", ()), *arguments.get("submod_attrs", ())]
            yield from (f"{name}.{module}" for module in lazy)


def graph(sources):
    """Modules of a package that each of them makes Python run.

    Parameters
    ----------
    sources : dict of str to (str, bool)
        As from `modules`.

    Returns
    -------
    edges : dict of str to set of str
        By name. To import a module runs the packages above it, too; those above the importing
        module run already.
    """
    edges = {}
    for name, (source, package) in sources.items():
        edges[name] = set()
        for imported in imports(name, source, package):
            found = imported
            while found and found not in sources:  # then it is a name in a module
                found = found.rpartition(".")[0]
            parts = found.split(".")
            above = {".".join(parts[:n]) for n in range(1, len(parts))}
            running = {other for other in above if f"{name}.".startswith(f"{other}.")}
            edges[name] |= ({found} | above - running) - {name, ""}
    return edges


def cycle(edges):
    """A circle among the modules.

    Parameters
    ----------
    edges : dict of str to set of str
        As from `graph`.

    Returns
    -------
    names : list of str
        Each imports the next one, and the last is the first; empty if there is no circle.
    """
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return error.args[1][::-1]  # which it gives from the imported one to the importing one
    return []


def reached(name, edges):
    """All that is run when a module is imported and used.

    Parameters
    ----------
    name : str
        The module.
    edges : dict of str to set of str
        As from `graph`.

    Returns
    -------
    names : set of str
        Full names, its own among them.
    """
    names, waiting = set(), [name]
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting += edges[name]
    return names
