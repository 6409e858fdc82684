"""Who is accepted, recovered, held out and ranked, and why."""
