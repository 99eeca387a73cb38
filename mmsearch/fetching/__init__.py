"""Fetches the images that tables name by URL: within bounds, politely, and each only once.

A `FetchingSource` wraps a source whose records have URLs; its records get files, those of the
store's folder of pictures. A `Fetcher` downloads into that folder what is not there yet. Import
these from their modules: only runs that fetch load an HTTP client.
"""
