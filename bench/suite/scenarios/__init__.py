"""What is done: each scenario is a function of a bench that returns a list of figures."""

from . import cold, limits, lists, windows

ALL = {
    "pages-of-100": lists.pages_of_100,
    "pages-of-1000": lists.pages_of_1000,
    "growth": lists.growth,
    "ten-windows": windows.ten_windows,
    "twelve-windows": windows.twelve_windows,
    "bucket": limits.bucket,
    "details": limits.details,
    "cold-start": cold.one_page,
}
