"""Windows over a series of measurements, as batches."""

from typing import Any

import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.data.dataset import Samples


class Windows(Samples):
    """What `timeseries_dataset_from_array` makes: batches of windows, gathered when asked for.

    Args:
        data: The series, one row a time.
        targets: One row for each window, by the window's first time; or `None`.
        offsets: Times of a window's elements, counted from its first.
        starts: First times of all windows.
        batch_size: Windows in a batch; `None` gives them one by one, without a batch axis.
        reshuffle: Whether to draw a new order for each epoch.
        seed: Integer that fixes the orders.
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        offsets: Any,
        starts: Any,
        batch_size: int | None,
        reshuffle: bool,
        seed: int | None,
    ):
        super().__init__(len(starts), batch_size, reshuffle, seed)
        self.data, self.targets = data, targets
        self.offsets, self.starts = offsets, starts

    def gather(self, rows: Any) -> Any:
        """The window of that number, or the batch of these; with targets if there are any.

        Args:
            rows: A number, or an array of numbers.
        """
        starts = self.starts[rows]
        windows = self.data[starts[..., None] + self.offsets]
        return windows if self.targets is None else (windows, self.targets[starts])


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: Any,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: Any = False,
    seed: int | None = None,
    start_index: Any = None,
    end_index: Any = None,
    format: Any = None,
) -> Windows:
    """Cut a series into windows of equal length, to train on.

    Args:
        data: The series: an array, its first axis being time.
        targets: What belongs to the window that begins at each time, or `None` for windows only.
        sequence_length: Elements in a window.
        sequence_stride: Times between the beginnings of two windows.
        sampling_rate: Times between two elements of a window.
        batch_size: Windows in a batch; `None` gives them one by one, without a batch axis.
        shuffle: Whether to draw a new order for each epoch.
        seed: Integer that fixes the orders.
        start_index: First time to use; `None` is 0.
        end_index: Time before which to end; `None` is the series' end.
        format: Kept for Keras' sake, where it says for which library the result is.

    Shapes:
        Windows `(batch, sequence_length, ...)`, targets `(batch, ...)`.

    Returns:
        A `PyDataset`, for `fit` or for a `for` loop, with tf.data's `map`, `take`, `batch`, ...

    Example:
        >>> series = np.arange(10)
        >>> for x, y in timeseries_dataset_from_array(series, series[3:], 3, batch_size=2):
        ...     print(x.tolist(), y.tolist())
        ...     break
        [[0, 1, 2], [1, 2, 3]] [3, 4]
    """
    who, data = "timeseries_dataset_from_array", np.asarray(data)
    targets = None if targets is None else np.asarray(targets)
    begin, end = start_index or 0, len(data) if end_index is None else end_index
    numbers = {
        "sequence_length": sequence_length,
        "sequence_stride": sequence_stride,
        "sampling_rate": sampling_rate,
    }
    for name, number in numbers.items():
        if not isinstance(number, int) or number < 1:
            raise bad_argument(who, name, "a positive integer", number)
    if not 0 <= begin < end <= len(data):
        wanted = f"with `end_index` a range of the {len(data)} times"
        raise bad_argument(who, "start_index", wanted, (start_index, end_index))
    offsets = np.arange(sequence_length) * sampling_rate
    last = end - offsets[-1] - 1 if targets is None else min(end - offsets[-1], len(targets)) - 1
    starts = np.arange(begin, last + 1, sequence_stride)
    if not len(starts):
        span = int(offsets[-1]) + 1
        raise bad_argument(who, "sequence_length", f"short: a window spans {span} times", len(data))
    return Windows(data, targets, offsets, starts, batch_size, shuffle, seed)
