"""What reads the features, against cases worked out by hand."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from benchmarks.robustness import probes


@pytest.fixture
def clusters() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3
    centers = torch.tensor([[4.0, 0.0, 0.0, 9.0], [0.0, 4.0, 0.0, 9.0], [0.0, 0.0, 4.0, 9.0]])
    return centers[labels] + torch.randn(120, 4, generator=generator), labels


def test_the_linear_probe_answers_as_scikit_learn_does(clusters):
    features, labels = clusters
    probe = probes.linear_probe(features[:80], labels[:80], features[80:], labels[80:])
    standard = (features - features[:80].mean(0)) / features[:80].std(0)
    answers = probe(features[80:]).argmax(1)
    assert float((answers == labels[80:]).double().mean()) > 0.9
    expected = [
        LogisticRegression(C=penalty, max_iter=2000).fit(standard[:80], labels[:80])
        for penalty in probes.INVERSE_PENALTIES
    ]
    decided = [torch.from_numpy(fit.decision_function(standard[80:])) for fit in expected]
    found = probe(features[80:]).double()
    assert any(torch.allclose(found, scores, atol=1e-4) for scores in decided)


def test_neighbours_score_by_the_nearest_of_each_class():
    references = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [0.0, 1.0]])
    labels = torch.tensor([0, 0, 2, 2])
    x = torch.tensor([[1.0, 0.0]])
    one = probes.Neighbours(references, labels, k=1)(x)[0]
    assert one.tolist() == pytest.approx([1.0, -1.0, 0.5**0.5])
    two = probes.Neighbours(references, labels, k=2)(x)[0]
    assert two.tolist() == pytest.approx([0.5, -1.0, 0.5 * 0.5**0.5])


def test_precision_and_rank_of_one_list():
    similarity = torch.tensor([[0.9, 0.8, 0.7, 0.6]])
    labels, asked = torch.tensor([5, 1, 5, 1]), torch.tensor([1])
    assert float(probes.average_precision(similarity, labels, asked)) == pytest.approx(0.5)
    assert probes.first_rank(similarity, labels, asked).tolist() == [2]


def test_a_margin_is_positive_where_the_answer_is_wrong():
    scores = torch.tensor([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0]])
    assert probes.margin(scores, torch.tensor([1, 2])).tolist() == [-1.0, 1.0]


def test_the_song_projection_forgets_what_versions_differ_in():
    generator = torch.Generator().manual_seed(0)
    songs = torch.arange(40).repeat_interleave(4)
    is_query = torch.arange(160) % 4 == 3
    tune = torch.randn(40, 3, generator=generator)[songs]
    sound = 10.0 * torch.randn(160, 5, generator=generator)
    features = torch.cat([tune + 0.05 * torch.randn(160, 3, generator=generator), sound], dim=1)
    seen, other = songs < 20, songs >= 20

    def precision(shown: torch.Tensor) -> float:
        gallery = probes.Neighbours(shown[~is_query[other]], songs[other & ~is_query], k=1)
        similarity = gallery.similarity(shown[is_query[other]])
        found = probes.average_precision(
            similarity, songs[other & ~is_query], songs[other & is_query]
        )
        return float(found.mean())

    projection = probes.song_projection(
        features[seen], songs[seen], features[other], songs[other], is_query[other]
    )
    assert precision(projection(features[other])) > 0.8
    assert precision(features[other]) < 0.4
