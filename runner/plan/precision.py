"""Which precision `auto` takes: bf16 where it makes a step faster, else fp32."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attacks import origin
from runner.experiment.experiment import Experiment
from runner.experiment.fields import Arm
from runner.models import ImageShape
from runner.norms import group_norm
from runner.plan.undisturbed import undisturbed

# Multiplications of a step: in a layer on average, and with each weight. With fewer, what bf16
# costs besides (every pass casts every weight) may be more than it saves: a step took up to 1.06
# times as long as in fp32 at 14 million in a layer and fewer, and 1.3 at 32 with a weight.
IN_A_LAYER, WITH_A_WEIGHT = 20_000_000, 64

# Functions that take no longer in bf16, or so little of a step that it does not count: measured
# one by one, forward and backward, in channels_last.
PROVED = frozenset(
    (
        *("__get__", "__getitem__", "__len__", "dim", "size", "numel", "is_contiguous", "stride"),
        *("view", "reshape", "flatten", "unflatten", "permute", "transpose", "movedim", "squeeze"),
        *("unsqueeze", "expand", "expand_as", "chunk", "split", "unbind", "cat", "stack", "detach"),
        *("contiguous", "clone", "to", "float", "type", "type_as", "pad", "requires_grad_"),
        *("add", "add_", "__add__", "__radd__", "__iadd__", "sub", "__sub__", "__rsub__", "rsub"),
        *("mul", "mul_", "__mul__", "__rmul__", "__imul__", "div", "__truediv__", "__rtruediv__"),
        *("neg", "__neg__", "abs", "pow", "__pow__", "square", "sqrt", "rsqrt", "exp", "log"),
        *("addcmul", "clamp", "clamp_min", "copysign", "softshrink", "sigmoid", "tanh"),
        *("relu", "relu_", "relu6", "leaky_relu", "elu", "selu", "celu", "hardtanh", "hardswish"),
        *("gelu", "silu", "mish", "softplus", "dropout", "dropout2d"),
        *("mean", "sum", "std", "vector_norm", "softmax", "log_softmax", "logsumexp"),
        *("avg_pool2d", "max_pool2d", "adaptive_avg_pool2d", "interpolate", "layer_norm"),
        *("instance_norm", "rms_norm", "empty", "zeros", "ones", "full", "randn", "rand"),
        *("zeros_like", "ones_like", "full_like", "randn_like", "rand_like", "new_zeros"),
    )
)


def resolve_precision(
    experiment: Experiment, arm: Arm, network: nn.Module | None, shape: ImageShape
) -> str:
    """Return the precision that an arm names, or what `auto` takes: bf16 where that is faster.

    On GPUs since Ampere it always is. On CPUs with AMX or AVX512-BF16 it is for a network with
    enough to multiply, whose other layers are all known not to be slower in it; PyTorch's own
    GroupNorm is one that is. A rule and no measurement, since it goes into the ids of Runs, which
    must be the same at each command: measured in benchmarks/results/precision.md. A defense that
    takes each example's gradient by itself is given fp32.

    Asked where the plan is made. A driver without a GPU takes the GPUs it asks for to be recent;
    a worker whose GPU is not says so and stops.

    Args:
        experiment: whose fleet trains it.
        arm: what is trained.
        network: as it is trained, which is thrown away; None: it cannot be built here.
        shape: of the images.
    """
    if arm.training.precision != "auto":
        return arm.training.precision
    if arm.defense.per_example_steps:
        return "fp32"
    if experiment.fleet.num_gpus:
        if not torch.cuda.is_available():
            return "bf16"
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    units = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    if network is None or not any(getattr(torch.cpu, u, lambda: False)() for u in units):
        return "fp32"
    batch_size = arm.training.batch_size // experiment.fleet.workers_per_run
    return "bf16" if is_faster_in_bf16(network, shape, batch_size) else "fp32"


def is_faster_in_bf16(network: nn.Module, shape: ImageShape, batch_size: int) -> bool:
    """Return whether a step of so many images is known to be faster in bf16, on a CPU that has it.

    Args:
        network: with or without numbers; it has none afterwards.
        shape: of the images.
        batch_size: of one worker.
    """
    num_weights = sum(p.numel() for p in network.parameters())
    images = torch.zeros(2, shape.channels, shape.height, shape.width)
    try:
        _give_memory(network)
        with undisturbed(), torch.no_grad(), _Functions() as seen:
            network.train()(images)
    except (Exception, SystemExit) as error:
        if origin.leaves(error):
            raise
        return False  # the rehearsal says what is wrong with it
    of_step = seen.multiplied / len(images) * batch_size
    enough = of_step >= max(IN_A_LAYER * seen.layers, WITH_A_WEIGHT * num_weights, 1)
    return enough and not seen.others


def _give_memory(network: nn.Module) -> None:
    """Put its tensors from the meta device onto the CPU, with whatever numbers.

    A pass on the meta device, and `to_empty`, import PyTorch's compiler: a second.
    """
    for module in network.modules():
        for name, p in module._parameters.items():
            if p is not None and p.is_meta:
                empty = torch.empty(p.shape, dtype=p.dtype)
                module._parameters[name] = nn.Parameter(empty, requires_grad=False)
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.is_meta:
                module._buffers[name] = torch.zeros(buffer.shape, dtype=buffer.dtype)


class _Functions(TorchFunctionMode):
    """Counts what layers multiply, and notes the functions that are not known to be as fast.

    Layers are not computed: what comes out has the shape of theirs, and nothing in it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = self.multiplied = 0
        self.others: set[str] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (group_norm, F.batch_norm, torch.batch_norm):
            return args[0].clone()
        if func in _LAYERS:
            out, weight = _LAYERS[func](*args, **kwargs)
            self.layers += 1
            self.multiplied += out.numel() * weight[0].numel()
            return out
        name = getattr(func, "__name__", repr(func))
        if name.removeprefix("linalg_") not in PROVED:
            self.others.add(name)
        return func(*args, **kwargs)


def _convolved(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    *_: Any,
    **__: Any,
) -> tuple[Tensor, Tensor]:
    """Something of a convolution's shape, and its weight."""

    def both(given: Any) -> tuple[int, ...]:
        return tuple(given) * (2 // len(given)) if isinstance(given, tuple | list) else (given,) * 2

    sides = [*input.shape[2:]]
    if padding != "same":
        padded = both(0 if padding == "valid" else padding)
        parts = (sides, padded, both(dilation), weight.shape[2:], both(stride))
        sides = [
            (side + 2 * pad - apart * (size - 1) - 1) // step + 1
            for side, pad, apart, size, step in zip(*parts, strict=True)
        ]
    return input.new_zeros(len(input), len(weight), *sides), weight


def _linear(input: Tensor, weight: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
    """Something of the shape that a linear layer gives, and its weight."""
    return input.new_zeros(*input.shape[:-1], len(weight)), weight


_LAYERS: dict[Any, Any] = {
    **dict.fromkeys((F.conv2d, torch.conv2d), _convolved),
    F.linear: _linear,
}
