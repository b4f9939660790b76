"""A browser without a screen: it reads pages, fills forms by their labels, and presses buttons."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

from core import staff_sessions
from core.staff import Role
from tests import staff_people

VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "path", "wbr"}


@dataclass
class Node:
    """One element of a page."""

    tag: str
    attributes: dict[str, str]
    above: "Node | None" = None
    parts: list["Node | str"] = field(default_factory=list)

    def all(self, *tags):
        """Every element below of these tags, in order."""
        for part in self.parts:
            if isinstance(part, Node):
                if part.tag in tags:
                    yield part
                yield from part.all(*tags)

    @property
    def text(self):
        """What is to be read of it, on one line."""
        said = " ".join(part if isinstance(part, str) else part.text for part in self.parts)
        return " ".join(said.split())

    def get(self, name, default=""):
        return self.attributes.get(name, default)


class Reader(HTMLParser):
    """A page as a tree; a tag that is not closed, or closed twice, is a fault."""

    def __init__(self, html):
        super().__init__()
        self.root = self.here = Node("page", {})
        self.feed(html)
        self.close()
        assert self.here is self.root, f"<{self.here.tag}> is not closed"

    def handle_starttag(self, tag, attrs):
        node = Node(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.parts.append(node)
        if tag not in VOID:
            self.here = node

    def handle_startendtag(self, tag, attrs):
        self.here.parts.append(Node(tag, {name: value or "" for name, value in attrs}, self.here))

    def handle_endtag(self, tag):
        assert self.here.tag == tag, f"</{tag}> closes <{self.here.tag}>"
        self.here = self.here.above

    def handle_data(self, data):
        self.here.parts.append(data)


class Browser:
    """One person at one browser."""

    def __init__(self, app, name=""):
        self.client = app.test_client()
        self.name = name
        self.answer = None

    def open(self, path):
        """A page, after every redirect."""
        return self._take(self.client.get(path, follow_redirects=True))

    def _take(self, answer):
        self.answer = answer
        self.html = answer.get_data(as_text=True)
        self.root = Reader(self.html).root
        return self

    @property
    def status(self):
        return self.answer.status_code

    @property
    def path(self):
        return self.answer.request.full_path.rstrip("?")

    @property
    def text(self):
        """What is to be read on the page."""
        return next(self.root.all("body")).text

    @property
    def title(self):
        return next(self.root.all("h1")).text

    @property
    def messages(self):
        """What the page says of what was just done or refused."""
        return [one.text for one in self.root.all("p") if "message" in one.get("class").split()]

    @property
    def hash(self):
        """The hash that is shown."""
        return next(one for one in self.root.all("code") if one.get("data-hash")).get("data-hash")

    def sees(self, *words):
        for word in words:
            assert word in self.text, f"{word!r} is not on {self.path}: {self.text}"
        return self

    def misses(self, *words):
        for word in words:
            assert word not in self.text, f"{word!r} is on {self.path}"
        return self

    def links(self):
        return [one.get("href") for one in self.root.all("a")]

    def follow(self, name):
        """Click on a link by what it says."""
        links = [one for one in self.root.all("a") if one.text.startswith(name)]
        assert links, f"no link {name!r} on {self.path}"
        return self.open(links[0].get("href"))

    def forms(self):
        return list(self.root.all("form"))

    def buttons(self):
        return [button.text for form in self.forms() for button in form.all("button")]

    def press(self, button, /, **typed):
        """Press a button, its form filled by labels: `press("Go on", code="123456")`."""
        form = next(
            (one for one in self.forms() if button in [b.text for b in one.all("button")]), None
        )
        assert form is not None, f"no button {button!r} on {self.path}: {self.buttons()}"
        return self.send(form, fill(form, typed))

    def send(self, form, pairs):
        action, encoded = form.get("action"), urlencode(pairs)
        if form.get("method") == "post":
            return self._take(
                self.client.post(
                    action,
                    data=encoded,
                    content_type="application/x-www-form-urlencoded",
                    headers={"Referer": f"http://localhost{self.path}"},
                    follow_redirects=True,
                )
            )
        return self.open(f"{urlsplit(action).path}?{encoded}")

    def csrf(self):
        """The token of the page's forms."""
        return next(
            one.get("value") for one in self.root.all("input") if one.get("name") == "csrf_token"
        )

    def post(self, path, *, referer="", follow=False, **values):
        """A form that no page shows, with the token of the page that is open."""
        data = {"csrf_token": self.csrf()} | values
        headers = {"Referer": f"http://localhost{referer}"} if referer else {}
        answer = self.client.post(path, data=data, headers=headers, follow_redirects=follow)
        return self._take(answer) if follow else answer


def fill(form, typed):
    """Every field of a form as a browser would send it, those labelled so as they are typed."""
    left = dict(typed)
    pairs = []
    for one in form.all("input", "select", "textarea"):
        label = _label(form, one)
        key = next((key for key in left if label and _same(key, label)), None)
        pairs += _sent(one, left.get(key) if key else None)
        if key and one.get("type") not in ("checkbox", "radio"):
            left.pop(key)
    unknown = [key for key, value in left.items() if value is not True]
    assert not unknown, f"no field is labelled {unknown}"
    return pairs


def _sent(one, typed):
    name, kind = one.get("name"), one.get("type")
    if kind in ("checkbox", "radio"):
        on = typed if typed is not None else "checked" in one.attributes
        return [(name, one.get("value"))] if on else []
    if typed is not None:
        return [(name, str(typed))]
    if one.tag == "select":
        options = list(one.all("option"))
        chosen = [option for option in options if "selected" in option.attributes] or options[:1]
        return [(name, option.get("value", option.text)) for option in chosen]
    if one.tag == "textarea":
        return [(name, "".join(part for part in one.parts if isinstance(part, str)))]
    return [(name, one.get("value"))] if name else []


def _label(form, one):
    if one.get("type") == "hidden":
        return ""
    above = one.above
    while above is not None and above is not form:
        if above.tag == "label":
            return above.text
        above = above.above
    return next(
        (label.text for label in form.all("label") if label.get("for") == one.get("id", "-")), ""
    )


def _same(key, label):
    plain = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
    return plain == key or plain.startswith(f"{key}_")


def signed_in(rt, app, name, role=Role.TRADER):
    """Somebody who has just signed in, without the time that a password takes."""
    person = staff_people.enrolled(rt, name, role)
    browser = Browser(app, name)
    browser.person = person
    enter(rt, browser)
    return browser


def enter(rt, browser):
    """A session of its own for whoever sits there, the second factor just shown."""
    with rt.transaction() as tx:
        token = staff_sessions.begin(
            tx, browser.person.staff.id, address="127.0.0.1", agent="a test", now=rt.now()
        )
    browser.client.set_cookie("staff", token)
