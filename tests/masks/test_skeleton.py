import cv2
import numpy as np

from pipeline_tasks.masks.skeleton import trace_skeleton


def drawn(*segments, width=5, size=(120, 160)):
    canvas = np.zeros(size, np.uint8)
    for start, end in segments:
        cv2.line(canvas, start, end, 1, width)
    return canvas.astype(bool)


def test_path_runs_from_end_to_end_of_a_bar():
    skeleton = trace_skeleton(drawn(((20, 60), (140, 60))))
    ends = np.sort(skeleton.line[[0, -1]].real)
    assert abs(ends[0] - 20) <= 4
    assert abs(ends[1] - 140) <= 4
    assert np.abs(skeleton.line.imag - 60).max() <= 1
    assert np.abs(skeleton.line_half_width - 3).max() <= 1


def test_position_grows_from_0_to_1():
    skeleton = trace_skeleton(drawn(((20, 20), (140, 100))))
    assert skeleton.position[0] == 0
    assert skeleton.position[-1] == 1
    assert (np.diff(skeleton.position) > 0).all()


def test_path_of_a_branched_shape_is_its_longest():
    skeleton = trace_skeleton(drawn(((10, 60), (150, 60)), ((80, 60), (80, 20))))
    assert np.abs(skeleton.points[skeleton.path].imag - 60).max() <= 3
    assert len(skeleton.points) > len(skeleton.path) + 20


def test_branches_take_the_value_of_where_they_join():
    skeleton = trace_skeleton(drawn(((10, 60), (150, 60)), ((80, 60), (80, 20))))
    values = skeleton.points[skeleton.path].real[:, None]
    carried = skeleton.carry(values)[:, 0]
    assert np.allclose(carried[skeleton.path], values[:, 0])
    assert np.abs(carried[skeleton.points.imag < 50] - 80).max() <= 3


def test_loop_is_carried_without_a_tear():
    skeleton = trace_skeleton(drawn(((10, 60), (150, 60)), ((40, 60), (80, 20)), ((80, 20), (120, 60))))
    carried = skeleton.carry(skeleton.points[skeleton.path].real[:, None])[:, 0]
    rows, columns = skeleton.lengths.nonzero()
    assert np.abs(carried[rows] - carried[columns]).max() <= 3


def test_single_pixel_has_a_path_of_one_point():
    mask = np.zeros((5, 5), bool)
    mask[2, 2] = True
    skeleton = trace_skeleton(mask)
    assert skeleton.path.tolist() == [0]
    assert skeleton.carry(np.array([[3.0]])).tolist() == [[3.0]]
