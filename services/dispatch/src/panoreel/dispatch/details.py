"""A task in full, as `DescribeDetail` and `List` show it."""

from collections.abc import Iterator
from typing import Any

from panoreel.contracts.answers import describe
from panoreel.contracts.events import OutputRequest, VodRequest
from panoreel.contracts.identifiers import public
from panoreel.contracts.media import EncoderParameters
from panoreel.contracts.task import Task
from panoreel.dispatch.answers import (
    BesideFile,
    ClipDetail,
    ClipRange,
    CosDetail,
    DetailResult,
    Epoch,
    Gap,
    MediaInfoDetail,
    OutputDetail,
    PackagedFile,
    Param,
    ProcedureInfoDetail,
    QualityReport,
    TaskDetail,
    TaskResult,
    ThumbnailsDetail,
    VideoDetail,
    VodDetail,
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
        Clip=_clip(task),
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
                Kind=output.kind,
                BlobKey=output.blob_key,
                FileSize=output.bytes,
                Sha256=output.sha256,
                Duration=output.duration_s,
                Frames=output.frames,
                Pieces=len(output.pieces),
            )
            for output in task.outputs
        ),
        Result=_result(task),
    )
    return shown.model_dump(mode="json")


def _times(task: Task) -> Iterator[tuple[str, str | None]]:
    for name in ("create", "start", "cancel", "stop", "finish"):
        time = getattr(task, f"{name}_time")
        yield f"{name.capitalize()}Time", time and show(time)


def _param(task: Task) -> Param:
    policy = task.page_policy
    return Param(
        RecordURL=task.record_url,
        CallbackURL=task.callback_url,
        ManualStart=task.manual_start,
        Width=task.encoder.width,
        Height=task.encoder.height,
        MaxDurationLimit=task.max_duration_s,
        PageTitle=task.page_title,
        Priority=task.priority,
        QueueTimeout=task.queue_timeout_s or 0,
        OnError=policy.on_error,
        OnBlank=policy.on_blank,
        BlankTimeout=policy.blank_after_s or 0,
        Output=_output(task.output, task.encoder),
    )


def _output(output: OutputRequest, encoder: EncoderParameters) -> OutputDetail:
    thumbnails = output.thumbnails
    return OutputDetail(
        Cos=CosDetail(
            Domain=output.domain,
            Bucket=output.bucket,
            Region=output.region,
            TargetDir=output.target_dir,
            TargetName=output.target_name,
        ),
        Vod=output.vod and _vod(output.vod),
        Video=_video(output, encoder),
        Thumbnails=thumbnails and ThumbnailsDetail(Interval=thumbnails.interval_s, Width=thumbnails.width),
    )


def _vod(vod: VodRequest) -> VodDetail:
    return VodDetail(
        MediaInfo=MediaInfoDetail(
            MediaName=vod.media_name,
            ExpireTime=vod.expire_time,
            StorageRegion=vod.storage_region,
            ClassId=vod.class_id,
            SourceContext=vod.source_context,
        ),
        ProcedureInfo=ProcedureInfoDetail(Procedure=vod.procedure, SessionContext=vod.session_context),
        SubAppId=vod.sub_app_id,
    )


def _video(output: OutputRequest, encoder: EncoderParameters) -> VideoDetail:
    return VideoDetail(
        Muxer=output.muxers[0],
        Muxers=output.muxers,
        EncryptIv=output.encryption and output.encryption.iv,
        AuthUrl=output.encryption and output.encryption.auth_url,
        Fps=encoder.fps,
        Bitrate=encoder.bitrate,
        Crf=None if encoder.bitrate else encoder.crf,
        KeyframeInterval=encoder.keyframe_interval_s,
        AudioBitrate=encoder.audio_bitrate,
        AudioOnly=encoder.tracks == "audio",
        VideoOnly=encoder.tracks == "video",
    )


def _clip(task: Task) -> ClipDetail | None:
    if task.clip is None:
        return None
    return ClipDetail(
        TaskID=public(task.application, task.clip.task_id),
        Ranges=tuple(ClipRange(Start=cut.start_s, End=cut.end_s) for cut in task.clip.ranges),
    )


def _result(task: Task) -> DetailResult:
    files = tuple(BesideFile(Kind=file.kind, Filename=file.filename, FileURL=file.url) for file in task.files)
    result = TaskResult.model_validate(describe(task).get("Result", {}))
    return DetailResult(**dict(result), Files=files, Quality=_quality(task))


def _quality(task: Task) -> QualityReport | None:
    quality = task.quality
    if quality is None:
        return None
    return QualityReport(
        RecordedTime=quality.recorded_s,
        FramesCaptured=quality.frames_captured,
        FramesEncoded=quality.frames_encoded,
        FramesDropped=quality.frames_dropped,
        FramesRepeated=quality.frames_repeated,
        SkewP50=quality.skew_p50_ms,
        SkewP95=quality.skew_p95_ms,
        Gaps=quality.gaps,
        GapTime=quality.gap_s,
        Cores=quality.cores,
        PresetSteps=quality.preset_steps,
        SilenceTime=quality.silence_s,
        BlackTime=quality.black_s,
    )
