"""What happens in training, written for TensorBoard (`pip install "kerasish[tensorboard]"`)."""

import json
import os
import pathlib
import time
from typing import Any

import jax
import numpy as np

from kerasish.callbacks.base.callback import Callback
from kerasish.core import processes
from kerasish.core.errors import bad_argument, did_you_mean
from kerasish.core.settings import image_data_format
from kerasish.layers import Embedding


class TensorBoard(Callback):
    """Writes results, weights, the model and profiles into a folder that TensorBoard shows.

    Results of training are in its run `train`, those of validation and `evaluate` in `validation`.
    `tensorboard --logdir logs` opens it; profiles need TensorBoard's plugin for them
    (`pip install xprof`). What `tf.summary` writes within a model needs TensorFlow and is not
    written here.

    Args:
        log_dir: The folder, of this callback only.
        histogram_freq: Epochs from one histogram of each weight to the next; 0: none.
        write_graph: Whether to write the model's layers (`Sequential` and functional models).
        write_images: Whether to draw the weights too, when histograms are written: from the
            smallest, black, to the largest, white.
        write_steps_per_second: Whether to write how many steps a second were made.
        update_freq: `"epoch"`, or a number of batches after which to write the results so far, for
            which batches run one by one; `"batch"` is 1.
        profile_batch: Number of a batch to profile, counted from 1 over all epochs, or the first
            and the last of several; 0: none.
        embeddings_freq: Epochs from one copy of the `Embedding` layers' vectors, for the
            projector, to the next; 0: none.
        embeddings_metadata: File with a name for each vector, a line each; or a dict of those by
            the layers' names.

    Raises:
        ImportError: When tensorboardX is not installed.
        ValueError: For arguments that are none of these.

    Example:
        >>> import pathlib, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> _ = model.fit(
        ...     np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[TensorBoard(folder)]
        ... )
        >>> [run.name for run in pathlib.Path(folder).iterdir()]
        ['train']
    """

    def __init__(
        self,
        log_dir: str = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: Any = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ):
        super().__init__()
        _tensorboard_x()
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        if self.update_freq != "epoch" and not _is_count(self.update_freq):
            wanted = "'epoch', 'batch' or a number of batches"
            raise bad_argument(self, "update_freq", wanted, update_freq)
        self.embeddings_freq = embeddings_freq
        self.embeddings_metadata = embeddings_metadata
        self._first, self._last = self._profiled(profile_batch)
        self.every_batch = self.update_freq != "epoch" or self._last > 0
        self._writers: dict[str, Any] = {}
        self._batches = 0  # of training, begun so far
        self._profiling = False
        self._epoch_began = self._batch_began = (0, 0.0)  # updates made until then, and the time

    def _profiled(self, given):
        batches = [int(n) for n in given.split(",")] if isinstance(given, str) else given
        batches = [batches] if isinstance(batches, int) else list(batches)
        if len(batches) not in (1, 2) or not 0 <= batches[0] <= batches[-1]:
            wanted = "a number of a batch, or the first and the last of several"
            raise bad_argument(self, "profile_batch", wanted, given)
        return batches[0], batches[-1]

    # -- a run of training

    def get_state(self) -> dict:
        """The number of batches so far, by which results are ordered."""
        return {"_batches": self._batches}

    def set_model(self, model: Any) -> None:
        """Write the model's layers, and where the projector finds its vectors.

        Args:
            model: The model.
        """
        super().set_model(model)
        self.release()
        if self.write_graph and type(model).__name__ in ("Functional", "Sequential"):
            self._write_layers()
        if self.embeddings_freq:
            self._write_projector()

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Count batches from 1.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._batches = 0

    def on_train_end(self, logs: dict | None = None) -> None:
        """Close the files.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self.release()

    def release(self) -> None:
        """Close the files, also after an error."""
        if self._profiling:
            self._stop_profiling()
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Look at the clock, if speed is asked for.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        if self.write_steps_per_second:
            self._epoch_began = self._now()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the epoch's results, and weights when they are due.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        ours = {n: v for n, v in (logs or {}).items() if not n.startswith("val_")}
        if logs:
            ours |= _learning_rates(self.model.optimizer)
            if self.write_steps_per_second:
                ours["steps_per_second"] = self._speed(self._epoch_began)
        theirs = {n[4:]: v for n, v in (logs or {}).items() if n.startswith("val_")}
        self._write("train", {f"epoch_{name}": value for name, value in ours.items()}, epoch)
        self._write("validation", {f"epoch_{name}": v for name, v in theirs.items()}, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._write_embeddings()
        for writer in self._writers.values():
            writer.flush()

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Begin a profile when it is time.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        self._batches += 1
        if self.update_freq != "epoch" and self.write_steps_per_second:
            self._batch_began = self._now()
        if self._batches == self._first and processes.is_first():
            jax.profiler.start_trace(os.path.join(self.log_dir, "train"))
            self._profiling = True

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Write the results so far when it is time, and end a profile.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        if self.update_freq != "epoch" and self._batches % self.update_freq == 0:
            found = {f"batch_{name}": value for name, value in (logs or {}).items()}
            if self.write_steps_per_second:
                found["batch_steps_per_second"] = self._speed(self._batch_began)
            self._write("train", found, self._batches)
        if self._profiling and self._batches >= self._last:
            self._stop_profiling()

    def on_test_end(self, logs: dict | None = None) -> None:
        """Write the results of `evaluate` or validation over the updates made.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        if self.model.optimizer is not None:
            step = int(self.model.optimizer.iterations)
            found = {f"evaluation_{n}_vs_iterations": v for n, v in (logs or {}).items()}
            self._write("validation", found, step)
            if "validation" in self._writers:
                self._writers["validation"].flush()

    def _stop_profiling(self):
        self._profiling = False
        jax.block_until_ready([v.value for v in self.model.variables])
        jax.profiler.stop_trace()

    def _now(self):
        return int(self.model.optimizer.iterations), time.perf_counter()

    def _speed(self, began):
        updates, now = self._now()
        return (updates - began[0]) / (now - began[1])

    # -- writing

    def _writer(self, run):
        if run not in self._writers:
            folder, unique = os.path.join(self.log_dir, run), f".{time.time_ns()}"
            # By itself a second file of the same second would take the first one's place.
            writer = _tensorboard_x().SummaryWriter(folder, filename_suffix=unique)
            self._writers[run] = writer
        return self._writers[run]

    def _write(self, run, scalars, step):
        for name, value in scalars.items():
            if np.ndim(value) == 0 and processes.is_first():
                self._writer(run).add_scalar(name, float(value), step)

    def _write_weights(self, epoch):
        for weight in (w for layer in self.model.layers for w in layer.weights):
            value = processes.gather_to_host(weight.value).astype("float32")
            if not processes.is_first():
                continue
            self._writer("train").add_histogram(f"{weight.path}/histogram", value, epoch)
            images = _as_images(value) if self.write_images else None
            if images is not None:
                tag = f"{weight.path}/image"
                self._writer("train").add_images(tag, images, epoch, dataformats="NHWC")

    def _write_layers(self):
        if not processes.is_first():
            return
        proto = _tensorboard_x().proto
        value = proto.summary_pb2.Summary.Value(tag="keras")
        value.metadata.plugin_data.plugin_name = "graph_keras_model"
        value.metadata.plugin_data.content = b"1"
        value.tensor.dtype = proto.types_pb2.DT_STRING
        value.tensor.string_val.append(self.model.to_json().encode())
        self._writer("train").file_writer.add_summary(proto.summary_pb2.Summary(value=[value]), 0)

    def _embeddings(self):
        return [layer for layer in self.model.layers if isinstance(layer, Embedding)]

    def _write_projector(self):
        names = [layer.name for layer in self._embeddings()]
        metadata: Any = self.embeddings_metadata
        if not isinstance(metadata, dict):
            metadata = dict.fromkeys(names, metadata) if metadata else {}
        for strange in (name for name in metadata if name not in names):
            wanted = f"a dict by names of `Embedding` layers, {names}"
            hint = did_you_mean(strange, names)
            raise bad_argument(self, "embeddings_metadata", wanted, strange, hint)
        if not processes.is_first():
            return
        text = ""
        for name in names:
            lines = {"tensor_name": name, "tensor_path": f"{name}.tsv"}
            if name in metadata:
                lines["metadata_path"] = os.fspath(metadata[name])
            inside = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in lines.items())
            text += f"embeddings {{\n{inside}}}\n"
        folder = pathlib.Path(self.log_dir)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "projector_config.pbtxt").write_text(text)

    def _write_embeddings(self):
        for layer in self._embeddings():
            vectors = processes.gather_to_host(layer.adapted_weight()).astype("float32")
            if processes.is_first():
                path = os.path.join(self.log_dir, f"{layer.name}.tsv")
                np.savetxt(path, vectors, fmt="%.7g", delimiter="\t")


