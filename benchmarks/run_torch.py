"""Runner for PyTorch: a plain eager loop over tensors in memory."""

import torch
from torch import nn

from benchmarks.measure import PREDICTED, arguments, report
from benchmarks.models import find_model

chosen = find_model(arguments().model)


class LSTM(nn.LSTM):
    """All outputs of an LSTM, or the last."""

    def __init__(self, features, units, sequences):
        super().__init__(features, units, batch_first=True)
        self.sequences = sequences

    def forward(self, x):
        y, _ = super().forward(x)
        return y if self.sequences else y[:, -1]


class Mean(nn.Module):
    """Mean over the tokens."""

    def forward(self, x):
        return x.mean(1)


def modules():
    """The layers of the registry as PyTorch modules, images with channels first."""
    side, features = chosen.shape[0], chosen.shape[-1]
    for kind, *sizes in chosen.layers:
        if kind == "dense":
            yield nn.Linear(features, sizes[0])
            features = sizes[0]
            if sizes[1]:
                yield nn.ReLU()
        elif kind == "conv":
            filters, size, padding = sizes
            yield nn.Conv2d(features, filters, size, padding=padding)
            yield nn.ReLU()
            features, side = filters, side if padding == "same" else side - size + 1
        elif kind == "pool":
            yield nn.MaxPool2d(*sizes)
            side //= sizes[0]
        elif kind == "flatten":
            yield nn.Flatten()
            features *= side**2
        elif kind == "batch_norm":
            yield nn.BatchNorm1d(features)
        elif kind == "relu":
            yield nn.ReLU()
        elif kind == "dropout":
            yield nn.Dropout(*sizes)
        elif kind == "lstm":
            yield LSTM(features, *sizes)
            features = sizes[0]
        elif kind == "block":
            yield nn.TransformerEncoderLayer(
                features, *sizes, dropout=0.0, batch_first=True, norm_first=True
            )
        elif kind == "mean":
            yield Mean()


def tensor(x):
    """A tensor that shares the array's memory; images get their channels in front."""
    return torch.from_numpy(x.transpose(0, 3, 1, 2).copy() if x.ndim == 4 else x)


def build():
    """The model, its training loop, and prediction in batches."""
    model = nn.Sequential(*modules())

    def train(x, y, clock, epochs):
        x, y = tensor(x), torch.from_numpy(y).long()
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        model.train()
        for _ in range(epochs):
            total = torch.zeros(())
            for rows in torch.randperm(len(x)).split(chosen.batch):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
                loss.backward()
                optimizer.step()
                total += loss.detach()
            total.item()
            clock.tick()

    def predict(x):
        model.eval()
        with torch.inference_mode():
            return torch.cat([model(part) for part in tensor(x).split(PREDICTED)]).numpy()

    return train, predict


if __name__ == "__main__":
    report(build)
