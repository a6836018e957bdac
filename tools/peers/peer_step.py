"""What the peers of compare_step.py that lie here share: their arguments, the timing, the line that they print."""
import argparse
import contextlib
import time

with contextlib.suppress(ImportError):
    import tvshim  # noqa: F401  where torchvision is another build than torch (the folder of the other peers has it)

WARMUP = 2


def arguments(description, archs, **numbers):
    """MODEL is one of `archs`; `numbers` are options of their own, with their defaults."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=archs)
    parser.add_argument("batch", type=int)
    parser.add_argument("dtype", choices=["bf16", "fp32"])
    for name, default in numbers.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def report(args, code, network, step):
    """Times step(), which returns the loss, and prints the line that compare_step.py reads."""
    seconds = []
    for i in range(WARMUP + args.steps):
        begin = time.perf_counter()
        loss = step()
        if i >= WARMUP:
            seconds.append(time.perf_counter() - begin)
    seconds.sort()
    best = seconds[0]
    print(f"{code}{'+compile' if args.compile else ''} {network} {args.dtype} "
          f"batch {args.batch}: min {best * 1e3:.0f} ms median {seconds[len(seconds) // 2] * 1e3:.0f} ms "
          f"= {args.batch / best:.2f} img/s loss {loss:.4f}")
