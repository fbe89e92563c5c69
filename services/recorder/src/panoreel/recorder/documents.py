"""PDF files: Chromium shows them in a viewer, an extension of its own, that is a frame of the page."""

from typing import Final

from playwright.async_api import Frame, Page

VIEWER: Final = "chrome-extension://mhjfbmdgcfjbbpaeojofohoefgiehjai/"
PDF: Final = "application/pdf"

PDF_LOOK: Final = """(() => {
    if (location.protocol !== 'chrome-extension:' || !chrome.pdfViewerPrivate) return;
    const look = info => {
        const [address, own = ''] = info.originalUrl.split('#');
        const asked = own && !own.includes('=') ? `nameddest=${own}` : own;
        const size = /\\b(view|zoom)=/.test(own) ? '' : '&view=FitH';
        info.originalUrl = `${address}#${asked}&toolbar=0&navpanes=0${size}`;
        return info;
    };
    const get = chrome.pdfViewerPrivate.getStreamInfo;
    chrome.pdfViewerPrivate.getStreamInfo = done => done ? get(info => done(look(info))) : get().then(look);
})()"""
"""The viewer shows the document alone, as wide as the picture unless the URL's own fragment says otherwise
(RFC 8118). It is told so when it asks what to show: were it added to the URL, the document would be fetched
twice, since only its answer tells that it is one."""

LOADED: Final = """async () => {
    await document.querySelector("pdf-viewer")?.loaded;
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""


async def pdf_shown(page: Page) -> None:
    """Wait until the viewer has loaded its document, if that is what `page` is."""
    if await page.evaluate("document.contentType") == PDF:
        viewer = next(filter(_is_viewer, page.frames), None)
        viewer = viewer or await page.wait_for_event("framenavigated", _is_viewer)
        await viewer.evaluate(LOADED)


def _is_viewer(frame: Frame) -> bool:
    return frame.url.startswith(VIEWER)
