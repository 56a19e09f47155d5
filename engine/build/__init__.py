"""From apprunner.yaml to a BuildPlan; runtimes; pure."""
