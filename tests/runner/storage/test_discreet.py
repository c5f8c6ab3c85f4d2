"""What is left out of the command line that experiment.json keeps."""

import pytest

from runner.storage.cloud import discreet


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("s3://AKIA1:secret@bucket/results", "s3://***@bucket/results"),
        ("--storage=s3://AKIA1:s%2Fecret@bucket", "--storage=s3://***@bucket"),
        ("http://me@host/x?secret_key=abc&a=b", "http://***@host/x?secret_key=***&a=b"),
        ("s3://b/p?session_Token=abc", "s3://b/p?session_Token=***"),
        ("s3://bucket/a@b?endpoint_override=host:9", "s3://bucket/a@b?endpoint_override=host:9"),
        ("training.lr=0.1", "training.lr=0.1"),
        ("configs/quickstart.yaml", "configs/quickstart.yaml"),
    ],
)
def test_only_what_logs_in_is_left_out_of_a_command_line(word: str, written: str):
    assert discreet(["run", word]) == ["run", written]
