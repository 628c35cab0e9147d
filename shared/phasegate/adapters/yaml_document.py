"""A YAML file is read as plain values, with the line and column at which each of them stands."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import yaml
from yaml.constructor import ConstructorError

MAX_DEPTH = 50
"""Levels of nesting. The C loader builds values by recursion: too deep a nesting would end the process."""

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Part = str | int
"""A key of a mapping, or a position in a list."""


class Place(NamedTuple):
    """A place says where something stands in a file; both numbers count from 1, as editors do."""

    line: int
    """The line's number."""
    column: int
    """The number of the character in the line."""

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


class YamlProblem(ValueError):
    """The text is no YAML, or holds what no pipeline file may hold."""

    def __init__(self, sentence: str, place: Place) -> None:
        super().__init__(sentence)
        self.place = place
        """Where the problem is."""


class YamlDocument:
    """A document is one of YAML 1.1. Raises YamlProblem for a text that is none.

    A key that is given twice or is no text (``on`` is read as true), an object of Python's, and nesting without end
    are refused. content: plain values.
    """

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        try:
            _refuse_deep_nesting(text)
            loader = _Strict(text)
            try:
                self._root: yaml.Node | None = loader.get_single_node()
                self.content: Any = None if self._root is None else loader.construct_document(self._root)
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as error:
            said = " ".join(filter(None, (error.context, error.problem)))
            raise YamlProblem(f"not valid YAML: {said}", _place(error.problem_mark or error.context_mark)) from error
        except yaml.YAMLError as error:
            raise YamlProblem(f"not valid YAML: {' '.join(str(error).split())}", Place(1, 1)) from error

    def place(self, path: Sequence[Part], aliases: dict[str, str] | None = None) -> Place:
        """Say where the key or the entry at the end of a path stands; of one that is not there, what encloses it.

        aliases: other spellings that a key of the path may have in the file.
        """
        node, mark = self._root, None if self._root is None else self._root.start_mark
        for part in path:
            for spelling in (part, (aliases or {}).get(str(part))):
                if spelling is not None and (found := _entry(node, spelling)) is not None:
                    mark, node = found
                    break
            else:
                break
        return _place(mark)

    def place_of_text(self, path: Sequence[Part], line: int, column: int) -> Place | None:
        """Say where a line and column of the text at a path stand in the file; None for a text that is not written as
        it is: folded, in quotes with escapes, or over several lines without ``|``."""
        node = self._root
        for part in path:
            if (found := _entry(node, part)) is None:
                return None
            node = found[1]
        if not isinstance(node, yaml.ScalarNode) or node.start_mark is None:
            return None
        wanted = node.value.split("\n")[line - 1 : line]
        start = node.start_mark
        at = start.line if node.style in (None, '"', "'") and line == 1 else start.line + line
        if not wanted or node.style == ">" or at >= len(self._lines):
            return None
        indent = self._lines[at].find(wanted[0], start.column if at == start.line else 0)
        return None if indent < 0 else Place(at + 1, indent + column)


class _Strict(Loader):  # type: ignore[misc, valid-type]  # chosen at run time
    """Refuses a key that is no text, or given twice (YAML would take the second), and says where a bad value stands."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node."""
        try:
            return super().construct_object(node, deep=deep)
        except (TypeError, ValueError, AttributeError) as error:
            raise ConstructorError(None, None, f"a value that cannot be made: {error}", node.start_mark) from error

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are texts, and all different."""
        first: dict[str, yaml.Node] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.tag != "tag:yaml.org,2002:str":
                sentence = f"a key is read as {key.tag.rpartition(':')[2]}, and must be text; write it in quotes"
                raise ConstructorError(None, None, sentence, key.start_mark)
            if first.setdefault(key.value, key) is not key:
                before = _place(first[key.value].start_mark)
                sentence = f"the key '{key.value}' is given twice, before in line {before.line}"
                raise ConstructorError(None, None, sentence, key.start_mark)
        return dict(super().construct_mapping(node, deep=deep))


def _entry(node: yaml.Node | None, part: Part) -> tuple[yaml.Mark, yaml.Node] | None:
    """Where an entry of a mapping or list stands, and its node."""
    if isinstance(node, yaml.MappingNode):
        # What a merge (`<<`) brings stands before a mapping's own keys, which count.
        for key, value in reversed(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                return key.start_mark, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark, node.value[part]
    return None


def _place(mark: Any) -> Place:
    return Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)


def _refuse_deep_nesting(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            sentence = f"nested more than {MAX_DEPTH} levels deep; this is not a pipeline file"
            raise YamlProblem(sentence, _place(event.start_mark))
