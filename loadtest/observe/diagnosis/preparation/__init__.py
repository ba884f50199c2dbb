"""What comes before the first container runs: network, volumes, images, configuration."""
