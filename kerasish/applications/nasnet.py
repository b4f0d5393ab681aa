"""NASNet: two kinds of cells found by a search, each taking the outputs of the two before it."""

from kerasish import layers
from kerasish.applications.blocks import act, conv, halving_pad, join, norm
from kerasish.applications.builders import describe, scaling
from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.preprocessing import tf as preprocess_input
from kerasish.applications.pretrained import weight_files
from kerasish.applications.request import Request
from kerasish.backend import name_scope
from kerasish.core.errors import bad_argument
from kerasish.models import Model

_PAPER = (
    'Zoph, Vasudevan, Shlens and Le, 2018, "Learning Transferable Architectures for Scalable\n'
    '    Image Recognition"'
)


def _norm(x, name):
    return norm(x, name, epsilon=1e-3, momentum=0.9997)


def _pointwise(x, filters, name):
    return conv(x, filters, name=name, kernel_initializer="he_normal")


def _average(x, name):
    return layers.AveragePooling2D(3, strides=1, padding="same", name=name)(x)


def _separable(x, filters, kernel, name, stride=1):
    """Two separable convolutions, the first of some stride."""
    with name_scope(f"separable_conv_block_{name}"):
        x, padding = act(x), "same"
        if stride == 2:
            x, padding = halving_pad(x, kernel, f"separable_conv_1_pad_{name}"), "valid"
        for i, steps, pad in ((1, stride, padding), (2, 1, "same")):
            x = act(x) if i == 2 else x
            x = layers.SeparableConv2D(
                filters,
                kernel,
                strides=steps,
                padding=pad,
                use_bias=False,
                name=f"separable_conv_{i}_{name}",
            )(x)
            x = _norm(x, f"separable_conv_{i}_bn_{name}")
    return x


def _adjusted(p, x, filters, cell):
    """The output of the cell before last, of the size and with the filters of this one."""
    with name_scope("adjust_block"):
        if p is None:
            return x
        if p.shape[-2] != x.shape[-2]:
            with name_scope(f"adjust_reduction_block_{cell}"):
                return _halved(p, filters, cell)
        if p.shape[-1] != filters:
            with name_scope(f"adjust_projection_block_{cell}"):
                p = _pointwise(act(p), filters, f"adjust_conv_projection_{cell}")
                return _norm(p, f"adjust_bn_{cell}")
    return p


