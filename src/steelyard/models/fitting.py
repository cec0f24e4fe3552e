"""Trains torch modules of a few million weights: the same weights for a seed, resumed after a crash, stopped early, inside a budget."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.models.artefact import Arrays, load_artefact, replace_file, save_artefact
from steelyard.models.encoder import usable_threads
from steelyard.models.fitting_plan import Batch, CurvePoint, Fitted, Parted, Plan, Stop, Trainable
from steelyard.schema.errors import ModelError

CURVE = "curve.jsonl"
CHECKPOINT, WEIGHTS = "checkpoint", "weights"
HEAD = "head."
"""Parameters whose name starts so learn at `Plan.head_factor` times the rate: they start from nothing."""

LAYER = re.compile(r"\blayer\.(\d+)\.")
"""What the name of a transformer layer's parameter holds: its number, from the bottom."""

BETAS, EPSILON = (0.9, 0.999), 1e-8  # AdamW's usual ones: Loshchilov and Hutter, ICLR 2019

PROBED_STEPS = 4
SLACK = 1.1
"""Steps that are timed before the rest is planned to fit a budget, and how much slower the rest may be."""

Progress = Callable[[int, int], None]


def fit(task: Trainable, plan: Plan, folder: Path | None = None, progress: Progress | None = None) -> Fitted:
    """Train `task` by `plan` with AdamW and give the weights of the best validation score.

    `folder` (None: nothing is kept) holds `curve.jsonl`, a line for every score, the checkpoint while it trains, and at last the
    weights. Called again with the same task and plan it goes on from the checkpoint, and a finished training is read, not
    repeated. The final weights are those of a run that was never cut off, byte for byte, on a CPU with the same number of
    threads and the same library versions, wherever it was killed; the curve too but for its seconds. A training that its budget
    ended goes on when it is called with a larger one, or begins anew where fewer steps were planned for it. One process at a
    time may use a folder. Torch's global generator, thread number and determinism are as before afterwards. `progress` gets
    (steps done, steps planned).

    Raises:
        ModelError: the loss or the score is no number any more, or a stored file is damaged.
        ValueError: the task has no rows, or the plan no step.
    """
    import torch

    if task.rows < 1 or plan.epochs <= 0 or plan.batch < 1:
        raise ValueError(f"nothing to train: {task.rows} rows, {plan.epochs} epochs, batches of {plan.batch}")
    key = _key(task, plan)
    found, had_s = (None, None) if folder is None else _finished(folder, key)
    if found is not None and (had_s is None or (plan.budget_s is not None and plan.budget_s <= had_s)):
        return found
    meta = _checkpoint(folder, key)
    if found is not None and meta and found.steps == meta[1]["planned"]:
        meta = None  # its rate fell to 0 early, to fit the budget it had: more time is of use from the start alone
    threads = meta[1]["threads"] if meta else plan.threads or usable_threads()
    with _pinned(torch, threads):
        run = _Run(task, plan, folder, key, threads)
        if meta:
            run.resume(*meta)
        return run.train(progress or _silent)


def load_weights(module: Any, weights: Mapping[str, NDArray[Any]]) -> Any:
    """Put `Fitted.weights` into a module that `Trainable.module` made; returns it, in evaluation mode."""
    import torch

    own = module.state_dict()
    with torch.no_grad():
        for name, array in weights.items():
            own[name].copy_(torch.from_numpy(np.ascontiguousarray(array)).reshape(own[name].shape))
    return module.eval()