def _tensorboard_x():
    try:
        import tensorboardX
        from tensorboardX.proto import summary_pb2, types_pb2  # noqa: F401
    except ImportError:
        raise ImportError(
            'TensorBoard files need tensorboardX: run `pip install "kerasish[tensorboard]"` (or '
            "`pip install tensorboardX`)."
        ) from None
    return tensorboardX


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _learning_rates(optimizer):
    """Learning rates by the names that they have as results."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if hasattr(optimizer, "optimizers"):
        return {f"learning_rate_{o.name}": float(o.learning_rate) for o in optimizer.optimizers}
    rate = getattr(optimizer, "learning_rate", None)
    return {} if rate is None else {"learning_rate": float(rate)}


def _as_images(weight):
    """A weight as grey images, `(number, height, width, 1)`, or colours; `None` if it is none."""
    x = np.squeeze(weight)
    if x.ndim == 1:
        x = x[None, :, None, None]
    elif x.ndim == 2:
        x = (x.T if x.shape[0] > x.shape[1] else x)[None, ..., None]
    elif x.ndim == 3:  # a kernel each
        x = (np.moveaxis(x, -1, 0) if image_data_format() == "channels_last" else x)[..., None]
    if x.ndim != 4 or x.shape[-1] not in (1, 3, 4):
        return None
    return (x - x.min()) / (np.ptp(x) or 1)