def _halved(p, filters, cell):
    """Every second row and column, and those between them, side by side."""
    p = act(p, name=f"adjust_relu_1_{cell}")
    halves = []
    for i in (1, 2):
        x = p
        if i == 2:
            x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
            x = layers.Cropping2D(((1, 0), (1, 0)))(x)
        x = layers.AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_{i}_{cell}")(x)
        halves.append(_pointwise(x, filters // 2, f"adjust_conv_{i}_{cell}"))
    return _norm(join(halves), f"adjust_bn_{cell}")


def _begin(x, p, filters, kind, cell):
    """What every cell starts from: the outputs of the two before it, with its own filters."""
    p = _adjusted(p, x, filters, cell)
    h = _pointwise(act(x), filters, f"{kind}_conv_1_{cell}")
    return _norm(h, f"{kind}_bn_1_{cell}"), p


def _normal_cell(x, p, filters, cell):
    with name_scope(f"normal_A_block_{cell}"):
        h, p = _begin(x, p, filters, "normal", cell)

        def add(i, left, right):
            return layers.add([left, right], name=f"normal_add_{i}_{cell}")

        with name_scope("block_1"):
            left = _separable(h, filters, 5, f"normal_left1_{cell}")
            x1 = add(1, left, _separable(p, filters, 3, f"normal_right1_{cell}"))
        with name_scope("block_2"):
            left = _separable(p, filters, 5, f"normal_left2_{cell}")
            x2 = add(2, left, _separable(p, filters, 3, f"normal_right2_{cell}"))
        x3 = add(3, _average(h, f"normal_left3_{cell}"), p)
        left = _average(p, f"normal_left4_{cell}")
        x4 = add(4, left, _average(p, f"normal_right4_{cell}"))
        with name_scope("block_5"):
            x5 = add(5, _separable(h, filters, 3, f"normal_left5_{cell}"), h)
        return join([p, x1, x2, x3, x4, x5], f"normal_concat_{cell}"), x


def _reduction_cell(x, p, filters, cell):
    with name_scope(f"reduction_A_block_{cell}"):
        h, p = _begin(x, p, filters, "reduction", cell)
        padded = halving_pad(h, 3, f"reduction_pad_1_{cell}")

        def pool(kind, name):
            return kind(3, strides=2, name=f"reduction_{name}_{cell}")(padded)

        def separable(y, kernel, name, stride=2):
            return _separable(y, filters, kernel, f"reduction_{name}_{cell}", stride)

        with name_scope("block_1"):
            branches = [separable(h, 5, "left1"), separable(p, 7, "right1")]
            x1 = layers.add(branches, name=f"reduction_add_1_{cell}")
        with name_scope("block_2"):
            branches = [pool(layers.MaxPooling2D, "left2"), separable(p, 7, "right2")]
            x2 = layers.add(branches, name=f"reduction_add_2_{cell}")
        with name_scope("block_3"):
            branches = [pool(layers.AveragePooling2D, "left3"), separable(p, 5, "right3")]
            x3 = layers.add(branches, name=f"reduction_add3_{cell}")
        x4 = layers.add([x2, _average(x1, f"reduction_left4_{cell}")])
        with name_scope("block_5"):
            branches = [separable(x1, 3, "left4", 1), pool(layers.MaxPooling2D, "right5")]
            x5 = layers.add(branches, name=f"reduction_add4_{cell}")
        return join([x2, x3, x4, x5], f"reduction_concat_{cell}"), x


def _features(x, filters, repeats, stem, skips):
    """Two reducing cells, then three rows of cells, a reducing one between each.

    `skips`: whether the cell after a reducing one takes the output of the cell two before that.
    """
    x = conv(x, stem, 3, 2, "stem_conv1", padding="valid", kernel_initializer="he_normal")
    x, p = _norm(x, "stem_bn1"), None
    x, p = _reduction_cell(x, p, filters // 4, "stem_1")
    x, p = _reduction_cell(x, p, filters // 2, "stem_2")
    for row in range(3):
        if row:
            filters *= 2
            x, before = _reduction_cell(x, p, filters, f"reduce_{row * repeats}")
            p = p if skips else before
        for i in range(repeats):
            x, p = _normal_cell(x, p, filters, str(row * repeats + i + (row > 0)))
    return act(x)


def _nasnet(kind, filters, repeats, stem, skips, size):
    title, usual_name = f"NASNet{kind.capitalize()}", f"nasnet_{kind}"
    files = weight_files("nasnet", f"NASNet-{kind}", bare="-no-top", cached=usual_name)

    def build(
        input_shape=None,
        include_top: bool = True,
        weights="imagenet",
        input_tensor=None,
        pooling=None,
        classes: int = 1000,
        classifier_activation="softmax",
        name: str | None = usual_name,
    ) -> Model:
        if input_shape is None and input_tensor is None and kind == "mobile" and not include_top:
            input_shape = (size, size, 3)
        request = Request(
            title, name, include_top, weights, input_tensor, input_shape, pooling, classes,
            classifier_activation,
        )  # fmt: skip
        request.refuse_channels_first()
        if request.pretrained and input_shape is not None and None in tuple(input_shape):
            wanted = "known in all sizes with `weights='imagenet'`"
            raise bad_argument(title, "input_shape", wanted, input_shape)
        image = request.image(size)
        x = _features(image, filters, repeats, stem, skips)
        return request.model(image, request.head(x, average=None, named=False), files)

    describe(build, title, __name__, scaling(__name__), _PAPER)
    return build


NASNetMobile = _nasnet("mobile", 44, 4, 32, False, 224)
NASNetLarge = _nasnet("large", 168, 6, 96, True, 331)

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]
