from runner.report.blocks.provenance import lines, provenance_html
from tests.made.report import small_results

KNOWN = {
    "date": "2026-01-02T03:04:05+00:00",
    "duration_s": 3725.2,
    "training_s": 59.6,
    "command": ["run", "mine.yaml"],
    "devices": [{"name": "A100", "num_models": 16}],
    "machine": {"system": "Linux", "architecture": "x86_64", "processors": 2, "memory_gib": 7.8},
    "config": "name: small\narms:\n  erm: {}\n",
}


def test_all_that_is_known_is_told_and_the_configuration_is_yaml():
    results = small_results() | {"provenance": KNOWN}
    results["code"] = {
        "digest": "abc",
        "deciding": [{"stage": "weights", "name": "mine.py", "digest": "0f"}],
    }
    told = dict(lines(results))
    assert told["Command"] == "runner run mine.yaml"
    assert told["The command took"] == "1 h 2 min 5 s"
    assert told["Training took"] == "1 min 0 s, of all models together"
    assert told["Trained on"] == "A100 (16 models)"
    assert told["Report written on"] == "Linux x86_64, 2 processors, 7.8 GiB"
    assert told["Own source and files (weights), part of each id"] == "mine.py 0f"
    assert "<code>name: small\narms:\n  erm: {}\n</code>" in provenance_html(results, {})


def test_results_that_know_nothing_of_it_still_tell_the_commit():
    told = dict(lines(small_results()))
    assert told == {
        "Commit of the code": "0123456789ab",
        "Versions": "python 3.12.1, torch 2.11.0",
    }
    assert "<details>" not in provenance_html(small_results(), {})
