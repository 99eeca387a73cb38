"""Search results: a list of hits that becomes an Arrow table or a pandas frame."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mmsearch.extras import require
from mmsearch.records import Hit, hit_columns

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Hits(list[Hit]):
    """Search results, best first: a list of `Hit`.

    next: the cursor of the page that follows, to pass as `after`; None where there is none.

    >>> hits = catalog.search("red apple", k=2)
    >>> [hit.key for hit in hits]
    ['products/red-apple', 'products/school-slate-with-apple']
    >>> catalog.search("red apple", k=2, after=hits.next)[0].rank
    3
    """

    def __init__(self, hits: Iterable[Hit] = (), *, next: str | None = None) -> None:
        super().__init__(hits)
        self.next = next

    def to_arrow(self) -> "pa.Table":
        """Returns a pyarrow.Table, a row per hit: rank, key, uri, similarity, matched, columns.

        After a search with keywords, also score; where items have several images or passages, part,
        such as 'image=3', and excerpt. A column of the catalog that has one of these
        names is called 'record.<name>'.

        >>> catalog.search("red apple", k=2).to_arrow().select(["rank", "title"]).to_pylist()
        [{'rank': 1, 'title': 'Red apple'}, {'rank': 2, 'title': 'School slate with apple'}]
        """
        import pyarrow as pa

        names = dict.fromkeys(name for hit in self for name in hit.record)
        fields = hit_columns(self)
        own = {name: pa.array(values) for name, values in fields.items()}
        record = {
            f"record.{name}" if name in fields else name: pa.array(
                [hit.record.get(name) for hit in self]
            )
            for name in names
            if name not in ("key", "uri")
        }
        return pa.table(own | record)

    def to_pandas(self) -> "pd.DataFrame":
        """Returns the table of `to_arrow` as a pandas.DataFrame. Raises MissingDependency."""
        require("pandas", purpose="to_pandas()")
        return self.to_arrow().to_pandas()
