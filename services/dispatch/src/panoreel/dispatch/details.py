"""A task in full, as `DescribeDetail` and `List` show it."""

from collections.abc import Iterator
from typing import Any

from panoreel.contracts.answers import describe
from panoreel.contracts.task import Task
from panoreel.dispatch.answers import (
    CosDetail,
    Epoch,
    Gap,
    OutputDetail,
    PackagedFile,
    Param,
    TaskDetail,
    TaskResult,
    VideoDetail,
)
from panoreel.dispatch.beijing import show


def detail(task: Task) -> dict[str, Any]:
    """A `TaskDetail`, ready for JSON."""
    shown = TaskDetail(
        TaskID=task.public_id,
        Application=task.application,
        Status=task.status,
        **dict(_times(task)),
        StopReason=task.stop_reason,
        RetryNum=task.retry_num,
        StorageType=task.storage_type,
        Param=_param(task),
        Recorder=task.recorder_id,
        Epochs=tuple(
            Epoch(Epoch=epoch, LastSegment=task.last_index.get(epoch)) for epoch in range(1, task.epoch + 1)
        ),
        Gaps=tuple(
            Gap(OutputTime=gap.output_s, LostTime=gap.lost_s, WallTime=show(gap.wall_time))
            for gap in task.gaps
        ),
        Outputs=tuple(
            PackagedFile(
                BlobKey=output.blob_key,
                FileSize=output.bytes,
                Sha256=output.sha256,
                Duration=output.duration_s,
                Frames=output.frames,
            )
            for output in task.outputs
        ),
        Result=TaskResult.model_validate(describe(task).get("Result", {})),
    )
    return shown.model_dump(mode="json")


def _times(task: Task) -> Iterator[tuple[str, str | None]]:
    for name in ("create", "start", "cancel", "stop", "finish"):
        time = getattr(task, f"{name}_time")
        yield f"{name.capitalize()}Time", time and show(time)


def _param(task: Task) -> Param:
    output = task.output
    return Param(
        RecordURL=task.record_url,
        CallbackURL=task.callback_url,
        ManualStart=task.manual_start,
        Width=task.encoder.width,
        Height=task.encoder.height,
        MaxDurationLimit=task.max_duration_s,
        PageTitle=task.page_title,
        Output=OutputDetail(
            Cos=CosDetail(
                Domain=output.domain,
                Bucket=output.bucket,
                Region=output.region,
                TargetDir=output.target_dir,
                TargetName=output.target_name,
            ),
            Video=VideoDetail(Muxer=output.muxer),
        ),
    )
