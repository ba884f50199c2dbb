"""A local endpoint that behaves like azureml-fe, in front of real or simulated scoring servers.

Written from docs/model.md and sharing no code with the simulator, so that an agreement between the two means something.
"""
