import pytest
import torch
from tiny_dit_training import tiny_base

from pipeline_tasks.dit.texts import Names, TextBook, texts_of

DOT, RUST = Names("tin", "dot"), Names("lid", "rust")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize(
    ("names", "texts"),
    [
        (Names("tin", "dot"), ("A photo of tin", "A photo of dot", "A photo of dot tin")),
        (Names("", "dot"), ("", "A photo of dot", "A photo of dot")),
        (Names("tin", "good"), ("A photo of tin", "A photo of good", "A photo of good tin")),
        (Names("", "good"), ("", "A photo of good", "A photo of good")),
    ],
)
def test_every_part_has_its_prompt(names, texts):
    assert texts_of(names) == texts


def test_names_are_dropped_one_by_one():
    assert DOT.without_product() == Names("", "dot") and DOT.without_defect() == Names("tin", "good")


def test_a_row_is_the_text_encoders_embedding_up_to_its_end(base):
    rows = TextBook.of(base, [DOT, RUST], one_prompt=False).rows([RUST, DOT.without_product()])
    parts = (rows.background, rows.defect, rows.fusion)
    for part, prompts in zip(parts, zip(texts_of(RUST), texts_of(DOT.without_product()), strict=True), strict=True):
        for embedding, tokens, prompt, whole in zip(
            part.embedding, part.tokens, prompts, base.embed(prompts), strict=True
        ):
            count = min(len(base.tokenizer(prompt).input_ids), 16)
            assert tokens.sum() == count and tokens[:count].all()
            torch.testing.assert_close(embedding[:count], whole[:count])


def test_all_rows_are_as_long_as_the_longest_prompt(base):
    short = TextBook.of(base, [Names("a", "b")], one_prompt=False)
    assert short.texts.embedding.shape[1] == len(base.tokenizer("A photo of good a").input_ids)
    assert short.texts.embedding.dtype == torch.float32
    alone, among = (
        TextBook.of(base, names, one_prompt=False).rows([DOT]).defect.embedding for names in ([DOT], [RUST, DOT])
    )
    assert torch.equal(alone, among)


@pytest.mark.parametrize("one_prompt", [False, True])
@pytest.mark.parametrize("names", [DOT, RUST, RUST.without_product(), RUST.without_defect()])
def test_the_name_is_where_the_defects_words_are(base, names, one_prompt):
    rows = TextBook.of(base, [DOT, RUST], one_prompt=one_prompt).rows([names])
    _, defect, fusion = texts_of(names)
    length = rows.name.shape[1]
    numbers = base.tokenizer(fusion if one_prompt else defect, padding="max_length", max_length=length).input_ids
    words = [number for number, is_name in zip(numbers, rows.name[0].tolist(), strict=False) if is_name]
    assert words == base.tokenizer(names.defect).input_ids[1:-1]


def test_one_prompt_gives_all_parts_the_fusion_prompt(base):
    book, apart = (TextBook.of(base, [DOT], one_prompt=one_prompt) for one_prompt in (True, False))
    one, three = book.rows([DOT]), apart.rows([DOT])
    for part in (one.background, one.defect, one.fusion):
        assert torch.equal(part.embedding, three.fusion.embedding) and torch.equal(part.tokens, three.fusion.tokens)
    assert not torch.equal(three.background.embedding, three.fusion.embedding)


def test_the_book_knows_what_becomes_of_its_names_and_no_others(base):
    book = TextBook.of(base, [DOT], one_prompt=False)
    forms = [DOT, DOT.without_product(), DOT.without_defect(), DOT.without_defect().without_product()]
    assert book.rows(forms).fusion.embedding.shape[0] == 4
    with pytest.raises(KeyError):
        book.rows([RUST])


def test_texts_move_with_their_masks(base):
    moved = TextBook.of(base, [DOT], one_prompt=False).rows([DOT]).to(torch.device("cpu"), torch.bfloat16)
    assert {part.embedding.dtype for part in (moved.background, moved.defect, moved.fusion)} == {torch.bfloat16}
    assert moved.name.dtype == moved.defect.tokens.dtype == torch.bool
