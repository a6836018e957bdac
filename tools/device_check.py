#!/usr/bin/env python3
"""What tools/device_check.sh reads out of traces and runs; each command prints one line.

  attention TRACE        the kernel that queries and keys of each shape got, and how often
  kernels TRACE          time by class of kernel, and the share in which the GPU had nothing to do
  trials LOG             what came of the trials of our own kernels in a program's log
  losses RUN RUN TOL     how far the losses of two run folders are apart; more than TOL fails
  feeding RUN            images a second and the share of time spent waiting for data
  table SUMMARY          the summary as Markdown
"""
import collections
import json
import pathlib
import sys

CLASSES = [("attention", ("flash", "fmha", "attention", "sdpa")),
           ("matmul", ("gemm", "cutlass", "cublas", "xmma", "wgmma", "nvjet")),
           ("norm", ("layer_norm", "layernorm", "batch_norm", "add_norm")), ("gelu", ("gelu",)),
           ("softmax", ("softmax",)), ("optimizer", ("adam", "foreach", "multi_tensor")),
           ("reduction", ("reduce",)), ("copy", ("memcpy", "memset", "copy")),
           ("indexing", ("index", "gather", "scatter", "sort")), ("elementwise", ("elementwise",))]


def events_of(path):
    return [e for e in json.loads(pathlib.Path(path).read_text())["traceEvents"] if e.get("ph") == "X"]


def attention(path):
    prefix, counts = "aten::_scaled_dot_product_", collections.Counter()
    for event in events_of(path):
        if not event["name"].startswith(prefix):
            continue
        name = event["name"][len(prefix):].replace("_attention", "")
        dims = ["x".join(map(str, d)) for d in event.get("args", {}).get("Input Dims", []) if len(d) == 4]
        first = 1 if name.endswith("backward") else 0  # its first tensor is a gradient
        counts[" ".join([name, *dims[first:first + 2]])] += 1
    print(", ".join(f"{name}: {count}" for name, count in sorted(counts.items())) or "none of LibTorch's")
    return 0


def class_of(name):
    return next((c for c, words in CLASSES if any(w in name.lower() for w in words)), "other")


def kernels(path):
    work = [e for e in events_of(path) if e.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")]
    where = "GPU"
    if not work:  # of the CPU, the operators that call no other
        where = "CPU"
        work = [e for e in events_of(path) if e.get("cat") == "cpu_op"]
    if not work:
        print("no kernels in the trace")
        return 1
    times = collections.Counter()
    for event in work:
        times[class_of(event["name"])] += event["dur"]
    begin = min(e["ts"] for e in work)
    end = max(e["ts"] + e["dur"] for e in work)
    busy, last = 0, begin
    for event in sorted(work, key=lambda e: e["ts"]):
        stop = event["ts"] + event["dur"]
        busy += max(0, stop - max(last, event["ts"]))
        last = max(last, stop)
    total = sum(times.values())
    shares = ", ".join(f"{name} {100 * t / total:.0f} %" for name, t in times.most_common(7))
    print(f"{where}: {len(work)} launches, idle {100 * (1 - busy / (end - begin)):.0f} %; {shares}")
    return 0


def trials(path):
    lines = pathlib.Path(path).read_text().splitlines()
    found = [line for line in lines if "our kernels take" in line or "LibTorch's operators stay" in line]
    print("; ".join(found) or "no kernel of our own was tried")
    return 0


def lines_of(run):
    text = (pathlib.Path(run) / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def losses(a, b, tolerance):
    pairs = [(x["loss"], y["loss"]) for x, y in zip(lines_of(a), lines_of(b), strict=True)]
    apart = [abs(x - y) / abs(x) for x, y in pairs]
    print(f"{len(pairs)} losses, apart by {apart[0]:.1e} at first, {max(apart):.1e} at most")
    return 0 if pairs and max(apart) <= float(tolerance) else 1


def feeding(run):
    late = lines_of(run)[1:] or lines_of(run)  # the first has the start in it
    speeds = [line["images_per_second"] for line in late]
    waits = [line["data_wait"] for line in late]
    print(f"{sum(speeds) / len(speeds):.0f} images/s, data_wait {sum(waits) / len(waits):.3f}")
    return 0


def told(result):
    """A line of `bench step` in words; others as they are."""
    try:
        r = json.loads(result)
    except ValueError:
        return result
    memory = r.get("device_memory_mib") or r["peak_memory_mib"]
    words = [f"{r['images_per_second']:.1f} images/s", f"{r['gflops_per_second'] / 1e3:.2f} TFLOP/s"]
    if "mfu" in r:  # not there where a program is older than that
        words.append(f"MFU {100 * r['mfu']:.0f} % of {r['ceilings']['gflops_per_second'] / 1e3:.2f}")
    if "launches" in r:
        words.append(f"{r['launches']:.0f} launches, idle {100 * r['device_idle']:.0f} %")
    if r.get("replayed"):
        words.append("replayed")
    return ", ".join([*words, f"{memory:.0f} MiB", f"batch {r['batch']}", r["precision"]])


def table(path):
    print("| what | time | result |\n|---|---|---|")
    for line in pathlib.Path(path).read_text().splitlines():
        parts = [part.strip() for part in line.split("|", 2)]
        if len(parts) == 3:
            print(f"| {parts[0]} | {parts[1]} | {told(parts[2])} |")
    return 0


if __name__ == "__main__":
    known = {f.__name__: f for f in (attention, kernels, trials, losses, feeding, table)}
    if len(sys.argv) < 3 or sys.argv[1] not in known:
        sys.exit(__doc__)
    sys.exit(known[sys.argv[1]](*sys.argv[2:]))
