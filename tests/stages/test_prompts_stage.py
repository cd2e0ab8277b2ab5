import pytest

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.params import Prompts
from pipeline_tasks.stages import prompts


def prompt(template):
    return prompts.run(Prompts(kind="template", template=template), "steel_plate", ["deep_pit", "scratch"])


def test_each_defect_gets_its_prompt():
    assert prompt("{defect} {product}") == {"deep_pit": "deep pit steel plate", "scratch": "scratch steel plate"}
    assert prompt("a photo of a {defect}")["scratch"] == "a photo of a scratch"


@pytest.mark.parametrize("template", ["{defect} {colour}", "{defect} {}", "{defect} {", "{defect} {defect.colour}"])
def test_a_template_with_another_placeholder_names_the_key(template):
    with pytest.raises(ConfigError) as caught:
        prompt(template)
    message = str(caught.value)
    assert message.startswith("params.yaml: prompts.template '")
    assert template in message
    assert "only {defect} and {product} may stand in it" in message
