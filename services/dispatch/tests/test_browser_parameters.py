"""`Data.Browser`: what reaches the recorder, and a sentence that repeats no secret for each mistake."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from panoreel.contracts.browser import BrowserSettings, Cookie
from panoreel.dispatch.parameters import InvalidParam, StartParameters

URL = "https://example.com/"


def parse(**browser: Any) -> BrowserSettings:
    return StartParameters.parse({"RecordURL": URL, "Browser": browser}).browser_settings()


def cookie(**changes: Any) -> dict[str, Any]:
    return {"Name": "session", "Value": "hunter2", "Domain": "example.com"} | changes


def stored(**changes: Any) -> dict[str, Any]:
    return {"cookies": [{"name": "session", "value": "hunter2", "domain": "example.com"} | changes]}


def origin(**changes: Any) -> dict[str, Any]:
    known = {"origin": "https://example.com", "localStorage": [{"name": "token", "value": "hunter2"}]}
    return {"origins": [known | changes]}


def test_everything_reaches_the_recorder() -> None:
    state = {
        "cookies": [
            {
                "name": "session",
                "value": "old",
                "domain": ".example.com",
                "path": "/",
                "expires": -1,
                "httpOnly": True,
                "secure": False,
                "sameSite": "Lax",
            }
        ],
        "origins": [origin()["origins"][0] | {"indexedDB": []}],
    }
    assert parse(
        Cookies=[cookie(Path="/a", Expires=2e9, HttpOnly=True, Secure=True, SameSite="None")],
        Headers={"Authorization": "Bearer hunter2", "X-Empty": ""},
        UserAgent="Mozilla/5.0",
        StorageState=state,
        Locale="zh-Hant-TW",
        Timezone="Asia/Shanghai",
        ColorScheme="dark",
        DeviceScaleFactor=1.5,
        IgnoreCertificateErrors=True,
    ) == BrowserSettings(
        cookies=(
            Cookie(name="session", value="old", domain=".example.com", http_only=True, same_site="Lax"),
            Cookie(
                name="session",
                value="hunter2",
                domain="example.com",
                path="/a",
                expires=2e9,
                http_only=True,
                secure=True,
                same_site="None",
            ),
        ),
        headers={"Authorization": "Bearer hunter2", "X-Empty": ""},
        local_storage={"https://example.com": {"token": "hunter2"}},
        user_agent="Mozilla/5.0",
        locale="zh-Hant-TW",
        timezone="Asia/Shanghai",
        color_scheme="dark",
        device_scale_factor=1.5,
        ignore_certificate_errors=True,
    )


def test_the_user_agent_may_come_as_in_the_original() -> None:
    data = {"RecordURL": URL, "Headers": {"UserAgent": "Mozilla/5.0"}}
    assert StartParameters.parse(data).browser_settings().user_agent == "Mozilla/5.0"


@pytest.mark.parametrize(
    ("url", "domain"),
    [("https://Example.com:8443/a/b?c", "example.com"), ("http://[::1]:80/", "[::1]")],
)
def test_a_cookie_may_name_a_url(url: str, domain: str) -> None:
    (found,) = parse(Cookies=[{"Name": "a", "Value": "", "Url": url}]).cookies
    assert found == Cookie(name="a", value="", domain=domain)


@pytest.mark.parametrize("locale", ["zh", "zh-Hant-TW", "es-419", "de-DE-1996", "en-u-ca-buddhist"])
def test_language_tags(locale: str) -> None:
    assert parse(Locale=locale).locale == locale


@pytest.mark.parametrize("session", [-1, 0])
def test_a_cookie_without_an_end(session: int) -> None:
    assert parse(Cookies=[cookie(Expires=session)]).cookies[0].expires is None


def test_a_state_of_firefox_is_understood() -> None:
    """It exports SameSite None for a cookie that says nothing, which Chromium would not set."""
    assert parse(StorageState=stored(sameSite="None")).cookies[0].same_site is None


COOKIE = "Browser.Cookies[0]"
STORED = "Browser.StorageState.cookies[0]"
ORIGIN = "Browser.StorageState.origins[0]"


@pytest.mark.parametrize(
    ("browser", "sentence"),
    [
        ({"Cookies": {}}, "Browser.Cookies must be a list"),
        ({"Cookies": ["hunter2"]}, f"{COOKIE} must be a JSON object"),
        ({"Cookies": [cookie()] * 1001}, "Browser.Cookies must not have more than 1000 entries"),
        ({"Cookies": [cookie(), {"Name": "a", "Domain": "b"}]}, "Browser.Cookies[1].Value missing"),
        ({"Cookies": [cookie(Domain=None)]}, f"{COOKIE} must have either a Domain or a Url"),
        ({"Cookies": [cookie(Url=URL)]}, f"{COOKIE} must have either a Domain or a Url"),
        ({"Cookies": [cookie(Url="hunter2", Domain=None)]}, f"{COOKIE}.Url must be an absolute http"),
        ({"Cookies": [cookie(Sticky=True)]}, f"{COOKIE}.Sticky is not a parameter"),
        *(
            ({"Cookies": [cookie(Name=name)]}, f"{COOKIE}.Name must not contain")
            for name in ("a=b", " a", "a;")
        ),
        ({"Cookies": [cookie(Name="")]}, f"{COOKIE}.Name must not be empty"),
        *(
            ({"Cookies": [cookie(Value=value)]}, f"{COOKIE}.Value must not contain")
            for value in ("hunter2;", "hunter2 ", "hunter2\t1", "hunter2\r\n")
        ),
        ({"Cookies": [cookie(Value="hunter2\ud800")]}, f"{COOKIE}.Value must consist of Unicode"),
        ({"Cookies": [cookie(Value="x" * 4090)]}, f"{COOKIE} must not have more than 4096 bytes"),
        *(
            ({"Cookies": [cookie(Domain=domain)]}, f"{COOKIE}.Domain must be a host name")
            for domain in (
                "https://example.com",
                "example.com/a",
                "..example.com",
                "a b",
                "::1",
                "example.com:80",
            )
        ),
        *(({"Cookies": [cookie(Path=path)]}, f"{COOKIE}.Path must begin with /") for path in ("a", "/a;b")),
        ({"Cookies": [cookie(Path="/" + "a" * 1024)]}, f"{COOKIE}.Path must not be longer than 1024"),
        ({"Cookies": [cookie(Expires="1")]}, f"{COOKIE}.Expires must be a number"),
        *(
            ({"Cookies": [cookie(Expires=expires)]}, f"{COOKIE}.Expires must be in range [-1, 253402300799]")
            for expires in (-2, 1e12, float("nan"), float("inf"))
        ),
        ({"Cookies": [cookie(Expires=10**400)]}, f"{COOKIE}.Expires must be"),
        ({"Cookies": [cookie(Secure="yes")]}, f"{COOKIE}.Secure must be true or false"),
        ({"Cookies": [cookie(SameSite="lax")]}, f"{COOKIE}.SameSite must be 'Strict', 'Lax' or 'None'"),
        ({"Cookies": [cookie(SameSite="None")]}, f"{COOKIE} has SameSite None, for which it must be Secure"),
        ({"Cookies": [cookie(Name="__Secure-a")]}, f"{COOKIE} has a name that begins with __Secure-"),
        (
            {"Cookies": [cookie(Name="__Host-a", Secure=True, Domain=".example.com")]},
            f"{COOKIE} has a name that begins with __Host-",
        ),
        ({"Headers": []}, "Browser.Headers must be a JSON object"),
        ({"Headers": {"X-A": 5}}, "Browser.Headers.X-A must be a string"),
        ({"Headers": {"Authorization: hunter2": ""}}, "Browser.Headers must have names of 1 to 128"),
        ({"Headers": {"": "hunter2"}}, "Browser.Headers must have names of 1 to 128"),
        ({"Headers": {"X-A": "1", "x-a": "2"}}, "Browser.Headers must not name a header twice"),
        *(
            ({"Headers": {name: "hunter2"}}, f"Browser.Headers must not set {name.lower()}, which")
            for name in (
                "Host",
                "content-length",
                "Connection",
                "Sec-Fetch-Site",
                "Proxy-Authorization",
                "TE",
            )
        ),
        (
            {"Headers": {"Cookie": "a=hunter2"}},
            "Browser.Headers must not set cookie, which is the browser's own; use",
        ),
        *(
            ({"Headers": {"X-A": value}}, "Browser.Headers.X-A must consist of printable ASCII")
            for value in ("hunter2\r\nHost: x", " hunter2", "hunter2课")
        ),
        ({"Headers": {"X-A": "x" * 8193}}, "Browser.Headers.X-A must not be longer than 8192"),
        (
            {"Headers": {f"X-{n}": "" for n in range(51)}},
            "Browser.Headers must not have more than 50 entries",
        ),
        ({"UserAgent": "a\n"}, "Browser.UserAgent must consist of printable ASCII"),
        ({"StorageState": "hunter2.json"}, "Browser.StorageState must be a JSON object"),
        ({"StorageState": stored(value="hunter2;")}, f"{STORED}.value must not contain"),
        ({"StorageState": stored(domain="")}, f"{STORED}.domain must not be empty"),
        ({"StorageState": stored(name="__Host-a")}, f"{STORED} has a name that begins with __Secure-"),
        (
            {"StorageState": stored(partitionKey="https://hunter2")},
            f"{STORED}.partitionKey is not a parameter",
        ),
        ({"StorageState": origin(indexedDB=[{"name": "hunter2"}])}, f"{ORIGIN}.indexedDB cannot be restored"),
        ({"StorageState": origin(origin="hunter2")}, f"{ORIGIN}.origin must be an absolute http"),
        ({"StorageState": origin(origin=URL + "?hunter2")}, f"{ORIGIN}.origin must be an origin"),
        ({"StorageState": origin(origin=URL)}, f"{ORIGIN}.origin must be an origin"),
        (
            {"StorageState": origin(localStorage=[{"name": "a", "value": "hunter2\udfff"}])},
            f"{ORIGIN}.localStorage[0].value must consist of Unicode",
        ),
        ({"StorageState": origin(localStorage=[{"name": "a"}])}, f"{ORIGIN}.localStorage[0].value missing"),
        (
            {"StorageState": {"origins": origin()["origins"] * 2}},
            "Browser.StorageState must not name an origin",
        ),
        *(
            ({"Locale": locale}, "Browser.Locale must be a language tag")
            for locale in ("zh_CN", "e", "zh-", "-")
        ),
        ({"Timezone": "Asia/Peking"}, "Browser.Timezone must be a name of the IANA"),
        ({"Timezone": "../etc/passwd"}, "Browser.Timezone must be a name of the IANA"),
        ({"ColorScheme": "blue"}, "Browser.ColorScheme must be 'light', 'dark' or 'no-preference'"),
        *(
            ({"DeviceScaleFactor": factor}, "Browser.DeviceScaleFactor must be in range [0.5, 4]")
            for factor in (0, 0.4, 4.1, float("nan"))
        ),
        ({"DeviceScaleFactor": True}, "Browser.DeviceScaleFactor must be a number"),
        ({"IgnoreCertificateErrors": 1}, "Browser.IgnoreCertificateErrors must be true or false"),
        ({"Proxy": "hunter2"}, "Browser.Proxy is not a parameter"),
    ],
)
def test_a_wrong_field_is_named(browser: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidParam) as caught:
        parse(**browser)
    assert str(caught.value).startswith(sentence)
    assert "hunter2" not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
PATHS = [
    *((name,) for name in StartParameters.model_fields),
    *(("Browser", name) for name in type(StartParameters(RecordURL=URL).Browser).model_fields),
    *(("Browser", "Cookies", 0, name) for name in cookie(Url=0, Path=0, Expires=0, HttpOnly=0, SameSite=0)),
    *(("Browser", "StorageState", "cookies", 0, name) for name in stored()["cookies"][0]),
    *(("Browser", "StorageState", "origins", 0, name) for name in origin()["origins"][0]),
    ("Browser", "Headers", "X-A"),
    *(("Output", "Vod", "MediaInfo", name) for name in ("ExpireTime", "StorageRegion", "ClassId")),
    ("Output", "Vod", "SubAppId"),
    *(("Output", "Video", name) for name in ("Muxer", "EncryptKey", "EncryptIv", "AuthUrl")),
]


@given(st.sampled_from(PATHS), json_values | st.text(st.characters(codec=None)))
@example(("Browser", "Cookies", 0, "Name"), "\ud800")
@example(("Browser", "Headers"), {"\ud800": ""})
@example(("\ud800",), 1)
@example(("Browser", "Timezone"), "\ud800")
@example(("Width",), 10**5000)
def test_no_value_crashes_it(path: tuple[str | int, ...], value: Any) -> None:
    for part in reversed(path):
        value = [value] if isinstance(part, int) else {part: value}
    try:
        parsed = StartParameters.parse({"RecordURL": URL} | value)
    except InvalidParam as refusal:
        str(refusal).encode()
    else:
        parsed.browser_settings().model_dump_json()
