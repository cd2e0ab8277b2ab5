import inspect

from pipeline_tasks import errors


def test_every_error_is_expected_by_the_command_line_and_says_when_it_is_raised():
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert len(classes) > 5
    assert all(issubclass(kind, errors.DefectlineError) and kind.__doc__ for kind in classes)
