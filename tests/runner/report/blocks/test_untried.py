from runner.report.blocks.untried import untried


def test_what_was_not_tried_hangs_on_what_was(results):
    told = " ".join(untried(results))
    assert "AutoAttack: an accuracy under other attacks is an upper bound" in told
    assert "Adversarial images" not in told
    assert "Attacks on membership" not in told
    assert "reconstruction of training data" in told
    results["attacks"]["robustness"]["strong"] = "autoattack(eps 8/255)"
    assert "AutoAttack" not in " ".join(untried(results))
    results["attacks"] = {}
    told = " ".join(untried(results))
    assert "Adversarial images: nothing is said of robustness." in told
    assert "Attacks on membership: nothing is said of privacy." in told
