"""Nothing that a page does puts anything over the page but what it draws itself."""

import numpy as np
import pytest

from panoreel.recorder.protocol import SegmentSealed
from tests.servers.child import pictures, recording
from tests.servers.pages import serve_pages

BLUE = "<body style='background: blue; margin: 0'><script>setTimeout(() => { SCRIPT }, 300)</script>"


@pytest.mark.parametrize(
    "script",
    [
        "location.href = 'mailto:a@example.com'",
        "location.href = 'tel:123'",
        "setInterval(() => open('about:blank', '', 'width=300,height=200'), 50)",
        "setInterval(() => { alert('a'); confirm('b'); prompt('c'); print(); }, 50)",
        "onbeforeunload = () => 'stay'; addEventListener('beforeunload', event => event.preventDefault()); "
        "location.reload()",
        "const i = document.createElement('input'); i.type = 'file'; i.click(); i.showPicker()",
        "showOpenFilePicker()",
        "navigator.mediaDevices.getDisplayMedia()",
        "navigator.mediaDevices.getUserMedia({video: true, audio: true})",
        "Notification.requestPermission(); navigator.geolocation.getCurrentPosition(() => {})",
        "document.body.requestPointerLock(); document.documentElement.requestFullscreen()",
        "new PaymentRequest([{supportedMethods: 'https://google.com/pay'}], "
        "{total: {label: 'x', amount: {currency: 'USD', value: '1'}}}).show()",
        "navigator.usb.requestDevice({filters: []})",
    ],
)
def test_only_the_page_is_to_be_seen(script: str) -> None:
    with serve_pages() as site:
        site.pages["/"] = BLUE.replace("SCRIPT", script)
        with recording(f"{site.address}/", 2) as child:
            segments = [report for report in child.reports() if isinstance(report, SegmentSealed)]
            assert child.process.returncode == 0
            for segment in segments:
                for picture in pictures(segment.path):
                    assert np.abs(picture[:360, :640].astype(int) - (0, 0, 255)).max() <= 8
