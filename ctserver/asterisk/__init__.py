"""The edge to the PBX: AMI, FastAGI, dialplan, recording files. panoramisk lives here and nowhere else."""
