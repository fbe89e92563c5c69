"""Where events, announcements and timers are published."""

from panoreel.contracts.events import Event, RecorderLost, TaskCreated
from panoreel.contracts.outputs import CommitBegun, Committed, OutputKind, Piece, Shipped, UploadBegun

ANY_TASK_EVENT = "task.>"
ANY_SEGMENT = "segment.>"
ANY_TIMER = "timer.>"
ANY_OUTPUT = "output.>"
ANY_PACKAGED = "output.*.*.*.packaged"
ANY_FIRST_SEGMENT = "segment.*.*.0"
ANY_FIRST_OUTPUT = "output.*.*.0.*"


def of_event(task_id: str, event: Event) -> str:
    """The subject of one event, which ends in the priority where recorders wait for it."""
    subject = f"task.{task_id}.{event.type}"
    if isinstance(event, TaskCreated | RecorderLost):
        return f"{subject}.{event.priority}"
    return subject


def of_task(task_id: str) -> str:
    """A filter for all events of one task."""
    return f"task.{task_id}.>"


def any_task(event: type[Event]) -> str:
    """A filter for one type of event of whatever task."""
    claimable = issubclass(event, TaskCreated | RecorderLost)
    return f"task.*.{event.type}.*" if claimable else f"task.*.{event.type}"


def of_segment(task_id: str, epoch: int, index: int) -> str:
    """The one subject that announces this segment."""
    return f"segment.{task_id}.{epoch}.{index}"


def of_task_segments(task_id: str) -> str:
    """A filter for all segments of one task."""
    return f"segment.{task_id}.>"


def of_output(fact: Piece | Shipped | UploadBegun | CommitBegun | Committed) -> str:
    """The subject of one fact about an output."""
    match fact:
        case Piece():
            number, name = fact.number, "packaged"
        case Shipped():
            number, name = fact.number, "shipped"
        case UploadBegun():
            number, name = fact.attempt, "begun"
        case CommitBegun():
            number, name = fact.attempt, "committing"
        case Committed():
            number, name = 0, "committed"
    return f"output.{fact.task_id}.{fact.output}.{number}.{name}"


def of_task_output(task_id: str, output: OutputKind) -> str:
    """A filter for all facts about one output of a task."""
    return f"output.{task_id}.{output}.>"


def of_task_outputs(task_id: str) -> str:
    """A filter for all facts about a task's outputs."""
    return f"output.{task_id}.>"


def task_id_of(subject: str) -> str:
    """The task that a subject belongs to."""
    return subject.split(".")[1]


def of_timer(task_id: str, name: str) -> str:
    """Where a task's timer of this name rests until it is due."""
    return f"timer.set.{task_id}.{name}"


def of_due_timer(task_id: str, name: str) -> str:
    """Where a task's timer of this name is told when it is due."""
    return f"timer.due.{task_id}.{name}"


def any_due_timer(name: str) -> str:
    """A filter for the due timers of this name, of whatever task."""
    return of_due_timer("*", name)


def task_id_of_due_timer(subject: str) -> str:
    """The task whose timer is due."""
    return subject.split(".")[2]
