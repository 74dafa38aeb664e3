"""The paper's tables and figures as resumable runs, beside the paper's numbers."""
