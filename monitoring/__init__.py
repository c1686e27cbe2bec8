"""What the deployed model is asked and answers, held against what it was built on."""
