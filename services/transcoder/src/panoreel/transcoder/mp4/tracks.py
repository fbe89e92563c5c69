"""The tables of one track of a movie (ISO/IEC 14496-12, 8.6 and 8.7), put together from those of segments."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from struct import pack

from panoreel.contracts.media import ticks
from panoreel.contracts.timeline import Stretch
from panoreel.transcoder.mp4.boxes import box, full_box
from panoreel.transcoder.mp4.tables import PICTURES, Run, numbers, run_lengths, run_lengths_undone, table


@dataclass
class Track:
    """A track that gets one chunk for each segment. `description` is what its `stsd` holds."""

    kind: bytes
    description: bytes
    count: int = 0
    sizes: list[bytes] = field(default_factory=list)
    durations: bytearray = field(default_factory=bytearray)
    keys: list[int] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    chunk_counts: list[int] = field(default_factory=list)

    def add(self, stretch: Stretch, runs: Iterable[Run]) -> None:
        """Show the samples of a stretch after those that are there."""
        own = [run for run in runs if run.kind == self.kind and run.count]
        for run in _fitted(stretch, own) if self.kind == PICTURES else own:
            self._add(run)

    def placed(self, media_begin: int, wide: bool) -> bytes:
        """The content of `stbl`, if the media begins at this byte of the file; `wide`: with 64 bits."""
        changes = groupby(enumerate(self.chunk_counts, start=1), key=lambda chunk: chunk[1])
        firsts = [(next(same)[0], count) for count, same in changes]
        keys = full_box(b"stss", pack(">I", len(self.keys)), table(self.keys))
        offsets = [media_begin + chunk for chunk in self.chunks]
        places = pack(f">{len(offsets)}Q", *offsets) if wide else table(offsets)
        return b"".join(
            (
                box(b"stsd", self.description),
                full_box(b"stts", pack(">I", len(self.durations) // 8), bytes(self.durations)),
                keys if self.kind == PICTURES else b"",
                full_box(
                    b"stsc", pack(">I", len(firsts)), table(chain.from_iterable((*f, 1) for f in firsts))
                ),
                full_box(b"stsz", pack(">II", 0, self.count), *self.sizes),
                full_box(b"co64" if wide else b"stco", pack(">I", len(offsets)), places),
            )
        )

    def _add(self, run: Run) -> None:
        self.sizes.append(run.sizes)
        self.keys += [self.count + 1 + key for key in numbers(run.keys)]
        self.chunks.append(run.offset)
        self.chunk_counts.append(run.count)
        self.count += run.count
        if self.durations[-4:] == run.durations[4:8]:
            count, more = self.durations[-8:-4], run.durations[:4]
            total = int.from_bytes(count, "big") + int.from_bytes(more, "big")
            self.durations[-8:-4] = total.to_bytes(4, "big")
            self.durations += run.durations[8:]
        else:
            self.durations += run.durations


def _fitted(stretch: Stretch, runs: list[Run]) -> list[Run]:
    """The pictures of a stretch, which begins and ends on the audio grid.

    The first one is moved to the beginning, by less than an audio frame, and those that it would meet a tick
    further each; the last one is shown until the end.
    """
    first, last = stretch.segments[0], stretch.segments[-1]
    late = ticks(first.first_sample) - first.first_pts
    fitted = []
    for run in runs:
        if late:
            durations = run_lengths_undone(run.durations)
            for number, duration in enumerate(durations):
                durations[number] -= min(late, duration - 1)
                late -= duration - durations[number]
            run = replace(run, durations=run_lengths(durations))
        fitted.append(run)
    if fitted:
        durations = run_lengths_undone(fitted[-1].durations)
        durations[-1] += ticks(last.end_sample) - last.end_pts - late
        fitted[-1] = replace(fitted[-1], durations=run_lengths(durations))
    return fitted
