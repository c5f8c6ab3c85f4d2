"""Attacks on trained models, under two threat models.

**Evasion** (`attacks.evasion`). The attacker sees the trained model, its weights and its gradients
(white box), and moves a test image within an L-infinity ball of radius `eps`, in [0, 1] pixel
units, so that the model answers wrongly. What is measured: robust accuracy.

**Membership inference** (`attacks.membership`). The attacker sees the trained model's answers about
an image and its label, knows the training recipe, and has shadow models trained with that recipe on
data of which membership is known. What is asked: was this image in the training set? What is
measured: the true positive rate at a low false positive rate, over all examples of the pool.
"""
