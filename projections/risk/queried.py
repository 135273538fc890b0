"""The book whose queries ask: they hold only what it reads, so that they do not keep a book of the past alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections.book import Book
from projections.fold_reader import FoldReader
from projections.past_book import PastBook, PastReader

if TYPE_CHECKING:
    from projections.view import BookReader


def book_of(reader: BookReader) -> Book:
    """Return the book that a query's reader belongs to, or one of the past like it if that was dropped."""
    book: object = reader
    if isinstance(reader, FoldReader) and reader.owner is not None:
        book = reader.owner() or (PastBook if isinstance(reader, PastReader) else Book).of(reader)
    assert isinstance(book, Book), "queries belong to a book"
    return book
