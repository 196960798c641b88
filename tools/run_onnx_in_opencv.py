"""Run a folder of ONNX files in OpenCV, and compare with what is stored beside them.

    python tools/run_onnx_in_opencv.py FOLDER [--known FILE]

Needs OpenCV and NumPy alone. For each NAME.onnx there is NAME.npz, whose arrays are
`in/BLOB`, fed to the inputs, and `out/BLOB`, what the outputs should be. The exit
status is 1 if an output departs by more than 1e-5 of its largest value, or a file is
not run, but for those that FILE lists: a line for each, `NAME: reason`; and also if one
of these runs rightly after all.
"""

import argparse
import multiprocessing
from pathlib import Path

import cv2
import numpy as np

TOLERANCE = 1e-5
SECONDS = 60  # for one net


def run(path: Path) -> float:
    """Return the largest difference of any output of a net."""
    with np.load(path.with_suffix(".npz")) as arrays:
        given = {k[3:]: arrays[k] for k in arrays if k.startswith("in/")}
        expected = {k[4:]: arrays[k] for k in arrays if k.startswith("out/")}
    net = cv2.dnn.readNetFromONNX(str(path))
    for blob, array in given.items():
        net.setInput(np.ascontiguousarray(array), blob)
    names = list(net.getUnconnectedOutLayersNames())
    found = dict(zip(names, net.forward(names), strict=True))
    missing = expected.keys() - found.keys()
    if missing:
        raise ValueError(f"no outputs {sorted(missing)}")
    return max(difference(found[blob], array) for blob, array in expected.items())


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference as a fraction of the largest expected value.

    OpenCV has no tensors of one axis in all its versions: axes of size 1 do not count.
    """
    if np.squeeze(found).shape != np.squeeze(expected).shape:
        raise ValueError(f"shape {found.shape}; expected {expected.shape}")
    found = found.reshape(expected.shape).astype("float64")
    if not np.array_equal(np.isnan(found), np.isnan(expected)):
        raise ValueError("values that are no numbers, or should be none")
    gap = np.nanmax(np.abs(found - expected), initial=0)
    return float(gap) / (float(np.nanmax(np.abs(expected), initial=0)) or 1.0)


def apart(path: Path, pipe) -> None:
    """Run a net in a process of its own, which may end in a crash."""
    try:
        pipe.send((run(path), ""))
    except Exception as error:  # OpenCV's own, and what the arrays show
        pipe.send((None, " ".join(str(error).split())))


def outcome(path: Path) -> tuple[float | None, str]:
    """Return a net's difference; or None, and why there is none."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=apart, args=(path, theirs))
    process.start()
    theirs.close()
    try:
        found = ours.recv() if ours.poll(SECONDS) else (None, f"over {SECONDS} s")
    except EOFError:
        found = (None, "crashed")
    process.kill()
    process.join()
    return found


def known(path: Path | None) -> dict[str, str]:
    """Return the nets that are known to fail, and why."""
    if path is None:
        return {}
    lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    pairs = [line.split(":", 1) for line in lines if not line.startswith("#")]
    return {name.strip(): why.strip() for name, why in pairs}


def main() -> int:
    """Run all, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--known", type=Path, help="nets that fail, a line for each")
    options = parser.parse_args()
    multiprocessing.set_start_method("fork")
    expected, wrong = known(options.known), []
    paths = sorted(options.folder.glob("*.onnx"))
    print(f"OpenCV {cv2.__version__}\n{'net':<36} difference")
    for path in paths:
        gap, why = outcome(path)
        right = gap is not None and gap <= TOLERANCE
        said = f"{gap:.1e}" if gap is not None else why[:160]
        reason = expected.get(path.stem)
        if right is (reason is not None):
            wrong.append(path.stem)
        note = f"  known: {reason}" if reason else "" if right else "  <-- wrong"
        print(f"{path.stem:<36} {said}{note}", flush=True)
    gone = sorted(expected.keys() - {path.stem for path in paths})
    print(
        f"{len(paths)} nets, {len(expected)} known to fail; unexpected: {wrong + gone}"
    )
    return int(bool(wrong or gone or not paths))


if __name__ == "__main__":
    raise SystemExit(main())
