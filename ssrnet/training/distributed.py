"""Several processes that share each batch, as ``torchrun`` starts them, or a single one.

A test shows that two processes on the CPU (gloo) have the losses, weights and features of one. Not tested, since it
needs two GPUs: NCCL, synchronised batch norms, and the time saved.
"""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ssrnet.errors import ResourceError, SettingsError
from ssrnet.resources import DeviceName, resolve_device

TIMEOUT = timedelta(hours=2)
"""How long processes wait for the first to decode images or to rank; if one dies, all end at once."""


@dataclass(frozen=True)
class Processes:
    """This process's device, and its place among all: ``rank`` from 0 to ``world`` - 1."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    def say(self, text: object) -> None:
        """Prints in the first process alone."""
        if self.first:
            print(text)

    def share(self, vehicles: int, images: int) -> slice:
        """This process's part of a batch of ``vehicles`` with ``images`` neighbours each: whole vehicles.

        Raises :class:`SettingsError` where the vehicles cannot be shared out evenly.
        """
        if vehicles % self.world:
            raise SettingsError(
                f"identities_per_batch is {vehicles}, which {self.world} processes cannot share evenly; "
                f"choose a multiple of {self.world}."
            )
        part = vehicles // self.world * images
        return slice(self.rank * part, (self.rank + 1) * part)

    def gather(self, rows: Tensor) -> Tensor:
        """(B, ...) of every process -> (world * B, ...) in rank order, equal in all processes.

        Only this process's rows carry a gradient. Where every process differentiates the same loss of the
        gathered rows, the gradients of all of them *add up* to the whole one; DistributedDataParallel
        takes their mean, so the loss must be multiplied by ``world`` first.
        """
        if self.world == 1:
            return rows
        everyone = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(self.world)]
        dist.all_gather(everyone, rows.detach().contiguous())
        everyone[self.rank] = rows
        return torch.cat(everyone)

    def from_first(self, rows: Tensor) -> None:
        """Copies the first process's ``rows`` (N, ...) into those of every other, some thousand at a time."""
        if self.world == 1:
            return
        for part in rows.split(4096):
            sent = part.to(self.device)
            dist.broadcast(sent, 0)
            part.copy_(sent)

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` is set in any process; every process must call this at the same point."""
        if self.world == 1:
            return flag
        raised = torch.tensor(int(flag), device=self.device)
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return bool(raised.item())

    def wait(self) -> None:
        """Blocks until every process has reached this call."""
        self.any(False)

    def replicate(self, model: nn.Module) -> nn.Module:
        """The model whose backward pass averages the gradients of all processes.

        Every parameter that requires a gradient must get one in each step.
        """
        if self.world == 1:
            return model
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=ids)


def processes(device: DeviceName = "auto") -> Processes:
    """Joins the processes that ``torchrun`` started, one a GPU, or stands alone.

    Raises :class:`ResourceError` for more processes than GPUs, :class:`SettingsError` on a device that
    cannot be shared.
    """
    chosen = resolve_device(device)
    world = int(os.environ.get("WORLD_SIZE", 1))
    if world == 1:
        return Processes(chosen)
    if chosen.type == "mps":
        raise SettingsError("several processes cannot share an mps device; run one process, or give --device cpu.")
    if chosen.type == "cuda":
        chosen = _local_gpu(int(os.environ["LOCAL_RANK"]))
    if not dist.is_initialized():  # once a program: torchrun's store keeps the addresses of the first meeting
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=TIMEOUT)
        atexit.register(dist.destroy_process_group)
    return Processes(chosen, dist.get_rank(), world)


def _local_gpu(local_rank: int) -> torch.device:
    if local_rank >= torch.cuda.device_count():
        raise ResourceError(
            f"this machine has {torch.cuda.device_count()} GPUs, and process {local_rank + 1} has none left; "
            "give torchrun no higher --nproc-per-node."
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)
