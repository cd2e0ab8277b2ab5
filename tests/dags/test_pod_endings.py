"""What becomes of a task when its pod ends."""

import json

import pytest


@pytest.fixture(scope="module")
def became(airflow, tmp_path_factory):
    return json.loads(airflow("end_pods.py", tmp_path_factory.mktemp("ended")))


@pytest.mark.parametrize("way", ["resumed", "watched"])
def test_a_refusal_fails_at_once_and_whatever_befalls_a_pod_is_tried_again(became, way):
    raised = {name: end["raised"] for name, end in became[way].items()}
    again = "AirflowException: pod pod-1"
    assert raised["done"] == ""
    assert raised["refused"] == "AirflowFailException: error: stage 'a': no answer from http://mlflow:5000/"
    assert raised["busy"] == f"{again} ended with status 75: error: the remote does not answer"
    assert raised["crashed"] == f"{again} ended with status 70: it said nothing"
    assert raised["out of memory"] == f"{again} ended with status 137 (OOMKilled): it said nothing"
    assert raised["late"] == f"{again} ended with status 1 (DeadlineExceeded): error: interrupted", "no verdict"
    assert raised["evicted"] == f"{again} was stopped (Evicted): The node was low on resource: ephemeral-storage."
    assert raised["hanging"] == f"{again} was stopped (Running): it said nothing"
    assert raised["without image"] == f'{again} was stopped (ImagePullBackOff): Back-off pulling image "cpu:0"'


def test_no_pod_is_left_and_one_that_is_gone_is_tried_again(became):
    assert all(end["removed"] for name, end in became["resumed"].items() if name != "gone")
    assert all(end["removed"] for end in became["watched"].values())
    assert became["resumed"]["gone"]["raised"].startswith("PodNotFoundException: ")


def test_a_refusal_that_may_pass_is_tried_again(became):
    assert became["patient"]["raised"].startswith("AirflowException: pod pod-1 ended with status 1: error: stage 'a'")
