"""What is measured, one file each; every file runs in a process of its own."""
