"""What is done: each scenario is a function of a bench that returns a list of figures."""

from . import bulk, cold, guest_modes, jobs, limits, lists, windows


def by_guest(bench):
    """The same list by guests of several languages, and by none."""
    figures = []
    with bench.source(bench.records // 100 if bench.small else bench.records // 10) as source:
        for number in range(bench.rounds):
            with bench.task(source) as task:
                served = {"base_url": source.base_url, "token": source.token}
                # The slow ones once: they are ten times apart, not a tenth.
                is_first = number == 0 and not bench.small
                lake, guests = task.folder / "lake", guest_modes.GUESTS if is_first else guest_modes.RUST
                figures += guest_modes.run(bench.bin_dir, task.folder, served, lake, source.records, guests)
    return figures


def salesforce(bench):
    """Millions of rows of CSV."""
    with bench.task(None) as task:
        return bulk.run(bench.bin_dir, task.folder, bench.sink, 20_000 if bench.small else bench.records // 2)


def thousand_syncs(bench):
    """A thousand small syncs of 200 tenants, and what the store can do."""
    with bench.task(None) as task:
        return [(jobs.small if bench.small else jobs.run)(bench.bin_dir, task.folder)]


ALL = {
    "pages-of-100": lists.pages_of_100,
    "pages-of-1000": lists.pages_of_1000,
    "at-length": lists.at_length,
    "growth": lists.growth,
    "ten-windows": windows.ten_windows,
    "twelve-windows": windows.twelve_windows,
    "bucket": limits.bucket,
    "details": limits.details,
    "cold-start": cold.one_page,
    "guest-modes": by_guest,
    "bulk": salesforce,
    "jobs": thousand_syncs,
}
