"""What `setup.cfg` cannot say: what becomes of the README's links outside of a clone.

PyPI's page has the README and none of the files that it leads to. Where the repository
has a public address, `[publishing]` in `setup.cfg`, links and pictures lead there;
until then they are left out, as they would lead nowhere.
"""

import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
# Code, in which nothing is a link; a link, whose text may have a picture or brackets.
PARTS = re.compile(
    r"(?P<code>^ *(?P<fence>`{3,}|~{3,}).*?^ *(?P=fence)"
    r"|(?P<ticks>`+)[^`].*?(?P=ticks))"
    r"|(?P<mark>!?)\[(?P<text>(?:!?\[[^\[\]]*\](?:\([^()]*\))?|[^\[\]])*)\]"
    r"\(\s*(?P<target>[^\s()]*)(?P<title>[^()]*)\)",
    re.M | re.S,
)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//|#", re.I)  # addresses, and this page


def long_description(readme: str, repository: str) -> str:
    """Return a README as it is to be read away from its repository.

    Args:
        readme: Markdown, whose relative links start at the repository's root.
        repository: The repository's address, as GitHub and GitLab have them; `""` if
            it has none: then pictures of its files are left out, and of links to them
            the words stay.
    """

    def away(match):
        target = match["target"]
        if match["code"]:
            return match[0]
        text = PARTS.sub(away, match["text"])
        if target and not ELSEWHERE.match(target):
            if not repository:
                return "" if match["mark"] else text
            kind = "raw" if match["mark"] else "blob"
            path = target.removeprefix("./").removeprefix("/")
            target = f"{repository.rstrip('/')}/{kind}/HEAD/{path}"
        return f"{match['mark']}[{text}]({target}{match['title']})"

    return re.sub(r"\n{3,}", "\n\n", PARTS.sub(away, readme))


def links(repository: str) -> dict[str, str]:
    """Return what stands at the side of PyPI's page, if there is an address."""
    if not repository:
        return {}
    files = f"{repository.rstrip('/')}/blob/HEAD"
    return {
        "Source": repository,
        "Documentation": f"{files}/docs/index.md",
        "Changelog": f"{files}/CHANGELOG.md",
    }


def public_address() -> str:
    """Return the repository's address, as `setup.cfg` has it."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    return config["publishing"]["repository"]


if __name__ == "__main__":
    address = public_address()
    setup(
        long_description=long_description(
            (ROOT / "README.md").read_text("utf-8"), address
        ),
        project_urls=links(address),
    )
