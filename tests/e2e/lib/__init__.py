"""What the end-to-end stories stand on. Begin with stage.py."""
