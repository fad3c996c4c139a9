"""What Python programs import: experiments as the command runs them, scikit-learn estimators."""
