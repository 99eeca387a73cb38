"""Why a URL gave no image."""

from mmsearch.errors import InputError


class FetchError(InputError):
    """A URL could not be fetched; the message is the reason.

    again: whether the same request may succeed a little later. wait: seconds that the server asks
    to wait before. reached: whether the host answered at all. lasting: whether the next run need
    not ask again.
    """

    def __init__(
        self,
        reason: str,
        *,
        again: bool = False,
        wait: float | None = None,
        reached: bool = True,
        lasting: bool = True,
    ) -> None:
        super().__init__(reason)
        self.again, self.wait = again, wait
        self.reached, self.lasting = reached, lasting and reached
