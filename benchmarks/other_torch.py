"""Models of the second table as PyTorch modules, of the same sizes as the Keras programs.

Images and sequences of convolutions have their channels first, as PyTorch's users keep them; the
runner transposes the data once.
"""

import torch
from torch import nn
from torch.nn import functional


class Fn(nn.Module):
    """A function as a module."""

    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, *inputs):
        return self.fn(*inputs)


class Both(nn.Module):
    """`join(x, inner(x))`, the first through `other` if there is one."""

    def __init__(self, inner, other=None, join=torch.add):
        super().__init__()
        self.inner, self.other, self.join = inner, other or nn.Identity(), join

    def forward(self, x):
        return self.join(self.other(x), self.inner(x))


def normed(features, filters, size=3, stride=1, relu=True, **options):
    """A convolution with batch normalization, as Keras pads it."""
    parts = [nn.Conv2d(features, filters, size, stride, size // 2, bias=False, **options)]
    parts.append(nn.BatchNorm2d(filters))
    return nn.Sequential(*parts, *([nn.ReLU()] if relu else []))


def head(features, classes=10):
    """Mean over the pixels and logits."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes))


def residual():
    layers, before = [normed(3, 16)], 16
    for filters in (16, 32, 64):
        for block in range(3):
            stride = 2 if block == 0 and filters > 16 else 1
            first = normed(before, filters, 3, stride)
            inner = nn.Sequential(first, normed(filters, filters, relu=False))
            short = normed(before, filters, 1, 2, relu=False) if stride == 2 else None
            layers += [Both(inner, short), nn.ReLU()]
            before = filters
    return nn.Sequential(*layers, head(64))


def depthwise():
    layers, before = [normed(3, 32)], 32
    for filters, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        layers += [normed(before, before, 3, stride, groups=before), normed(before, filters, 1)]
        before = filters
    return nn.Sequential(*layers, head(before))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()

        def twice(features, filters):
            return nn.Sequential(normed(features, filters), normed(filters, filters))

        self.down = nn.ModuleList(twice(a, b) for a, b in ((3, 16), (16, 32), (32, 64)))
        self.middle = twice(64, 128)
        sizes = ((128, 64), (64, 32), (32, 16))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in sizes)
        self.up = nn.ModuleList(twice(2 * b, b) for _, b in sizes)
        self.last = nn.Conv2d(16, 4, 1)

    def forward(self, x):
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.middle(x)
        for grow, block in zip(self.grow, self.up, strict=True):
            x = block(torch.cat([grow(x), skips.pop()], 1))
        return self.last(x)


def text_conv():
    return nn.Sequential(
        nn.Embedding(20_000, 128),
        Fn(lambda x: x.transpose(1, 2)),
        nn.Conv1d(128, 128, 5),
        nn.ReLU(),
        Fn(lambda x: x.amax(2)),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 2),
    )


class Attention(nn.Module):
    def __init__(self, width, heads=4):
        super().__init__()
        self.heads = heads
        self.ins, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x, mask=None, causal=False):
        rows, length, width = x.shape
        parts = self.ins(x).view(rows, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        return self.out(y.transpose(1, 2).reshape(rows, length, width))


class Block(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width)
        self.dense = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def forward(self, x, mask=None, causal=False):
        x = x + self.attention(self.first(x), mask, causal)
        return x + self.dense(self.second(x))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(2000, 128)
        self.positions = nn.Parameter(torch.rand(128, 128) * 0.05)
        self.blocks = nn.ModuleList(Block(128, 512) for _ in range(4))
        self.last = nn.Sequential(nn.LayerNorm(128), nn.Linear(128, 2000))

    def forward(self, x):
        x = self.tokens(x) + self.positions
        for block in self.blocks:
            x = block(x, causal=True)
        return self.last(x)


class BidirectionalGRU(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.GRU(16, 64, batch_first=True, bidirectional=True)
        self.second = nn.GRU(128, 64, batch_first=True, bidirectional=True)
        self.last = nn.Linear(128, 10)

    def forward(self, x):
        _, ends = self.second(self.first(x)[0])
        return self.last(torch.cat([ends[0], ends[1]], 1))


class MaskedLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(5000, 64)
        self.lstm, self.last = nn.LSTM(64, 64, batch_first=True), nn.Linear(64, 2)

    def forward(self, x):
        lengths = (x != 0).sum(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            self.tokens(x), lengths, batch_first=True, enforce_sorted=False
        )
        return self.last(self.lstm(packed)[1][0][0])


def dilated_conv():
    layers = [nn.Conv1d(8, 32, 1)]
    for rate in (1, 2, 4, 8, 16, 32):
        causal = nn.Sequential(
            nn.ConstantPad1d((2 * rate, 0), 0.0), nn.Conv1d(32, 32, 3, 1, 0, rate)
        )
        layers.append(Both(nn.Sequential(causal, nn.ReLU(), nn.Conv1d(32, 32, 1))))
    return nn.Sequential(*layers, Fn(lambda x: x.mean(2)), nn.Linear(32, 10))


def autoencoder():
    layers, before = [], 1
    for filters, change in (
        *((n, nn.MaxPool2d(2)) for n in (16, 32)),
        *((n, nn.Upsample(scale_factor=2)) for n in (32, 16)),
    ):
        layers += [nn.Conv2d(before, filters, 3, padding=1), nn.ReLU(), change]
        before = filters
    return nn.Sequential(*layers, nn.Conv2d(before, 1, 3, padding=1))


class WideAndDeep(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = (1000, 500, 200, 50)
        self.deep = nn.ModuleList(nn.Embedding(n, 16) for n in sizes)
        self.wide = nn.ModuleList(nn.Embedding(n, 1) for n in sizes)
        self.dense = nn.Sequential(
            *(nn.Linear(77, 128), nn.ReLU(), nn.Dropout(0.1)),
            *(nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 1)),
        )

    def forward(self, *inputs):
        *ids, numbers = inputs
        deep = [table(x) for table, x in zip(self.deep, ids, strict=True)]
        wide = [table(x) for table, x in zip(self.wide, ids, strict=True)]
        return self.dense(torch.cat([*deep, numbers], 1)) + sum(wide)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        conv = (nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU())
        self.encode = nn.Sequential(*conv, nn.Flatten(), nn.Linear(3136, 64), nn.ReLU())
        self.mean, self.spread = nn.Linear(64, 8), nn.Linear(64, 8)
        grow = (nn.ConvTranspose2d(64, 64, 3, 2, 1, 1), nn.ConvTranspose2d(64, 32, 3, 2, 1, 1))
        self.decode = nn.Sequential(
            *(nn.Linear(8, 3136), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)), grow[0], nn.ReLU()),
            *(grow[1], nn.ReLU(), nn.Conv2d(32, 1, 3, padding=1)),
        )

    def forward(self, x):
        x = self.encode(x)
        mean, spread = self.mean(x), self.spread(x)
        kl = -0.5 * (1 + spread - mean**2 - spread.exp()).sum(1).mean() / 784
        return self.decode(mean + (0.5 * spread).exp() * torch.randn_like(mean)), kl


class ConvLSTM(nn.Module):
    def __init__(self, features, filters):
        super().__init__()
        self.filters = filters
        self.ins = nn.Conv2d(features, 4 * filters, 3, padding=1)
        self.again = nn.Conv2d(filters, 4 * filters, 3, padding=1, bias=False)

    def forward(self, x):
        rows, steps, *_, height, width = x.shape
        ins = self.ins(x.flatten(0, 1)).unflatten(0, (rows, steps))
        hidden = cell = x.new_zeros(rows, self.filters, height, width)
        found = []
        for i in range(steps):
            a, b, c, d = (ins[:, i] + self.again(hidden)).chunk(4, 1)
            cell = torch.sigmoid(b) * cell + torch.sigmoid(a) * torch.tanh(c)
            hidden = torch.sigmoid(d) * torch.tanh(cell)
            found.append(hidden)
        return torch.stack(found, 1)


def conv_lstm():
    return nn.Sequential(ConvLSTM(3, 16), ConvLSTM(16, 16), Fn(lambda x: x[:, -1]), head(16))


class MaskedAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(5000, 64)
        self.positions = nn.Parameter(torch.rand(96, 64) * 0.05)
        self.blocks = nn.ModuleList(Block(64, 256) for _ in range(2))
        self.last = nn.Linear(64, 2)

    def forward(self, x):
        mask = x != 0
        x = self.tokens(x) + self.positions
        for block in self.blocks:
            x = block(x, mask[:, None, None])
        weight = mask[..., None].float()
        return self.last((x * weight).sum(1) / weight.sum(1))


def conv3d():
    layers, before = [], 1
    for filters in (16, 32):
        layers += [nn.Conv3d(before, filters, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2)]
        before = filters
    return nn.Sequential(*layers, Fn(lambda x: x.mean((2, 3, 4))), nn.Linear(32, 10))


def grouped_conv():
    layers, before = [normed(3, 64)], 64
    for filters, stride in ((64, 1), (128, 2), (128, 1)):
        inner = nn.Sequential(
            normed(before, filters, 1),
            normed(filters, filters, 3, stride, groups=8),
            normed(filters, filters, 1, relu=False),
        )
        changes = stride != 1 or before != filters
        short = normed(before, filters, 1, stride, relu=False) if changes else None
        layers += [Both(inner, short), nn.ReLU()]
        before = filters
    return nn.Sequential(*layers, head(before))


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()

        def perceptron(width, hidden):
            return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

        self.first, self.last = nn.Linear(48, 96), nn.Linear(96, 10)
        self.norms = nn.ModuleList(nn.LayerNorm(96) for _ in range(8))
        self.across = nn.ModuleList(perceptron(64, 64) for _ in range(4))
        self.within = nn.ModuleList(perceptron(96, 192) for _ in range(4))

    def forward(self, x):
        x = self.first(x)
        for i in range(4):
            x = x + self.across[i](self.norms[2 * i](x).transpose(1, 2)).transpose(1, 2)
            x = x + self.within[i](self.norms[2 * i + 1](x))
        return self.last(x.mean(1))


def squeeze_excite():
    layers, before = [], 3
    for filters, stride in ((32, 1), (64, 2), (128, 2)):
        few = filters // 8
        gate = (nn.AdaptiveAvgPool2d(1), nn.Conv2d(filters, few, 1), nn.ReLU())
        gate = nn.Sequential(*gate, nn.Conv2d(few, filters, 1), nn.Sigmoid())
        layers += [normed(before, filters, 3, stride), normed(filters, filters)]
        layers.append(Both(gate, join=torch.mul))
        before = filters
    return nn.Sequential(*layers, head(before))


class Recommender(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = (20_000, 10_000)
        self.vectors = nn.ModuleList(nn.Embedding(n, 32) for n in sizes)
        self.biases = nn.ModuleList(nn.Embedding(n, 1) for n in sizes)

    def forward(self, *ids):
        a, b = (table(x) for table, x in zip(self.vectors, ids, strict=True))
        biases = [table(x) for table, x in zip(self.biases, ids, strict=True)]
        return (a * b).sum(1, keepdim=True) + sum(biases)


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        conv = (nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2))
        conv += (nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.encoder = nn.Sequential(*conv, nn.Flatten(), nn.Linear(1600, 64))
        self.last = nn.Linear(64, 1)

    def forward(self, a, b):
        return self.last((self.encoder(a) - self.encoder(b)).abs())


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Embedding(1000, 64), nn.Embedding(1000, 64)
        self.encoder = nn.LSTM(64, 96, batch_first=True)
        self.decoder = nn.LSTM(64, 96, batch_first=True)
        self.last = nn.Linear(96, 1000)

    def forward(self, source, target):
        _, state = self.encoder(self.source(source))
        return self.last(self.decoder(self.target(target), state)[0])


class Augmented(nn.Module):
    def __init__(self):
        super().__init__()
        conv = (nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        conv += (nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.layers = nn.Sequential(*conv, nn.Flatten(), nn.Dropout(0.5), nn.Linear(4096, 10))

    def forward(self, x):
        x = 2 * x - 1
        if self.training:
            flipped = torch.rand(len(x), 1, 1, 1) < 0.5
            x = torch.where(flipped, x.flip(3), x) + 0.1 * torch.randn_like(x)
        return self.layers(x)


def dense(classes):
    """A plain perceptron."""
    hidden = (nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
    return nn.Sequential(*hidden, nn.Linear(64, classes))


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = dense(10)[:-1]
        self.label, self.size = nn.Linear(64, 10), nn.Linear(64, 1)

    def forward(self, x):
        x = self.body(x)
        return self.label(x), self.size(x)


def dataset():
    conv = (nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2))
    conv += (nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*conv, nn.Flatten(), nn.Linear(800, 10))


def plain():
    return dense(10)


class Adversaries(nn.Module):
    def __init__(self):
        super().__init__()

        def stack(size, *units):
            layers = []
            for n in units[:-1]:
                layers += [nn.Linear(size, n), nn.ReLU()]
                size = n
            return nn.Sequential(*layers, nn.Linear(size, units[-1]))

        self.generator, self.discriminator = stack(16, 128, 128, 32), stack(32, 128, 128, 1)

    def forward(self, x):
        return self.generator(x)


MODELS = {
    "residual": residual,
    "depthwise": depthwise,
    "unet": UNet,
    "text-conv": text_conv,
    "decoder": Decoder,
    "bidirectional-gru": BidirectionalGRU,
    "masked-lstm": MaskedLSTM,
    "dilated-conv": dilated_conv,
    "autoencoder": autoencoder,
    "wide-and-deep": WideAndDeep,
    "gan": Adversaries,
    "vae": VAE,
    "conv-lstm": conv_lstm,
    "masked-attention": MaskedAttention,
    "conv3d": conv3d,
    "grouped-conv": grouped_conv,
    "mixer": Mixer,
    "squeeze-excite": squeeze_excite,
    "recommender": Recommender,
    "siamese": Siamese,
    "seq2seq": Seq2Seq,
    "augmented": Augmented,
    "two-heads": TwoHeads,
    "every-epoch": plain,
    "generator": plain,
    "dataset": dataset,
}
