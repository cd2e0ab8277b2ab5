"""Times, rates and memory of runs, on a CPU or a GPU."""

import resource
import time
from collections.abc import Callable, Mapping
from statistics import median

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

Run = Callable[[], object]


def interleaved(runs: Mapping[str, Run], repeats: int) -> dict[str, list[float]]:
    """Return the seconds of every run by name, after one that does not count; they take turns."""
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(seconds(run))
    return times


def seconds(run: Run) -> float:
    """Return how long `run` takes."""
    synchronise()
    begun = time.perf_counter()
    run()
    synchronise()
    return time.perf_counter() - begun


def synchronise() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def ratio(times: Mapping[str, list[float]], one: str, other: str) -> float:
    """Return how much longer `one` takes than `other`: the median over the turns."""
    return median(a / b for a, b in zip(times[one], times[other], strict=True))


def print_times(times: Mapping[str, list[float]], images: int) -> None:
    """Print the median, the spread and the images a second of every run."""
    for name, values in times.items():
        middle = median(values)
        spread = f"{min(values):.3f}..{max(values):.3f}"
        print(f"{name:18} {middle:8.3f} s ({spread})  {images / middle:7.2f} images/s")


def print_rate(name: str, run: Run, middle: float, images: int, device: torch.device, dtype: torch.dtype) -> None:
    """Print the FLOPs of `run`, which takes `middle` seconds, against the device's."""
    flops, rate = counted_flops(run), matmul_rate(device, dtype)
    reached = flops / middle
    print(f"{name}: {flops / images / 1e9:.1f} GFLOP an image, {reached / 1e12:.2f} TFLOP/s")
    print(f"of the matrix product's {rate / 1e12:.2f} TFLOP/s: {reached / rate:.0%} (goal on a GPU: >= 50%)")


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the measured FLOP/s of a large matrix product."""
    side = 8192 if device.type == "cuda" else 1024
    one = torch.randn(side, side, device=device, dtype=dtype)
    return 2 * side**3 / median(seconds(lambda: one @ one) for _ in range(10))


def counted_flops(run: Run) -> float:
    """Return the FLOPs of `run`."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def peak_memory() -> float:
    """Return the most memory used so far by this process, in GiB: of the GPU where there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def profiled(run: Run) -> str:
    """Return where `run` spends its time, the costliest operations first."""
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=kinds) as profiler:
        run()
        synchronise()
    order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    return str(profiler.key_averages().table(sort_by=order, row_limit=15, max_name_column_width=60))