class _Run:
    """One training: what is learned so far, and how far it is."""

    def __init__(self, task: Trainable, plan: Plan, folder: Path | None, key: str, threads: int) -> None:
        import torch

        self._torch = torch
        self._task, self._plan, self._folder = task, plan, folder
        self._key, self._threads = key, threads
        self._epoch_steps = math.ceil(task.rows / plan.batch)
        self._whole = self._planned = max(1, math.ceil(plan.epochs * self._epoch_steps))
        self._every = plan.evaluate_every or self._epoch_steps
        cuda = torch.cuda.is_available() if plan.device == "auto" else plan.device == "cuda"
        self._device = "cuda" if cuda else "cpu"
        _seed(torch, plan.seed, 0, 0)
        self._module = task.module().to(self._device)
        self._names = _kept_names(self._module)
        self._optimizer = _optimizer(torch, self._module, plan)
        self._step = 0
        self._losses: list[float] = []
        self._curve: list[CurvePoint] = []
        self._best: Arrays = {}
        self._spent = 0.0
        self._begun = self._saved_at = perf_counter()
        self._resumed_at: int | None = None
        self._second_began = 0.0
        self._score_s = 0.0

    def resume(self, arrays: Arrays, meta: Mapping[str, Any]) -> None:
        """Take up where a checkpoint was written."""
        load_weights(self._module, _under(arrays, "now/"))
        self._best = _under(arrays, "best/")
        for name, parameter in self._trained():
            state = _under(arrays, f"adam/{name}/")
            # A parameter that had no gradient yet has no state.
            if state:
                self._optimizer.state[parameter] = {
                    part: self._torch.from_numpy(array.copy()).to("cpu" if part == "step" else self._device)
                    for part, array in state.items()
                }
        self._step, self._losses, self._spent = meta["step"], meta["losses"], meta["seconds"]
        self._planned = meta["planned"]
        self._curve = [CurvePoint(**point) for point in meta["curve"]]
        self._resumed_at = self._step

    def train(self, progress: Progress) -> Fitted:
        """All steps that are left."""
        if not self._curve:
            self._evaluate()
        self._write_curve()
        progress(self._step, self._planned)
        stopped = self._why_stop()
        while stopped is None:
            self._take_step()
            if self._step == PROBED_STEPS:
                self._fit_into_budget()
            if self._step % self._every == 0 or self._step == self._planned:
                self._evaluate()
                self._write_curve()
            stopped = self._why_stop()
            progress(self._step, self._planned)
            if stopped is None and perf_counter() - self._saved_at >= self._plan.checkpoint_s:
                self._save()
        if stopped == "budget":
            self._save()  # a later call with more time goes on from here
        if self._curve[-1].step != self._step:
            self._evaluate()
            self._write_curve()
        return self._finish(stopped)

    def _take_step(self) -> None:
        plan, torch = self._plan, self._torch
        epoch, place = divmod(self._step, self._epoch_steps)
        order = np.random.default_rng([plan.seed, 1, epoch]).permutation(self._task.rows)
        rows = order[place * plan.batch : (place + 1) * plan.batch]
        generator = np.random.default_rng([plan.seed, 2, self._step])
        # Every draw follows from the seed and the step, so a checkpoint needs no state of any generator.
        _seed(torch, plan.seed, 3, self._step)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate() * group["factor"]
        self._module.train()
        batch = Batch(step=self._step, epoch=epoch, rows=rows.astype(np.int64), generator=generator)
        self._optimizer.zero_grad(set_to_none=True)
        whole = 0.0
        for part in self._task.parts(batch) if isinstance(self._task, Parted) else (batch,):
            loss = self._task.loss(self._module, part)
            whole += _number(float(loss.detach()), "loss", self._step)
            loss.backward()
        self._losses.append(whole)
        torch.nn.utils.clip_grad_norm_([parameter for _, parameter in self._trained()], plan.largest_gradient)
        self._optimizer.step()
        self._step += 1
        if self._step == 1:
            self._second_began = perf_counter()

    def _rate(self) -> float:
        return self._plan.rate(self._step, self._planned)

    def _evaluate(self) -> None:
        begun = perf_counter()
        _seed(self._torch, self._plan.seed, 4, self._step)
        self._module.eval()
        with self._torch.no_grad():
            score = _number(float(self._task.score(self._module)), "score", self._step)
        if not self._curve or self._plan.keep == "last" or score > max(point.score for point in self._curve):
            self._best = self._stored()
        point = CurvePoint(
            step=self._step,
            epoch=round(self._step / self._epoch_steps, 4),
            loss=sum(self._losses) / len(self._losses) if self._losses else None,
            learning_rate=self._rate() if self._step < self._planned else 0.0,
            score=score,
            seconds=round(self._seconds(), 3),
        )
        self._curve.append(point)
        self._losses = []
        self._score_s = perf_counter() - begun

    def _fit_into_budget(self) -> None:
        """Plan fewer steps where the budget does not do for all; the first step is left out, for it does work of its own."""
        if self._plan.budget_s is None or not self._second_began:
            return
        step_s = (perf_counter() - self._second_began) / (PROBED_STEPS - 1)
        scores = 1 + (self._planned - 1) // self._every
        left = self._plan.budget_s - self._seconds() - self._score_s * scores
        fitting = self._step + int(left / (SLACK * max(step_s, 1e-9)))
        self._planned = max(self._step + 1, min(self._planned, fitting))

    def _why_stop(self) -> Stop | None:
        if self._step >= self._planned:
            return "done" if self._planned == self._whole else "budget"
        if len(self._curve) - 1 - self._best_place() >= self._plan.patience:
            return "early"
        if self._plan.budget_s is not None and self._seconds() >= self._plan.budget_s:
            return "budget"
        return None

    def _best_place(self) -> int:
        if self._plan.keep == "last":
            return len(self._curve) - 1
        return max(range(len(self._curve)), key=lambda place: (self._curve[place].score, -place))

    def _seconds(self) -> float:
        return self._spent + perf_counter() - self._begun

    def _trained(self) -> list[tuple[str, Any]]:
        return [(name, one) for name, one in self._module.named_parameters() if one.requires_grad]

    def _stored(self) -> Arrays:
        state = self._module.state_dict()
        return {name: state[name].detach().cpu().numpy().copy() for name in self._names}

    def _save(self) -> None:
        if self._folder is not None:
            arrays = {f"now/{name}": array for name, array in self._stored().items()}
            arrays |= {f"best/{name}": array for name, array in self._best.items()}
            for name, parameter in self._trained():
                for part, tensor in self._optimizer.state.get(parameter, {}).items():
                    arrays[f"adam/{name}/{part}"] = tensor.detach().cpu().numpy()
            meta = {
                "key": self._key,
                "threads": self._threads,
                "step": self._step,
                "planned": self._planned,
                "losses": self._losses,
                "seconds": self._seconds(),
                "curve": [asdict(point) for point in self._curve],
            }
            save_artefact(self._folder / CHECKPOINT, arrays, meta)
        self._saved_at = perf_counter()

    def _write_curve(self) -> None:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            lines = "".join(json.dumps(asdict(point)) + "\n" for point in self._curve)
            replace_file(self._folder / CURVE, lines.encode())

    def _finish(self, stopped: Stop) -> Fitted:
        best = self._curve[self._best_place()]
        summary: dict[str, Any] = {
            "best_step": best.step,
            "best_score": best.score,
            "steps": self._step,
            "planned": self._planned,
            "stopped": stopped,
        }
        seconds = self._seconds()
        if self._folder is not None:
            # Without the seconds: the folder of the weights is the same bytes for every run.
            ended = {"budget_s": self._plan.budget_s} if stopped == "budget" else {}
            save_artefact(self._folder / WEIGHTS, self._best, {"key": self._key, **summary, **ended})
            if stopped != "budget":
                shutil.rmtree(self._folder / CHECKPOINT, ignore_errors=True)
        return Fitted(
            weights=self._best, seconds=seconds, curve=tuple(self._curve), resumed_at=self._resumed_at, **summary
        )


