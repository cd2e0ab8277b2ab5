import re
from dataclasses import replace

from report_contents import HEAD, product

from pipeline_tasks.layouts.reasons import REMEDY, Reason
from pipeline_tasks.report.quarantine import histogram, render_quarantine
from pipeline_tasks.schema import SetAside


def aside(name, reason="duplicate", found="the same bytes as a.png"):
    return SetAside("plate", name, reason, found, f"what to do about a {reason}")


def test_reasons_are_counted_the_most_frequent_first():
    bars = histogram([aside("1", "no mask"), aside("2"), aside("3"), aside("4"), aside("5", "empty mask")])
    assert [(bar.reason, bar.files, bar.percent) for bar in bars] == [
        ("duplicate", 3, 100),
        ("empty mask", 1, 33),
        ("no mask", 1, 33),
    ]
    assert histogram([]) == []


def test_every_file_is_listed_with_reason_finding_and_remedy():
    rows = [aside(f"test/pit/{i}.png", found=f"found {i}") for i in range(300)]
    page = render_quarantine(HEAD, [product(set_aside=rows), replace(product(), product="tile")])
    for row in rows:
        cells = f"{row.source_path}</bdi></td><td>duplicate</td><td>{row.found}</td><td>{row.remedy}</td>"
        assert cells in page
    assert page.index('<h2 id="plate">') < page.index("set aside: 300") < page.index('<h2 id="tile">')
    assert page.count("No raw file was set aside.") == 1


def test_a_withdrawn_file_is_listed_with_who_when_why_and_how_it_comes_back():
    said = "2030-01-02 Ann <ann@example.org>: not ours to use"
    row = SetAside("plate", "test/pit/7.png", Reason.WITHDRAWN, said, REMEDY[Reason.WITHDRAWN])
    page = render_quarantine(HEAD, [product(set_aside=[row])])
    assert "could not be used or were withdrawn" in page
    assert "<td>withdrawn</td><td>2030-01-02 Ann &lt;ann@example.org&gt;: not ours to use</td>" in page
    assert page.count("`defectline withdraw PRODUCT SAMPLE --undo` puts it back") == 2


def test_the_page_needs_no_other_file_and_leads_back():
    page = render_quarantine(HEAD, [product(set_aside=[aside("1.png")])])
    assert not re.search(r"https?://|<script|<link|url\(", page)
    assert set(re.findall(r'href="([^"]*)"', page)) == {"report.html"}


def test_names_can_neither_inject_markup_nor_hide():
    names = ["<script>x</script>.png", "two\nlines.png", "turned\u202egnp.exe", "ünï画像.png", r"\xff.png"]
    page = render_quarantine(HEAD, [product(set_aside=[aside(name, found=name) for name in names])])
    assert page.count("&lt;script&gt;x&lt;/script&gt;.png") == 2
    assert "<script" not in page
    assert r"two\nlines.png" in page
    assert r"turned\u202egnp.exe" in page
    assert "ünï画像.png" in page
    assert "\u202e" not in page
