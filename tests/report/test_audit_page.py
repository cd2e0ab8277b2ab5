import re

import pytest
from audits import NAMES, audit, links, sample
from rows import digest

from pipeline_tasks.audit.chain import Link
from pipeline_tasks.report.audit_page import OTHER, SHOWN, STEPS, render, roles, sentence, steps


def page(*found, facts=None, **values):
    return render(audit(*found, **values).to_json(), facts)


def words(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html.split("</head>")[1]).split())


def values(found):
    return audit(found).to_json()["links"]


@pytest.mark.parametrize(
    ("found", "told", "means"),
    [
        (links(), "The chain holds", "All 13 links that were looked at hold."),
        (links(unchecked=("raw",)), "The chain holds as far as it could be checked", "12 links hold. 1 link could not"),
        (links(broken=("rows",)), "1 link of 13 is broken", "do not rely on it before that is explained."),
        (
            links(broken=("rows", "git tag"), unchecked=("raw", "pair ")),
            "2 links of 13 are broken",
            "2 links could not",
        ),
        ([], "Nothing was checked", "looked at no link"),
    ],
)
def test_the_verdict_is_in_plain_words(found, told, means):
    assert sentence(values(found))[0] == told
    assert means in sentence(values(found))[1]
    html = page(found)
    assert words(html).index(told) < 60 and f": {told}</title>" in html


def test_links_belong_to_the_steps_of_the_chain_in_its_order_and_none_is_lost():
    chain = steps(values([*links()[::-1], Link("something new", "ok", "x")]))
    assert [step.name for step in chain] == [*STEPS, OTHER]
    assert sorted(link["name"] for step in chain for link in step.links) == sorted([*NAMES, "something new"])
    git_tag, objects = chain[1], chain[4]
    assert {link["name"] for link in git_tag.links} == {"git tag dataset-4", "the release before dataset-4"}
    assert (objects.name, objects.counted) == ("remote objects", "2 ok")
    assert [step.name for step in steps(values(links()[4:5]))] == ["lineage.json"]


def test_a_step_is_as_good_as_its_worst_link_which_comes_first():
    chain = {step.name: step for step in steps(values(links(broken=("objects of data/pairs",), unchecked=("raw",))))}
    objects = chain["remote objects"]
    assert (objects.verdict, objects.counted) == ("broken", "1 broken, 1 ok")
    assert objects.links[0]["name"] == "objects of data/pairs/plate/pit"
    assert (chain["raw samples"].verdict, chain["stages"].verdict) == ("unchecked", "ok")


def test_what_is_broken_comes_first_with_what_to_do_then_what_was_not_checked():
    said = words(page(links(broken=("rows",), unchecked=("raw",))))
    broken = (
        "Broken link what was found what to do rows of plate/pit found about rows of plate/pit what to do about rows"
    )
    places = [
        said.index(part) for part in ("1 link of 13 is broken", broken, "Not checked here", "The chain, step by step")
    ]
    assert places == sorted(places) and places[1] < 700
    assert "raw samples of plate found about raw samples of plate what to do about raw" in said[places[2] : places[3]]


def test_nothing_of_the_kind_is_there_where_all_holds():
    said = words(page(links()))
    assert "Broken" not in said and "Not checked here" not in said and "✗" not in said


def test_long_lists_unfold():
    many = [Link(f"rows of plate/d{number}", "broken", "x", "y") for number in range(60)]
    html = page(many)
    top = html[: html.index("<h2>The chain")]
    assert f"<summary>{60 - SHOWN} more</summary>" in top
    assert top.index("rows of plate/d7<") < top.index("more</summary>") < top.index("rows of plate/d8<")
    assert "<details open>" not in html.split("The chain, step by step")[1].split("<h2")[0]
    assert "<details open>" in page(many[:SHOWN]).split("The chain, step by step")[1].split("<h2")[0]


def test_a_step_of_the_chain_leads_to_its_links():
    html = page(links())
    assert [*re.findall(r'href="#(step-\d+)"', html)] == [*re.findall(r'id="(step-\d+)"', html)]


def test_samples_are_told_by_product_and_role_and_long_ones_unfold():
    html = page(links(), samples=audit([]).samples | {"tile": []})
    said = words(html)
    for part in (
        "plate 1 base, learned from: defect images (1 pit)",
        "1 base, learned from: normal images",
        "1 defect-free counterparts, made from base images",
        "12 test, only measured on: defect images (12 pit)",
        "tile They could not be read.",
        f"test/pit/012.png pit {digest('test/pit/012.png')}",
    ):
        assert part in said, part
    assert html.split('id="samples"')[1].count("<details open>") == 3
    assert "The real samples it depends on They could not be read." in words(page(links(), samples={}))


def test_roles_come_with_what_was_learned_from_first():
    rows = [sample("t", split="test"), sample("g", "good"), sample("c", "good", origin="b"), sample("b")]
    assert [[row["source_path"] for row in some.rows] for some in roles(rows)] == [["b"], ["g"], ["c"], ["t"]]


def test_an_unpublished_version_and_further_facts_are_named():
    said = words(page(links(), number=None, facts={"Audited": "2 May 2030"}))
    assert said.startswith("Audit of version 0123456789ab") and "Audited 2 May 2030" in said
    assert words(page(links())).startswith("Audit of dataset-4")


def test_commands_are_set_apart():
    html = page([Link("rows of x", "broken", "it is gone", "run `dvc push` and `git fetch`")])
    assert "run <code>dvc push</code> and <code>git fetch</code>" in html


def test_it_needs_no_other_file_and_what_it_shows_can_neither_inject_nor_hide():
    odd = "<script>x</script>\u202e.png"
    html = page([Link(odd, "broken", odd, odd)], samples={odd: [sample(odd, odd)]}, facts={"x": odd})
    assert "<script" not in html and "\u202e" not in html
    assert r"&lt;script&gt;x&lt;/script&gt;\u202e.png" in html
    assert not re.search(r"https?://|<link|url\(", html)
    assert page(links()) == page(links())
