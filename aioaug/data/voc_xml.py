"""The XML of Pascal VOC's files as elements: read with care, and changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from .checks import broken

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_DEEPEST = 100  # Python's own code calls itself for each level when it writes XML


def read_xml(file: str, data: bytes) -> Element:
    """The XML in a file. What defines entities is refused: a short file may hold gigabytes."""
    from xml.etree import ElementTree

    def no_entities(*_: Any) -> None:
        raise broken(file, "has a document type, which may define entities without end")

    depth = 0

    def begin(*_: Any) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise broken(file, f"has elements in each other, more than {_DEEPEST} of them")

    def end(*_: Any) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = no_entities
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    try:
        parser.Parse(data, True)
        tree = ElementTree.fromstring(data)
    except (expat.ExpatError, ElementTree.ParseError, LookupError) as error:
        raise broken(file, f"is not XML: {error}") from error
    if tree.tag != "annotation":
        raise broken(file, f"must hold an <annotation>, got a <{tree.tag}>")
    return tree


def set_text(element: Element, path: str, text: str) -> None:
    """Set the text of an element below, which is made if it is not there."""
    from xml.etree.ElementTree import SubElement

    for tag in path.split("/"):
        found = element.find(tag)
        element = SubElement(element, tag) if found is None else found
    element.text = text