def _key(task: Trainable, plan: Plan) -> str:
    kept = {name: value for name, value in asdict(plan).items() if name not in ("budget_s", "checkpoint_s", "threads")}
    return hashlib.sha256(json.dumps([task.key, task.rows, kept], sort_keys=True).encode()).hexdigest()


def _checkpoint(folder: Path | None, key: str) -> tuple[Arrays, dict[str, Any]] | None:
    """The checkpoint in `folder`, when there is one of this training; a damaged one is as good as none."""
    if folder is None:
        return None
    try:
        arrays, meta = load_artefact(folder / CHECKPOINT)
    except ModelError:
        return None
    return (arrays, meta) if meta.get("key") == key else None


def _finished(folder: Path, key: str) -> tuple[Fitted | None, float | None]:
    """A training that came to its end in `folder`, and the budget that ended it; None and None without."""
    if not (folder / WEIGHTS).is_dir():
        return None, None
    try:
        weights, meta = load_artefact(folder / WEIGHTS)
    except ModelError as error:
        # The manifest is written last: without one, a crash fell between the files.
        if error.code == "models.artefact_missing":
            return None, None
        raise
    had_s = meta.pop("budget_s", None)
    if meta.pop("key") != key:
        return None, None
    lines = (folder / CURVE).read_text(encoding="utf-8").splitlines()
    curve = tuple(CurvePoint(**json.loads(line)) for line in lines)
    return Fitted(weights=weights, seconds=curve[-1].seconds, curve=curve, **meta), had_s


def _optimizer(torch: Any, module: Any, plan: Plan) -> Any:
    """AdamW; biases and norms do not decay."""
    groups: dict[tuple[float, float], list[Any]] = {}
    top = max((layer for name, _ in module.named_parameters() if (layer := layer_of(name)) is not None), default=0)
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            layer = layer_of(name)
            factor = plan.head_factor if name.startswith(HEAD) else 1.0
            factor *= 1.0 if layer is None else plan.layer_decay ** (top - layer)
            decay = plan.weight_decay if parameter.dim() > 1 else 0.0
            groups.setdefault((factor, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": members, "factor": factor, "weight_decay": decay} for (factor, decay), members in groups.items()],
        lr=plan.learning_rate,
        betas=BETAS,
        eps=EPSILON,
    )


def layer_of(name: str) -> int | None:
    """The number of the transformer layer that a parameter belongs to, from the bottom; None outside the layers."""
    found = LAYER.search(name)
    return None if found is None else int(found[1])


def _kept_names(module: Any) -> list[str]:
    # Tied weights have two names, and both are frozen or none.
    every = module.named_parameters(remove_duplicate=False)
    frozen = {name for name, parameter in every if not parameter.requires_grad}
    return [name for name in module.state_dict() if name not in frozen]


def _under(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _number(value: float, name: str, step: int) -> float:
    if math.isfinite(value):
        return value
    raise ModelError(
        f"training diverged: the {name} after {step} steps is {value}.",
        remedy="Lower the learning rate.",
        code="models.diverged",
    )


def _seed(torch: Any, seed: int, stream: int, step: int) -> None:
    torch.manual_seed(int(np.random.SeedSequence([seed, stream, step]).generate_state(1, np.uint64)[0] >> 1))


@contextmanager
def _pinned(torch: Any, threads: int) -> Iterator[None]:
    """A number of threads and deterministic algorithms, and the global state as before afterwards."""
    before, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    filling = torch.utils.deterministic.fill_uninitialized_memory
    torch.set_num_threads(threads)
    # CUDA would need an environment variable set before it starts; the promise is for the CPU.
    torch.use_deterministic_algorithms(not torch.cuda.is_available())
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = filling


def _silent(_done: int, _total: int) -> None:
    """Report no progress."""
