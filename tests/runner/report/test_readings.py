from runner.report.readings import readings, shadows_told, with_shadows
from runner.report.table import markdown
from tests.made.report_tables import cells


def test_a_randomized_arm_that_was_asked_once_says_so(noisy):
    noisy["arms"]["half"]["averaged"] = None
    labels = [reading.label for reading in readings(noisy)]
    assert labels[:3] == ["erm", "half · 1 draw", "one · 1 draw"]


def test_a_title_says_whose_models_an_attack_learned_from(noisy):
    assert with_shadows(noisy, "shadow_mlp") == "shadow_mlp (shadows: erm)"
    assert "shadow_mlp (shadows: erm): AUC" in cells(markdown(noisy))[0]
    assert "lira_online: AUC" in cells(markdown(noisy))[0]
    for name, arm in noisy["arms"].items():
        arm["membership"]["shadow_mlp"]["shadow_arm"] = name
    assert with_shadows(noisy, "shadow_mlp") == "shadow_mlp (shadows: own arm)"
    told = "Its shadows are other models of the arm that it judges."
    assert shadows_told(noisy, "shadow_mlp") == told
    noisy["attacks"]["alone"] = ["shadow_mlp"]
    assert shadows_told(noisy, "shadow_mlp").startswith("It has no shadows")
